//! A name whose DNS is not right yet costs no order and no failed validation; what cannot be told costs no certificate.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use http::StatusCode;
use rustls::AlertDescription;
use serde_json::{Value, json};
use test_support::{
    AcmeProxy, EdgeOptions, EdgeProcess, FakeControl, FakeGate, Kind, Loopback, Origin, Pebble, PebbleOptions, Reply,
    ZoneServer, client::TlsClient, wait,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::AbortHandle,
};

use crate::stack::Issuing;

/// What Pebble is made to call itself in CAA records.
const CA: &str = "pebble.test";

impl Issuing {
    /// What `explain` says of a name.
    async fn explain(&self, name: &str) -> Value {
        explain(&self.edge, name).await
    }

    /// A visit ends with an alert at once, nothing was ordered, and everybody who asks is told why.
    async fn refuses(&self, name: &str, code: &str) -> String {
        let refused = self.get(name, "/").await.unwrap_err();
        assert_eq!(refused.alert(), Some(AlertDescription::InternalError), "{name}");
        assert_eq!(self.orders(name), 0, "{name}");
        assert_eq!(self.edge.metric(&format!("namegate_edge_preflights_total{{result=\"{code}\"}}")).await, 1.0);
        assert_eq!(self.edge.metric(&format!("namegate_edge_acme_failures_total{{reason=\"{code}\"}}")).await, 1.0);
        let explained = self.explain(name).await;
        let last = &explained["certificate"]["failure"]["last"][0];
        assert_eq!(last["reason"], code, "{explained}");
        assert_eq!(explained["certificate"]["failure"]["attempts"], 0, "no rung of the CA's ladder: {explained}");
        let detail = last["detail"].as_str().unwrap().to_owned();
        assert!(explained["reason"].as_str().unwrap().contains(&detail), "{explained}");
        let log = self.edge.log();
        let told = log.lines().any(|line| line.contains("cert.failed") && line.contains(code) && line.contains(name));
        assert!(told, "the log does not tell of {code}");
        detail
    }
}

async fn explain(edge: &EdgeProcess, name: &str) -> Value {
    let output = edge.command(&["explain", name, "--format", "json"]).await;
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", output.stderr))
}

