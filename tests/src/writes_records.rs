//! A stored credential of a DNS provider, and a name that goes live without a hand: the real binaries, a CA, the zone's
//! own name servers, and a server on loopback that answers as the provider does.
//!
//! What the API says on the way is the transcript of `docs/dns-providers.md`, word for word; `UPDATE=1` writes it there.

use std::{path::Path, sync::Arc};

use serde_json::{Value, json};
use test_support::{
    AcmeProxy, ControlOptions, ControlProcess, Document, EdgeOptions, EdgeProcess, Loopback, Origin, Pebble,
    PebbleOptions, ZoneServer,
    client::TlsClient,
    provider::{
        server::{Fault, Server},
        shim::{No, Shim, ZONE},
        shims::{cloudflare, namecheap, route53},
    },
    wait,
};

const HOST: &str = "shop.customer.test";
const DOCUMENT: &str = "docs/dns-providers.md";

/// What a customer's zone holds beside ours.
const USUAL: [(&str, &str, &str); 4] = [
    (ZONE, "A", "192.0.2.1"),
    (ZONE, "MX", "10 mail.customer.test."),
    (ZONE, "TXT", "v=spf1 -all"),
    ("www.customer.test", "CNAME", ZONE),
];

/// A customer's zone at a provider, with two name servers, and a resolver that knows the way to them.
struct Customer {
    provider: Server,
    own: [ZoneServer; 2],
    resolver: ZoneServer,
}

impl Customer {
    async fn new(shim: Arc<dyn Shim>, host: &Loopback) -> Self {
        let provider = Server::start(Arc::clone(&shim)).await;
        provider.zone(|zone| {
            for (name, kind, value) in USUAL {
                zone.seed(name, kind, &shim.encode(kind, value), shim.extra());
            }
        });
        let own = [ZoneServer::start().await, ZoneServer::start().await];
        let resolver = ZoneServer::start().await;
        for server in own.iter().chain([&resolver]) {
            server.delegates(ZONE, &[&own[0], &own[1]]);
            server.publishes(&provider);
        }
        resolver.knows(&[(ControlOptions::TARGET, "A", &host.ip().to_string())]);
        Self { provider, own, resolver }
    }

    fn control(&self, host: &Loopback) -> ControlOptions {
        ControlOptions::on(host).set(&format!(
            "[dns]\nresolvers = [\"{}\"]\nask_authority = true\nauthority_port = {}\nallow_private = true\n\
             [dev]\ndns_providers = \"http://{}\"",
            self.resolver.address(),
            ZoneServer::PORT,
            self.provider.address
        ))
    }

    fn credential(&self) -> Value {
        let shim = self.provider.shim();
        json!({ "provider": shim.key(), "token": shim.credential(), "zone_id": shim.zone_id() })
    }
}

/// What was asked and what was said, without what differs from run to run.
struct Transcript {
    control: ControlProcess,
    text: String,
    /// Texts and what stands for them.
    hidden: Vec<(String, &'static str)>,
}

impl Transcript {
    /// Asks, notes the question and these fields of the answer.
    async fn ask(&mut self, method: &str, path: &str, body: Option<Value>, fields: &[&str]) -> Value {
        let (status, answer) = self.control.send(method, path, body.as_ref()).await;
        let body = body.map(|body| format!(" {body}")).unwrap_or_default();
        let shown =
            fields.iter().map(|field| format!("\"{field}\": {}", answer[*field])).collect::<Vec<_>>().join(", ");
        if path.ends_with("/credentials") {
            self.hide(&answer["id"], "<CREDENTIAL_ID>");
        } else if method == "POST" && path == "/v1/connections" {
            self.hide(&answer["id"], "<ID>");
        }
        self.note(&format!("$ {method} {path}{body}\n{status} {{{shown}}}"));
        assert!((200..300).contains(&status), "{answer}");
        answer
    }

    fn hide(&mut self, value: &Value, name: &'static str) {
        self.hidden.extend(value.as_str().map(|value| (value.to_owned(), name)));
    }

