//! kill -9 at any moment of a connection's way from its wish to its end: nothing is lost, nothing is told twice, nothing
//! out of order. The real binary, the worker on, several connections at the same step when it dies.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use serde_json::{Value, json};
use test_support::{
    ControlOptions, ControlProcess, Dns, Loopback, Pebble, PebbleOptions, Postgres,
    client::http::{self, Http},
    wait,
};

/// Connections that go the way together.
const TOGETHER: usize = 3;
/// How long after a request was sent the process dies: before it is read, while it is done, after its answer.
const DELAYS: [u64; 4] = [0, 4, 12, 40];

/// What a client does on the way, in this order.
const STEPS: [Step; 6] = [Step::Create, Step::Verify, Step::Check, Step::Report, Step::Move, Step::Delete];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Create,
    Verify,
    Check,
    Report,
    Move,
    Delete,
}

struct Stage {
    control: ControlProcess,
    app: String,
    /// By hostname.
    ids: BTreeMap<String, String>,
}

impl Stage {
    async fn send(&self, method: &str, path: &str, key: &str, name: &str, body: Value) -> Option<(u16, Value)> {
        let mut http = Http::connect(self.control.address()).await.ok()?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut request = http.request(method, "control", path, http::body(body));
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        request.headers_mut().insert("idempotency-key", name.parse().unwrap());
        let answer = http.send(request).await.ok()?;
        Some((answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default()))
    }

    /// One step of one connection, as its client or an edge would repeat it.
    async fn step(&self, step: Step, name: &str) -> Option<(u16, Value)> {
        let id = self.ids.get(name).map(String::as_str).unwrap_or_default();
        let path = format!("/v1/connections/{id}");
        let (method, path, key, body) = match step {
            Step::Create => {
                let body = json!({"application_id": self.app, "hostname": name});
                ("POST", "/v1/connections".to_owned(), ControlProcess::DEMO_KEY, body)
            }
            Step::Verify => ("POST", format!("{path}/verify"), ControlProcess::DEMO_KEY, Value::Null),
            Step::Check => ("POST", format!("{path}/records:check"), ControlProcess::DEMO_KEY, Value::Null),
            Step::Report => {
                let report = json!({"id": format!("report-{name}"), "hostname": name, "kind": "issued",
                    "at_ms": 1_800_000_000_000_u64, "issuer": "https://ca.test/dir", "not_after_ms": 4_000_000_000_000_u64});
                ("POST", "/internal/certificates".to_owned(), ControlProcess::EDGE_TOKEN, json!({"reports": [report]}))
            }
            Step::Move => ("PATCH", path, ControlProcess::DEMO_KEY, json!({"origin": "http://127.0.0.1:4001"})),
            Step::Delete => ("DELETE", path, ControlProcess::DEMO_KEY, Value::Null),
        };
        self.send(method, &path, key, name, body).await
    }

    /// Repeats a step until it is done.
    async fn insist(&self, step: Step, name: &str) -> Value {
        wait::until(&format!("{step:?} of {name} is done"), async || {
            let (status, body) = self.step(step, name).await?;
            match status {
                200..=204 => Some(body),
                // Its first try died under way: the key is free again when its lease ends.
                409 if body["error"]["code"] == "idempotency_in_flight" => None,
                _ => panic!("{step:?} of {name}: {status} {body}"),
            }
        })
        .await
    }

    async fn read(&self, path: &str) -> Value {
        let (status, body) = self.control.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// The account's events, all of them, in the order of their numbers.
    async fn events(&self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let after = events.last().map_or(0, |event: &Value| event["seq"].as_i64().unwrap());
            let page = self.read(&format!("/v1/events?limit=100&after={after}")).await;
            let page = page["data"].as_array().unwrap().clone();
            if page.is_empty() {
                return events;
            }
            events.extend(page);
        }
    }
}

async fn publish(dns: &Dns, made: &Value) {
    let challenge = &made["ownership_challenge"];
    dns.set_txt(challenge["name"].as_str().unwrap(), challenge["value"].as_str().unwrap()).await;
    dns.set_cname(made["hostname"].as_str().unwrap(), ControlOptions::TARGET).await;
}

