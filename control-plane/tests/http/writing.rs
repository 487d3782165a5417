//! A stored credential: the records of a new connection are written, and believed when the zone's own servers show them.
//! A provider on loopback, its name servers and a resolver, asked over real DNS.

use std::time::Duration;

use control_plane::settings::Settings;
use serde_json::{Value, json};
use test_support::{
    Postgres, ZoneServer,
    provider::{
        server::{Fault, Server},
        shim::{Resp, ZONE},
        shims::cloudflare,
    },
    wait,
};

use crate::harness::{Control, TARGET, Worker};

const KEY: &str = "sk_test_demo";
const HOST: &str = "shop.customer.test";

/// A customer's zone at a provider, and the way to it.
struct Stage {
    control: Control,
    provider: Server,
    own: [ZoneServer; 2],
    resolver: ZoneServer,
    app: String,
}

impl Stage {
    async fn new(postgres: Option<Postgres>, worker: Worker) -> Self {
        Self::with(postgres, worker, true, |_| {}).await
    }

    /// `delegated`: whether the world asks the servers of this provider about the zone.
    async fn with(
        postgres: Option<Postgres>,
        worker: Worker,
        delegated: bool,
        adjust: impl FnOnce(&mut Settings),
    ) -> Self {
        let provider = Server::start(cloudflare::shim()).await;
        let shim = provider.shim().extra();
        provider.zone(|zone| zone.seed(ZONE, "MX", "10 mail.customer.test.", shim));
        let own = [ZoneServer::start().await, ZoneServer::start().await];
        let resolver = ZoneServer::start().await;
        for server in own.iter().chain([&resolver]) {
            server.delegates(ZONE, &[&own[0], &own[1]]);
            if delegated {
                server.publishes(&provider);
            }
        }
        let settings = [
            ("NAMEGATE_CONTROL__DNS__RESOLVERS", resolver.address().to_string()),
            ("NAMEGATE_CONTROL__DNS__ASK_AUTHORITY", "true".to_owned()),
            ("NAMEGATE_CONTROL__DNS__AUTHORITY_PORT", ZoneServer::PORT.to_string()),
            ("NAMEGATE_CONTROL__DNS__ALLOW_PRIVATE", "true".to_owned()),
            ("NAMEGATE_CONTROL__DEV__DNS_PROVIDERS", format!("http://{}", provider.address)),
        ];
        let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
        let adjust = |settings: &mut Settings| {
            // A busy machine is no slow provider.
            settings.writer.create_wait = Duration::from_secs(60);
            adjust(settings);
        };
        let control = Control::start_adjusted(postgres, worker, None, &settings, adjust).await;
        resolver.knows(&[(TARGET, "A", &control.edge_address().to_string())]);
        let app = control.application().await;
        let stage = Self { control, provider, own, resolver, app };
        let token = stage.provider.shim().credential();
        let body = json!({ "provider": "cloudflare", "token": token }).to_string();
        let path = format!("/v1/applications/{}/credentials", stage.app);
        assert_eq!(stage.control.send(KEY, "POST", &path, &body).await.status, 201);
        stage
    }

    async fn connect(&self) -> Value {
        self.control.connect(&self.app, HOST).await
    }

    async fn read(&self, made: &Value) -> Value {
        self.control.get(KEY, &path(made)).await.json()
    }

    async fn check(&self, made: &Value) -> Value {
        let answer = self.control.send(KEY, "POST", &format!("{}/records:check", path(made)), "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    async fn verify(&self, made: &Value) -> u16 {
        self.control.send(KEY, "POST", &format!("{}/verify", path(made)), "").await.status
    }

    async fn asked(&self) -> u16 {
        self.control.curl(&format!("/internal/ask?domain={HOST}"), &[]).await.status
    }

    async fn events(&self) -> Vec<Value> {
        self.control.get(KEY, "/v1/events").await.json()["data"].as_array().unwrap().clone()
    }

    async fn until_state(&self, made: &Value, state: &str) -> Value {
        wait::until(state, async || {
            let now = self.read(made).await;
            (now["state"] == state).then_some(now)
        })
        .await
    }
}

fn path(made: &Value) -> String {
    format!("/v1/connections/{}", made["id"].as_str().unwrap())
}

fn run(promise: impl Future<Output = Control>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { promise.await.end().await });
}

/// Over both databases.
fn on_both<Fut: Future<Output = Control>>(promise: impl Fn(Option<Postgres>) -> Fut) {
    run(promise(None));
    run(async { promise(Some(Postgres::start().await)).await });
}