    fn note(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// The records of the zone, with what the provider itself calls them.
    fn note_zone(&mut self, provider: &Server) {
        let mut lines = provider.published();
        lines.sort();
        self.note("# the zone at the provider:");
        lines.into_iter().for_each(|(name, kind, value)| self.note(&format!("  {name} {kind} {value}")));
    }

    fn finished(&self) -> String {
        let text = self.hidden.iter().fold(self.text.clone(), |text, (value, name)| text.replace(value, name));
        // A challenge is another one each time.
        let mut parts = text.split("cd-verify-");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| {
            let rest = part.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
            format!("{text}cd-verify-…{rest}")
        })
    }

    async fn until(&self, path: &str, what: &str, is: impl Fn(&Value) -> bool) {
        let look = async || Some(self.control.get(path).await.1).filter(|now| is(now));
        if wait::within(wait::LIMIT, look).await.is_none() {
            panic!("never {what}: {}\n{}", self.control.get(path).await.1, self.control.log());
        }
    }
}

/// From the credential to HTTPS. `late`: the zone's second server hears of nothing at first.
async fn goes_live(shim: Arc<dyn Shim>, late: bool, fault: Option<Fault>) {
    let key = shim.key();
    let host = Loopback::take();
    let pebble = Pebble::start(&host, PebbleOptions::default()).await;
    pebble.dns().set_default(Some(host.ip())).await;
    let proxy = AcmeProxy::start(&host, &pebble).await;
    let origin = Origin::start(&host).await;
    let customer = Customer::new(shim, &host).await;
    let others = customer.provider.others(&[]);
    let control = ControlProcess::start(customer.control(&host).origin(&origin.url())).await;
    let edge = EdgeProcess::start(EdgeOptions::on(&host).control(&control).acme_proxy(&proxy)).await;
    let (_, application) = control.send("POST", "/v1/applications", Some(&json!({ "name": "Shop" }))).await;
    let app = application["id"].as_str().unwrap().to_owned();
    let mut said = Transcript { control, text: String::new(), hidden: Vec::new() };
    said.hide(&application["id"], "<APP_ID>");
    said.hide(&customer.credential()["token"], "<CREDENTIAL>");

    let credentials = format!("/v1/applications/{app}/credentials");
    let stored = said.ask("POST", &credentials, Some(customer.credential()), &["provider", "zone_id"]).await;
    let test = format!("{credentials}/{}/test", stored["id"].as_str().unwrap());
    said.ask("POST", &test, Some(json!({ "hostname": HOST })), &["ok", "zone", "records"]).await;
    let wish = json!({ "application_id": app, "hostname": HOST, "origin": origin.url() });
    said.hide(&json!(origin.url()), "http://127.0.0.1:3000");
    let dry = json!({ "application_id": app, "hostname": HOST, "dry_run": true });
    said.ask("POST", "/v1/connections", Some(dry), &["applied", "provider", "zone", "changes"]).await;
    assert_eq!((customer.provider.others(&[]), customer.provider.writes()), (others.clone(), 0), "looking wrote");
    if late {
        customer.own[1].freeze();
    }
    if let Some(fault) = fault {
        customer.provider.faults(move |seen| (seen.number % 2 == 1).then(|| fault.clone()));
    }
    let made =
        said.ask("POST", "/v1/connections", Some(wish), &["state", "setup_type", "provider", "reason_code"]).await;
    assert_eq!((&made["state"], &made["setup_type"]), (&json!("propagating"), &json!("automatic")), "{made}");
    said.note_zone(&customer.provider);
    let path = format!("/v1/connections/{}", made["id"].as_str().unwrap());
    let client = TlsClient::trusting(pebble.issuer_root_pem()).without_resumption();
    if late {
        said.note("# the second of the zone's two name servers is behind:");
        said.until(&path, "partly visible", |now| now["reason_code"] == "challenge_partly_visible").await;
        said.ask("GET", &path, None, &["state", "reason_code", "message"]).await;
        assert!(edge.get(&client, HOST, "/").await.is_err(), "the gate is open before all servers show it");
        said.note("# it has caught up; the worker looks every few seconds:");
        customer.own[1].thaw();
    } else {
        said.note("# some seconds later:");
    }
    said.until(&path, "live", |now| now["state"] == "live").await;
    said.ask("GET", &path, None, &["state", "reason_code", "setup_type", "provider"]).await;
    let events = said.control.get("/v1/events").await.1;
    said.note("$ GET /v1/events");
    for event in events["data"].as_array().unwrap() {
        said.note(&format!("  {} {}", event["type"].as_str().unwrap(), event["data"]));
    }
    let answer = edge.get(&client, HOST, "/").await.unwrap();
    said.note(&format!("$ curl https://{HOST}/\n{}", answer.status().as_u16()));
    assert_eq!(answer.status(), 200);
    let kinds: Vec<_> = events["data"].as_array().unwrap().iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds, ["domain.added", "domain.verified", "ssl.issued", "domain.flow.completed"]);
    let challenge = format!("_customdomain-challenge.{HOST}");
    assert_eq!(customer.provider.others(&[HOST, &challenge]), others, "nothing else is touched");
    assert!(!said.control.log().contains(&customer.provider.shim().credential()), "the log holds the credential");
    is_in_the_document(key, &said.finished());
}