/// A web server of somebody else's, on the port of HTTP-01, that says one thing to everybody.
struct Elsewhere {
    host: Loopback,
    asked: Arc<AtomicUsize>,
    /// Requests of looks.
    looked: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Elsewhere {
    async fn says(answer: &str) -> Self {
        Self::at(Loopback::take(), answer).await
    }

    async fn at(host: Loopback, answer: &str) -> Self {
        let listener = TcpListener::bind(host.at(8000)).await.unwrap();
        let (answer, asked, looked) = (answer.to_owned(), Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let counts = (asked.clone(), looked.clone());
        let task = tokio::spawn(async move {
            loop {
                let Ok((mut tcp, _)) = listener.accept().await else { continue };
                let (answer, (asked, looked)) = (answer.clone(), counts.clone());
                tokio::spawn(async move {
                    // A request without content fits into one read; whoever leaves has heard enough.
                    let mut request = [0; 4096];
                    let length = tcp.read(&mut request).await.unwrap_or_default();
                    asked.fetch_add(1, Ordering::SeqCst);
                    if String::from_utf8_lossy(&request[..length]).contains("(preflight)") {
                        looked.fetch_add(1, Ordering::SeqCst);
                    }
                    let _ = tcp.write_all(answer.as_bytes()).await;
                    let _ = tcp.shutdown().await;
                });
            }
        });
        Self { host, asked, looked, task: task.abort_handle() }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn looked(&self) -> usize {
        self.looked.load(Ordering::SeqCst)
    }
}

const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn a_name_that_is_not_in_the_dns_costs_one_look_and_no_order_however_many_visit_it() {
    let stack = Issuing::start().await;
    stack.pebble.dns().set_default(None).await;
    let visits = join_all((0..50).map(|_| stack.get("absent.customer.test", "/"))).await;
    for visit in visits {
        assert_eq!(visit.unwrap_err().alert(), Some(AlertDescription::InternalError));
    }
    let detail = stack.refuses("absent.customer.test", "dns_no_address").await;
    assert!(detail.contains("absent.customer.test has neither an A nor an AAAA record"), "{detail}");
    assert_eq!(stack.proxy.count(Kind::NewOrder), 0);
    // One resolver, asked again before its "no" is believed.
    let questions = stack.pebble.dns().questions("absent.customer.test").await;
    assert_eq!(questions.iter().filter(|kind| **kind == 1).count(), 2, "{questions:?}");
    let explained = stack.explain("absent.customer.test").await;
    assert_eq!(explained["outcome"], "refuse", "{explained}");
}

#[tokio::test]
async fn caa_records_that_forbid_are_told_of_word_for_word_and_nothing_is_ordered() {
    let stack = Issuing::start().await;
    stack.proxy.calls_itself(&[CA]);
    let dns = stack.pebble.dns();
    dns.set_caa("customer.test", "issue", "other.example").await;
    let detail = stack.refuses("shop.customer.test", "caa_forbids").await;
    let record = "customer.test CAA 0 issue \"other.example\"";
    let remedy = format!("Add customer.test CAA 0 issue \"{CA}\"");
    assert!(detail.contains(record) && detail.contains(&remedy), "{detail}");
    // Nearer records hold (RFC 8659 section 3).
    dns.set_caa("open.customer.test", "issue", CA).await;
    assert_eq!(stack.get("open.customer.test", "/").await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_caa_record_for_another_account_keeps_ours_from_ordering_and_one_for_ours_does_not() {
    let stack = Issuing::start().await;
    stack.proxy.calls_itself(&[CA]);
    let dns = stack.pebble.dns();
    let other = format!("{CA}; accounturi=https://pebble.test/my-account/other");
    dns.set_caa("theirs.test", "issue", &other).await;
    let detail = stack.refuses("theirs.test", "caa_account").await;
    assert!(detail.contains(&format!("theirs.test CAA 0 issue \"{other}\"")), "{detail}");
    let own = detail.split("accounturi=").last().unwrap().split('"').next().unwrap();
    dns.set_caa("ours.test", "issue", &format!("{CA}; accounturi={own}")).await;
    assert_eq!(stack.get("ours.test", "/").await.unwrap().status(), StatusCode::OK);
    dns.set_caa("method.test", "issue", &format!("{CA}; validationmethods=dns-01")).await;
    stack.refuses("method.test", "caa_method").await;
}

#[tokio::test]
async fn a_ca_that_caa_records_forbid_is_passed_over_and_the_next_one_issues() {
    let (host, second) = (Loopback::take(), Loopback::take());
    let first = Pebble::start(&host, PebbleOptions::default()).await;
    let forbidden = AcmeProxy::start(&host, &first).await;
    let options = PebbleOptions { name_server: Some(first.name_server()), ..PebbleOptions::default() };
    let other = Pebble::start(&second, options).await;
    let allowed = AcmeProxy::start(&second, &other).await;
    let roots = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(roots.path(), [forbidden.root_pem(), allowed.root_pem()].concat()).unwrap();
    forbidden.calls_itself(&["forbidden.test"]);
    allowed.calls_itself(&["allowed.test"]);
    first.dns().set_caa("shop.test", "issue", "allowed.test").await;
    let (gate, origin) = (FakeGate::start(&host).await, Origin::start(&host).await);
    gate.set_default(Reply::origin(&origin.url()));
    let (one, two) = (forbidden.directory_url(), allowed.directory_url());
    let directories = format!("[acme]\ndirectory = [{one:?}, {two:?}]\nca_root = {:?}", roots.path());
    let options = EdgeOptions::on(&host).gate(&gate).acme_proxy(&forbidden).set(&directories);
    let edge = EdgeProcess::start(options).await;
    let client = TlsClient::trusting(other.issuer_root_pem());
    assert_eq!(edge.get(&client, "shop.test", "/").await.unwrap().status(), StatusCode::OK);
    assert_eq!((forbidden.count(Kind::NewOrder), allowed.orders_for("shop.test")), (0, 1));
}

#[tokio::test]
async fn a_name_that_somebody_else_answers_for_costs_no_order_once_the_edge_has_seen_itself() {
    let stack = Issuing::start().await;
    assert_eq!(stack.get("here.test", "/").await.unwrap().status(), StatusCode::OK);
    let elsewhere = Elsewhere::says(NOT_FOUND).await;
    stack.pebble.dns().set_a("moved.test", &[elsewhere.host.ip()]).await;
    let detail = stack.refuses("moved.test", "points_elsewhere").await;
    assert!(detail.contains(&format!("{} answers 404 Not Found", elsewhere.host.ip())), "{detail}");
    assert_eq!((elsewhere.asked(), elsewhere.looked()), (1, 1));
    // An old home that sends everybody to HTTPS, to itself or to its main name, is elsewhere too.
    let redirect = "HTTP/1.1 301 Moved Permanently\r\nLocation: http://main.test:8000/\r\nContent-Length: 0\r\n\r\n";
    let redirecting = Elsewhere::says(redirect).await;
    stack.pebble.dns().set_a("main.test", &[elsewhere.host.ip()]).await;
    stack.pebble.dns().set_a("redirected.test", &[redirecting.host.ip()]).await;
    assert!(stack.get("redirected.test", "/").await.is_err());
    assert_eq!((stack.orders("redirected.test"), elsewhere.asked()), (0, 2));
}

#[tokio::test]
async fn an_edge_that_has_never_seen_itself_leaves_it_to_the_ca_where_a_name_leads() {
    let stack = Issuing::start().await;
    let elsewhere = Elsewhere::says(NOT_FOUND).await;
    stack.pebble.dns().set_a("first.test", &[elsewhere.host.ip()]).await;
    assert!(stack.get("first.test", "/").await.is_err());
    assert!(stack.orders("first.test") >= 1);
    assert_eq!(stack.edge.metric("namegate_edge_preflights_total{result=\"unsure\"}").await, 1.0);
}

#[tokio::test]
async fn one_address_of_several_that_leads_here_is_enough() {
    let stack = Issuing::start().await;
    assert_eq!(stack.get("here.test", "/").await.unwrap().status(), StatusCode::OK);
    let (elsewhere, here) = (Elsewhere::says(NOT_FOUND).await, stack.edge.https().ip());
    let std::net::IpAddr::V4(here) = here else { panic!("{here}") };
    stack.pebble.dns().set_a("both.test", &[elsewhere.host.ip(), here]).await;
    // Pebble may take either; that the order was placed is what counts.
    let _ = stack.get("both.test", "/").await;
    assert!(stack.orders("both.test") >= 1);
    assert_eq!(stack.edge.metric("namegate_edge_preflights_total{result=\"clear\"}").await, 2.0);
}

#[tokio::test]
async fn another_program_on_port_80_does_not_keep_a_name_from_its_certificate() {
    let host = Loopback::take();
    let pebble = Pebble::start(&host, PebbleOptions::default()).await;
    let proxy = AcmeProxy::start(&host, &pebble).await;
    let (gate, origin) = (FakeGate::start(&host).await, Origin::start(&host).await);
    gate.set_default(Reply::origin(&origin.url()));
    let _other = Elsewhere::at(host.clone(), NOT_FOUND).await;
    let plain = format!("[listen]\nhttp = [\"{}\"]", host.at(8001));
    let options = EdgeOptions::on(&host).gate(&gate).acme_proxy(&proxy).set(&plain);
    let edge = EdgeProcess::start(options).await;
    let client = TlsClient::trusting(pebble.issuer_root_pem());
    for name in ["one.test", "two.test"] {
        assert_eq!(edge.get(&client, name, "/").await.unwrap().status(), StatusCode::OK, "{name}");
    }
    assert_eq!(edge.metric("namegate_edge_preflights_total{result=\"clear\"}").await, 2.0);
}

/// Nothing of it is on port 80, where authorities look for HTTP-01.
#[tokio::test]
async fn an_edge_without_a_plain_listener_sees_itself_by_its_certificate_alone() {
    let (host, other) = (Loopback::take(), Loopback::take());
    let pebble = Pebble::start(&host, PebbleOptions::default()).await;
    let proxy = AcmeProxy::start(&host, &pebble).await;
    let (gate, origin) = (FakeGate::start(&host).await, Origin::start(&host).await);
    gate.set_default(Reply::origin(&origin.url()));
    let on = |host| EdgeOptions::on(host).gate(&gate).acme_proxy(&proxy).set("[listen]\nhttp = []");
    let edge = EdgeProcess::start(on(&host)).await;
    let client = TlsClient::trusting(pebble.issuer_root_pem());
    for name in ["one.test", "two.test"] {
        assert_eq!(edge.get(&client, name, "/").await.unwrap().status(), StatusCode::OK, "{name}");
    }
    assert_eq!(edge.metric("namegate_edge_preflights_total{result=\"clear\"}").await, 2.0);
    // Another edge of the fleet has no such order, and says no more than that.
    let _sibling = EdgeProcess::start(on(&other)).await;
    pebble.dns().set_a("sibling.test", &[other.ip()]).await;
    let _ = edge.get(&client, "sibling.test", "/").await;
    assert!(proxy.orders_for("sibling.test") >= 1);
    assert_eq!(edge.metric("namegate_edge_preflights_total{result=\"unsure\"}").await, 1.0);
}

#[tokio::test]
async fn another_edge_of_the_fleet_is_not_taken_for_somebody_else() {
    let stack = Issuing::start().await;
    assert_eq!(stack.get("here.test", "/").await.unwrap().status(), StatusCode::OK);
    let host = Loopback::take();
    let options = EdgeOptions::on(&host).gate(&stack.gate).acme_proxy(&stack.proxy);
    let sibling = EdgeProcess::start(options).await;
    stack.pebble.dns().set_a("there.test", &[host.ip()]).await;
    // The CA goes there, where no such order is known; that it was asked is what counts.
    let _ = stack.get("there.test", "/").await;
    assert!(stack.orders("there.test") >= 1);
    assert!(sibling.metric("namegate_edge_plain_requests_total{answer=\"sibling\"}").await >= 1.0);
    assert_eq!(stack.edge.metric("namegate_edge_preflights_total{result=\"unsure\"}").await, 1.0);
}

/// What is not a whole answer within the bounds, at every address, is no "no".
#[tokio::test]
async fn what_a_look_cannot_take_in_keeps_no_order_from_being_placed() {
    let stack = Issuing::start_with("[acme.preflight]\ntimeout = \"2s\"", PebbleOptions::default()).await;
    assert_eq!(stack.get("here.test", "/").await.unwrap().status(), StatusCode::OK);
    let dns = stack.pebble.dns();
    let large = format!("HTTP/1.1 404 Not Found\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    let many = format!("HTTP/1.1 404 Not Found\r\n{}\r\n", "X: x\r\n".repeat(150));
    let on_and_on = "HTTP/1.1 302 Found\r\nLocation: http://circle.test:8000/\r\nContent-Length: 0\r\n\r\n";
    let answers = [("large.test", large.as_str()), ("many.test", &many), ("circle.test", on_and_on)];
    let mut servers = Vec::new();
    for (name, answer) in answers {
        let server = Elsewhere::says(answer).await;
        dns.set_a(name, &[server.host.ip()]).await;
        servers.push(server);
    }
    let (nobody, silent) = (Loopback::take(), Loopback::take());
    let elsewhere = Elsewhere::says(NOT_FOUND).await;
    dns.set_a("half.test", &[elsewhere.host.ip(), nobody.ip()]).await;
    let _silent = TcpListener::bind(silent.at(8000)).await.unwrap();
    dns.set_a("silent.test", &[silent.ip()]).await;
    for name in ["large.test", "many.test", "circle.test", "half.test", "silent.test"] {
        // The CA may take its time there; that it was asked soon is what counts.
        let ordered = wait::within(Duration::from_secs(20), async || (stack.orders(name) >= 1).then_some(()));
        let ordered = tokio::select! {
            ordered = ordered => ordered,
            _ = stack.get(name, "/") => (stack.orders(name) >= 1).then_some(()),
        };
        assert!(ordered.is_some(), "{name}");
    }
    assert_eq!(servers[2].looked(), 6, "five redirects are followed");
}

#[tokio::test]
async fn of_many_addresses_eight_are_visited_and_the_rest_is_not_held_against_the_name() {
    let stack = Issuing::start().await;
    assert_eq!(stack.get("here.test", "/").await.unwrap().status(), StatusCode::OK);
    let mut servers = Vec::new();
    for _ in 0..9 {
        servers.push(Elsewhere::says(NOT_FOUND).await);
    }
    let addresses: Vec<_> = servers.iter().map(|server| server.host.ip()).collect();
    stack.pebble.dns().set_a("nine.test", &addresses).await;
    let _ = stack.get("nine.test", "/").await;
    assert!(stack.orders("nine.test") >= 1);
    assert!(servers.iter().map(Elsewhere::looked).sum::<usize>() <= 8);
    stack.pebble.dns().set_a("eight.test", &addresses[..8]).await;
    assert!(stack.get("eight.test", "/").await.is_err());
    assert_eq!(stack.orders("eight.test"), 0, "eight others are certain");
}

#[tokio::test]
async fn content_beyond_what_is_awaited_is_somebody_elses_however_long_it_goes_on() {
    let stack = Issuing::start().await;
    assert_eq!(stack.get("here.test", "/").await.unwrap().status(), StatusCode::OK);
    let endless = format!("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n{}", "x".repeat(2000));
    let elsewhere = Elsewhere::says(&endless).await;
    stack.pebble.dns().set_a("page.test", &[elsewhere.host.ip()]).await;
    let detail = stack.refuses("page.test", "points_elsewhere").await;
    assert!(detail.contains("answers with another content"), "{detail}");
}

#[tokio::test]
async fn servers_that_fail_and_servers_that_are_silent_keep_no_order_from_being_placed() {
    let silent = ZoneServer::start().await;
    silent.silent(true);
    let settings = format!("[acme.preflight]\nresolvers = [\"{}\"]\ntimeout = \"300ms\"", silent.address());
    let stack = Issuing::start_with(&settings, PebbleOptions::default()).await;
    assert_eq!(stack.get("silent.test", "/").await.unwrap().status(), StatusCode::OK);
    assert!(silent.questions() > 0);
    assert_eq!(stack.edge.metric("namegate_edge_preflights_total{result=\"unsure\"}").await, 1.0);
    // Whoever never answers is not asked for long.
    for name in ["a.test", "b.test", "c.test", "d.test"] {
        assert_eq!(stack.get(name, "/").await.unwrap().status(), StatusCode::OK, "{name}");
    }
    stack.edge.logs("orders are placed without a look").await;
    let asked = silent.questions();
    assert_eq!(stack.get("later.test", "/").await.unwrap().status(), StatusCode::OK);
    assert_eq!(silent.questions(), asked);
}

#[tokio::test]
async fn a_zone_that_fails_keeps_no_order_from_being_placed() {
    let stack = Issuing::start().await;
    stack.pebble.dns().servfail("failing.test").await;
    // The CA cannot look either; that it was asked is what counts.
    assert!(stack.get("failing.test", "/").await.is_err());
    assert!(stack.orders("failing.test") >= 1);
    assert_eq!(stack.edge.metric("namegate_edge_preflights_total{result=\"unsure\"}").await, 1.0);
    // To say so is to say something: others are looked at as before.
    for name in ["a.failing.test", "b.failing.test", "c.failing.test", "d.failing.test", "e.failing.test"] {
        stack.pebble.dns().servfail(name).await;
        assert!(stack.get(name, "/").await.is_err());
    }
    assert_eq!(stack.get("fine.test", "/").await.unwrap().status(), StatusCode::OK);
    assert_eq!(stack.edge.metric("namegate_edge_preflights_total{result=\"clear\"}").await, 1.0);
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_costs_no_order_unless_it_may() {
    let closed = Issuing::start_with("[proxy]\nallow_private_origins = false", PebbleOptions::default()).await;
    let detail = closed.refuses("inside.test", "dns_inside").await;
    assert!(detail.contains(&format!("leads to {} alone", closed.edge.https().ip())), "{detail}");
    let open = "[proxy]\nallow_private_origins = false\nprivate_origins = [\"127.0.0.0/8\"]";
    let open = Issuing::start_with(open, PebbleOptions::default()).await;
    assert_eq!(open.get("inside.test", "/").await.unwrap().status(), StatusCode::OK);
    assert_eq!(open.edge.metric("namegate_edge_preflights_total{result=\"clear\"}").await, 1.0);
}

#[tokio::test]
async fn a_look_is_never_led_to_an_inside_address() {
    let victim = Elsewhere::says(NOT_FOUND).await;
    let redirect = "HTTP/1.1 302 Found\r\nLocation: http://victim.test:8000/\r\nContent-Length: 0\r\n\r\n";
    let redirecting = Elsewhere::says(redirect).await;
    let open = format!(
        "[proxy]\nallow_private_origins = false\nprivate_origins = [\"{}\"]\n[acme.preflight]\ntimeout = \"2s\"",
        redirecting.host.ip()
    );
    let stack = Issuing::start_with(&open, PebbleOptions::default()).await;
    let dns = stack.pebble.dns();
    dns.set_a("victim.test", &[victim.host.ip()]).await;
    dns.set_a("redirected.test", &[redirecting.host.ip()]).await;
    dns.set_a("both.test", &[redirecting.host.ip(), victim.host.ip()]).await;
    for name in ["victim.test", "redirected.test", "both.test"] {
        assert!(stack.get(name, "/").await.is_err(), "{name}");
    }
    assert_eq!(stack.orders("victim.test"), 0);
    assert!(redirecting.looked() >= 2, "{}", redirecting.looked());
    // Pebble goes where it likes; of the edge's looks none came.
    let looks = stack.edge.metric("namegate_edge_preflights_total").await;
    assert!(looks >= 3.0 && victim.looked() == 0, "{} of {looks}", victim.looked());
}

#[tokio::test]
async fn the_control_plane_hears_what_was_found_and_when_it_is_looked_at_again() {
    const TOKEN: &str = "a-token-of-the-edges-0123456789abcdef";
    let host = Loopback::take();
    let control = FakeControl::start(&host, TOKEN).await;
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), TOKEN).unwrap();
    let line = format!("[control]\nurl = {:?}\ntoken_file = {:?}", control.url(), token.path());
    let pebble = Pebble::start(&host, PebbleOptions::default()).await;
    pebble.dns().set_default(None).await;
    let proxy = AcmeProxy::start(&host, &pebble).await;
    let gate = FakeGate::start(&host).await;
    let options = EdgeOptions::on(&host).gate(&gate).acme_proxy(&proxy).set(&line);
    let edge = EdgeProcess::start(options).await;
    control.upsert("early.test", 1, &json!({"origin": "http://127.0.0.1:1", "pointing": true}));
    let told = async || control.reports().into_iter().find(|report| report["hostname"] == "early.test");
    let report = wait::until("the failure is reported", told).await;
    assert_eq!(
        (&report["kind"], &report["problem"]["type"]),
        (&json!("failed"), &json!("urn:namegate:dns_no_address"))
    );
    let wait = report["next_attempt_ms"].as_u64().unwrap() - report["at_ms"].as_u64().unwrap();
    let (first, longest) = (Duration::from_secs(60), Duration::from_secs(66));
    assert!((first.as_millis()..=longest.as_millis()).contains(&u128::from(wait)), "{report}");
    assert_eq!(proxy.count(Kind::NewOrder), 0);
    assert!(edge.exited().is_none());
}