#[test]
fn a_connection_jumps_to_propagating_and_its_way_to_live_needs_no_hand() {
    on_both(async |postgres| {
        let stage = Stage::new(postgres, Worker::Off).await;
        let body = json!({ "application_id": stage.app, "hostname": HOST }).to_string();
        let auth = format!("Authorization: Bearer {KEY}");
        let args = ["-X", "POST", "-H", &auth, "-H", "Idempotency-Key: once", "-d", &body];
        let answer = stage.control.curl("/v1/connections", &args).await;
        let made = answer.json();
        assert_eq!((answer.status, &made["state"]), (201, &json!("propagating")), "{made}");
        assert_eq!((&made["setup_type"], &made["provider"]), (&json!("automatic"), &json!("cloudflare")));
        assert_eq!(made.get("ownership_challenge"), None, "{made}");
        assert_eq!(stage.control.curl("/v1/connections", &args).await.json(), made, "the repetition is told the same");
        assert_eq!(stage.provider.values(HOST, "CNAME"), [TARGET]);
        assert_eq!(stage.provider.values(ZONE, "MX").len(), 1);
        let found = stage.control.get(KEY, "/v1/connections?state=propagating").await.json();
        assert_eq!(found["data"][0]["id"], made["id"], "{found}");
        assert_eq!(stage.asked().await, 403, "written is not seen");
        assert_eq!(stage.verify(&made).await, 200);
        assert_eq!(stage.asked().await, 200);
        assert_eq!(stage.check(&made).await["state"], "issuing_cert");
        stage.control.report(HOST).await;
        assert_eq!(stage.read(&made).await["state"], "live");
        let events = stage.events().await;
        let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["domain.added", "domain.verified", "ssl.issued", "domain.flow.completed"]);
        assert_eq!(events[0]["data"], json!({ "hostname": HOST, "setup_type": "automatic" }));
        let metrics = stage.control.curl("/metrics", &[]).await.text;
        let counted = "namegate_control_dns_writes_total{outcome=\"written\",provider=\"cloudflare\"} 1";
        assert!(metrics.contains(counted), "{metrics}");
        stage.control
    });
}

#[test]
fn what_would_be_written_is_shown_before_anything_is_made() {
    run(async {
        let stage = Stage::new(None, Worker::Off).await;
        let body = json!({ "application_id": stage.app, "hostname": HOST, "dry_run": true }).to_string();
        let shown = stage.control.send(KEY, "POST", "/v1/connections", &body).await;
        let changes = &shown.json()["changes"];
        assert_eq!((shown.status, &changes[0]["type"], &changes[1]["add"]), (200, &json!("TXT"), &json!([TARGET])));
        assert_eq!(stage.provider.writes(), 0);
        assert_eq!(stage.control.get(KEY, "/v1/connections").await.json()["data"], json!([]));
        assert_eq!(stage.events().await, [Value::Null; 0]);
        stage.control
    });
}

#[test]
fn a_zone_in_a_strangers_own_account_proves_nothing() {
    run(async {
        let stage = Stage::with(None, Worker::Off, false, |_| {}).await;
        let made = stage.connect().await;
        assert_eq!(made["state"], "propagating", "the provider has taken the records: {made}");
        assert_eq!(stage.provider.values(HOST, "CNAME"), [TARGET]);
        assert_eq!((stage.verify(&made).await, stage.asked().await), (409, 403));
        let now = stage.read(&made).await;
        assert_eq!((&now["state"], &now["reason_code"]), (&json!("propagating"), &json!("records_written")), "{now}");
        // Nor does pointing here, which costs a stranger nothing.
        for server in stage.own.iter().chain([&stage.resolver]) {
            server.knows(&[(HOST, "CNAME", TARGET)]);
        }
        stage.check(&made).await;
        assert_eq!((stage.verify(&made).await, stage.asked().await), (409, 403));
        stage.control
    });
}

#[test]
fn a_name_is_not_here_before_every_server_of_its_zone_shows_what_was_written() {
    run(async {
        let stage = Stage::new(None, Worker::Off).await;
        let [first, late] = &stage.own;
        late.freeze();
        let made = stage.connect().await;
        // The challenge counts when all servers that answer show it; a secondary that is behind does not.
        assert_eq!(stage.verify(&made).await, 409);
        assert_eq!(stage.read(&made).await["reason_code"], "challenge_partly_visible");
        late.thaw();
        assert_eq!(stage.verify(&made).await, 200);
        late.silent(true);
        let seen = stage.check(&made).await;
        assert_eq!((&seen["state"], &seen["reason_code"]), (&json!("propagating"), &json!("partly_visible")), "{seen}");
        assert!(seen["message"].as_str().unwrap().contains(&late.ip().to_string()), "{seen}");
        late.silent(false);
        assert_eq!(stage.check(&made).await["state"], "issuing_cert");
        assert!(first.questions() > 0 && late.questions() > 0);
        stage.control
    });
}