async fn walk(postgres: Option<&Postgres>) {
    let host = Loopback::take();
    let pebble = Pebble::start(&host, PebbleOptions::default()).await;
    let dns = pebble.dns();
    dns.set_default(None).await;
    dns.set_a(ControlOptions::TARGET, &[host.ip()]).await;
    let options = ControlOptions::on(&host).dns(dns);
    let options = match postgres {
        Some(postgres) => options.database(&postgres.create_database()),
        None => options,
    };
    let control = ControlProcess::start(options).await;
    let (_, app) = control.send("POST", "/v1/applications", Some(&json!({"name": "App"}))).await;
    let mut stage = Stage { control, app: app["id"].as_str().unwrap().to_owned(), ids: BTreeMap::new() };
    for (round, deadly) in STEPS.into_iter().enumerate() {
        for delay in DELAYS {
            let names: Vec<_> = (0..TOGETHER).map(|n| format!("shop{n}-{delay}-{round}.customer.com")).collect();
            go(&mut stage, dns, &names, deadly, Duration::from_millis(delay)).await;
        }
    }
    judge(&stage).await;
}

/// The whole way of some connections, with one death at one step.
async fn go(stage: &mut Stage, dns: &Dns, names: &[String], deadly: Step, delay: Duration) {
    for step in STEPS {
        if step == deadly {
            let tries = join_all(names.iter().map(|name| stage.step(step, name)));
            // Not waiting for anything: this is the moment of death. Whatever was answered by then was answered.
            let _ = tokio::time::timeout(delay, tries).await;
            stage.control.kill9();
            stage.control.restart().await;
        }
        for name in names {
            let done = stage.insist(step, name).await;
            if step == Step::Create {
                stage.ids.insert(name.clone(), done["id"].as_str().unwrap().to_owned());
                publish(dns, &done).await;
            }
        }
        for name in names {
            after(stage, step, name).await;
        }
    }
}

/// What is true once a step has been answered, whatever died before.
async fn after(stage: &Stage, step: Step, name: &str) {
    let connection = stage.read(&format!("/v1/connections/{}", stage.ids[name])).await;
    let asked = http::get(&format!("{}/internal/ask?domain={name}", stage.control.url())).await.unwrap();
    let is_open = !matches!(step, Step::Create | Step::Delete);
    if step != Step::Create {
        // Before that the worker may have been faster than this look.
        assert_eq!(asked.status().as_u16(), if is_open { 200 } else { 403 }, "{step:?} {name}: {connection}");
    }
    match step {
        Step::Create | Step::Verify | Step::Check => {}
        Step::Report => assert_eq!(connection["state"], "live", "{name}: {connection}"),
        Step::Move => assert_eq!(connection["origin"], "http://127.0.0.1:4001", "{name}"),
        Step::Delete => assert_eq!(connection["state"], "archived", "{name}"),
    }
}

async fn judge(stage: &Stage) {
    let events = stage.events().await;
    let numbers: Vec<i64> = events.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
    let expected: Vec<i64> = (1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected, "no number is missing, none comes twice");
    for (name, id) in &stage.ids {
        let of_name: Vec<&Value> = events.iter().filter(|event| event["hostname"] == name.as_str()).collect();
        let kinds: Vec<&str> = of_name.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["domain.verified", "ssl.issued", "domain.flow.completed", "domain.archived"], "{name}");
        for (event, number) in of_name.iter().zip(1_i64..) {
            assert_eq!((&event["hostname_seq"], &event["jobId"]), (&number.into(), &id.as_str().into()), "{event}");
        }
    }
    let ways = STEPS.len() * DELAYS.len() * TOGETHER;
    assert_eq!((stage.ids.len(), events.len()), (ways, 4 * ways));
    let usage = stage.read("/v1/usage").await;
    for row in usage["data"].as_array().unwrap().iter().filter(|row| row["kind"] != "api_call") {
        assert_eq!(row["used"], ways, "{row}");
    }
    assert!(!stage.control.log().contains("panicked"), "{}", stage.control.log());
}

#[test]
fn a_process_that_is_killed_anywhere_loses_nothing_on_sqlite() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(walk(None));
}

#[test]
fn a_process_that_is_killed_anywhere_loses_nothing_on_postgres() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { walk(Some(&Postgres::start().await)).await });
}