/// The document's transcript of a provider is what was said just now.
fn is_in_the_document(key: &str, said: &str) {
    if std::env::var_os("UPDATE").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(DOCUMENT);
        let text = std::fs::read_to_string(&path).unwrap();
        let start = format!("```text {key}\n");
        let (before, rest) = text.split_once(&start).unwrap();
        let (_, after) = rest.split_once("```\n").unwrap();
        std::fs::write(&path, format!("{before}{start}{said}```\n{after}")).unwrap();
    }
    let document = Document::read(DOCUMENT);
    let blocks = document.of_language("text");
    let block = blocks.iter().find(|block| block.notes == [key]).unwrap_or_else(|| panic!("no transcript of {key}"));
    assert!(block.text == said, "{}: the API says this now (UPDATE=1 writes it there):\n{said}", block.place);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_at_cloudflare_goes_live_once_every_server_of_its_zone_shows_it() {
    goes_live(cloudflare::shim(), true, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_at_route_53_goes_live_although_every_second_call_is_refused_for_its_rate() {
    goes_live(route53::shim(), false, Some(Fault::No(No::Rate(0)))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_at_namecheap_goes_live_and_the_rest_of_the_zone_is_written_back() {
    goes_live(namecheap::shim(), false, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_while_it_writes_completes_it_when_it_is_back() {
    let host = Loopback::take();
    let customer = Customer::new(namecheap::shim(), &host).await;
    let others = customer.provider.others(&[]);
    let mut control = ControlProcess::start(customer.control(&host)).await;
    let (_, application) = control.send("POST", "/v1/applications", Some(&json!({ "name": "Shop" }))).await;
    let app = application["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/applications/{app}/credentials");
    assert_eq!(control.send("POST", &path, Some(&customer.credential())).await.0, 201);
    // The provider takes the zone, and the process dies before it hears of that.
    customer.provider.faults(|seen| seen.writes.then_some(Fault::HangAfter));
    let wish = json!({ "application_id": app, "hostname": HOST });
    let written = async {
        wait::until("the provider has the zone", async || (customer.provider.writes() == 1).then_some(())).await;
    };
    tokio::select! {
        answer = control.send("POST", "/v1/connections", Some(&wish)) => panic!("{answer:?}"),
        () = written => {}
    }
    control.kill9();
    customer.provider.well();
    control.restart().await;
    let (_, page) = control.get("/v1/connections").await;
    let made = page["data"][0].clone();
    let path = format!("/v1/connections/{}", made["id"].as_str().unwrap());
    let is_here = async || (control.get(&path).await.1["state"] == "issuing_cert").then_some(());
    wait::until("the write is completed and seen", is_here).await;
    let events = control.get("/v1/events").await.1;
    let kinds: Vec<_> = events["data"].as_array().unwrap().iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds, ["domain.added", "domain.verified"]);
    assert_eq!(customer.provider.others(&[HOST, &format!("_customdomain-challenge.{HOST}")]), others);
    assert_eq!(customer.provider.values(HOST, "CNAME"), [ControlOptions::TARGET]);
}