#[test]
fn the_customers_former_site_stays_until_its_owner_agrees() {
    run(async {
        let stage = Stage::new(None, Worker::Off).await;
        let extra = stage.provider.shim().extra();
        stage.provider.zone(|zone| zone.seed(HOST, "A", "203.0.113.7", extra));
        let made = stage.connect().await;
        assert_eq!((&made["state"], &made["setup_type"]), (&json!("pending_ownership"), &json!("manual")), "{made}");
        assert_eq!(made["reason_code"], "dns_write_refused");
        assert!(made["user_message"].as_str().unwrap().contains("203.0.113.7"), "{made}");
        assert!(made["ownership_challenge"]["value"].is_string(), "{made}");
        assert_eq!(stage.provider.values(HOST, "A"), ["203.0.113.7"]);
        let apply = format!("{}/records:apply", path(&made));
        let shown = stage.control.send(KEY, "POST", &apply, r#"{"dry_run":true}"#).await.json();
        let body = json!({ "confirm": shown["confirm"] }).to_string();
        let done = stage.control.send(KEY, "POST", &apply, &body).await.json();
        assert_eq!(done["applied"], true, "{done}");
        assert_eq!(stage.read(&made).await["state"], "propagating");
        assert_eq!(stage.events().await[0]["type"], "domain.added");
        stage.control
    });
}

#[test]
fn who_wants_to_do_it_by_hand_is_left_alone() {
    run(async {
        let stage = Stage::new(None, Worker::Off).await;
        let body = json!({ "application_id": stage.app, "hostname": HOST, "setup_type": "manual" }).to_string();
        let made = stage.control.send(KEY, "POST", "/v1/connections", &body).await.json();
        assert_eq!((&made["state"], stage.provider.calls()), (&json!("pending_ownership"), 0), "{made}");
        stage.control
    });
}

#[test]
fn a_provider_that_takes_its_time_holds_no_answer_and_is_written_all_the_same() {
    run(async {
        let stage = Stage::with(None, Worker::On, true, |settings| {
            settings.writer.create_wait = Duration::from_millis(200);
            settings.writer.attempt = Duration::from_secs(1);
            settings.writer.lease = Duration::from_secs(3);
            settings.writer.beat = Duration::from_millis(500);
        })
        .await;
        stage.provider.faults(|seen| (seen.number == 1).then_some(Fault::HangBefore));
        let made = stage.connect().await;
        assert_eq!((&made["state"], &made["reason_code"]), (&json!("dns_writing"), &json!("records_being_written")));
        stage.until_state(&made, "issuing_cert").await;
        stage.control
    });
}

#[test]
fn a_broken_credential_of_another_customer_holds_up_nobody() {
    run(async {
        let stage = Stage::new(None, Worker::Off).await;
        let ip = stage.own[0].ip().to_string();
        stage.resolver.knows(&[("elsewhere.test", "NS", "ns1.desec.io"), ("ns1.desec.io", "A", &ip)]);
        stage.provider.faults(|_| Some(Fault::Raw(Resp::new(503, "busy"))));
        let made = stage.control.connect(&stage.app, "shop.elsewhere.test").await;
        assert_eq!((&made["state"], &made["reason_code"]), (&json!("pending_ownership"), &json!("challenge_missing")));
        assert!(made["ownership_challenge"]["value"].is_string(), "{made}");
        stage.control
    });
}

#[test]
fn a_fault_of_the_provider_is_told_and_passes() {
    run(async {
        let stage = Stage::new(None, Worker::On).await;
        stage.provider.faults(|seen| (seen.number <= 4).then(|| Fault::Raw(Resp::new(503, "busy"))));
        let made = stage.connect().await;
        assert_eq!(made["state"], "dns_writing", "{made}");
        assert!(made["user_message"].as_str().unwrap().contains("We try again by ourselves"), "{made}");
        assert_eq!(made["attempts"][0]["kind"], "dns_write", "{made}");
        stage.until_state(&made, "issuing_cert").await;
        stage.control
    });
}
