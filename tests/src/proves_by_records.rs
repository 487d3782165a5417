//! Certificates by records in the DNS: a real BIND is the authority, and Pebble looks there.

use std::time::Duration;

use serde_json::json;
use test_support::{
    AcmeProxy, Bind, EdgeOptions, EdgeProcess, FakeControl, FakeGate, Key, Kind, Loopback, Origin, Pebble,
    PebbleOptions, Reply, client::TlsClient, wait,
};

/// The operator's zone and a customer's.
const ZONES: [&str; 2] = ["saas.test", "customer.test"];
const SECRET: &str = "Y2FuYXJ5LW9mLXRoZS10c2lnLWtleS0wMTIzNDU2Nzg=";
const TOKEN: &str = "a-token-of-the-edges-0123456789abcdef";
/// What stood in the operator's zone before, at the very name of a challenge too.
const STANDING: &str = "update add www.saas.test. 300 A 192.0.2.1\n\
    update add _acme-challenge.apps.saas.test. 900 TXT \"somebody else's\"";

struct Scene {
    edge: EdgeProcess,
    gate: FakeGate,
    origin: Origin,
    proxy: AcmeProxy,
    pebble: Pebble,
    bind: Bind,
    _host: Loopback,
    _token: tempfile::NamedTempFile,
}

impl Scene {
    async fn start(names: &[&str]) -> Self {
        Self::start_with(names, SECRET).await
    }

    async fn start_with(names: &[&str], secret: &str) -> Self {
        Self::start_on(&Loopback::take(), PebbleOptions::default(), names, secret, "").await
    }

    /// Certificates live this long.
    async fn of_life(names: &[&str], life: Duration) -> Self {
        let pebble = PebbleOptions { validity: Some(life), ..PebbleOptions::default() };
        Self::start_on(&Loopback::take(), pebble, names, SECRET, "").await
    }

    async fn start_on(host: &Loopback, pebble: PebbleOptions, names: &[&str], secret: &str, more: &str) -> Self {
        let key = Key { name: "namegate.key".to_owned(), secret: SECRET.to_owned() };
        let bind = Bind::alone_for(&ZONES, &key).await;
        bind.update(STANDING);
        let options = PebbleOptions { name_server: Some(bind.address()), ..pebble };
        let pebble = Pebble::start(host, options).await;
        let proxy = AcmeProxy::start(host, &pebble).await;
        let (gate, origin) = (FakeGate::start(host).await, Origin::start(host).await);
        let token = tempfile::NamedTempFile::new().unwrap();
        let credential = json!({ "server": bind.address(), "key_name": key.name, "secret": secret });
        std::fs::write(token.path(), credential.to_string()).unwrap();
        let settings = format!(
            "[acme.dns]\nprovider = \"rfc2136\"\ntoken_file = {:?}\nnames = {names:?}\n\
             zones = [\"apps.saas.test\", \"acme.saas.test\"]\nresolvers = [\"{}\"]\nauthority_port = {}\n\
             propagation_wait = \"0ms\"",
            token.path(),
            bind.address(),
            bind.address().port(),
        );
        let options = EdgeOptions::on(host).gate(&gate).acme_proxy(&proxy).set(&settings).set(more);
        let edge = EdgeProcess::start(options).await;
        Self { edge, gate, origin, proxy, pebble, bind, _host: host.clone(), _token: token }
    }

    fn allow(&self, name: &str) {
        self.gate.set(name, Reply::origin(&self.origin.url()));
    }

    fn client(&self) -> TlsClient {
        TlsClient::trusting(self.pebble.issuer_root_pem()).without_resumption()
    }

    /// What is in the operator's zone, in one order.
    fn records(&self) -> Vec<String> {
        let records = self.bind.records_of(ZONES[0]);
        let mut lines: Vec<_> =
            records.iter().map(|line| format!("{} {} {} {}", line.name, line.ttl, line.kind, line.data)).collect();
        lines.sort();
        lines
    }

    /// Waits until nothing of ours is left there, and holds what is against what stood there before.
    async fn is_as_before(&self) {
        let before = [
            "_acme-challenge.apps.saas.test 900 TXT \"somebody else's\"".to_owned(),
            "www.saas.test 300 A 192.0.2.1".to_owned(),
        ];
        wait::until("the records of challenges are gone", async || (self.records().len() == 2).then_some(())).await;
        assert_eq!(self.records(), before);
    }

    /// Waits until so many certificates were issued.
    async fn issued(&self, count: usize) {
        let issued = async || (self.edge.log().matches("cert.issued").count() >= count).then_some(());
        wait::until("the certificates are issued", issued).await;
    }
}

#[tokio::test]
async fn a_listed_wildcard_is_there_before_anybody_visits_and_serves_the_names_that_the_gate_allows() {
    let scene = Scene::start(&["*.apps.saas.test", "apps.saas.test"]).await;
    scene.issued(2).await;
    assert_eq!(scene.gate.asked_in_all(), 0);
    for name in ["shop.apps.saas.test", "blog.apps.saas.test", "apps.saas.test"] {
        scene.allow(name);
        assert_eq!(scene.edge.get(&scene.client(), name, "/").await.unwrap().status(), 200, "{name}");
    }
    // The certificate covers it, and that opens nothing.
    assert!(scene.client().visit(scene.edge.https(), "denied.apps.saas.test").await.is_err());
    let visit = scene.client().visit(scene.edge.https(), "shop.apps.saas.test").await.unwrap();
    let misdirected = visit.http().await.unwrap().get("denied.apps.saas.test", "/").await.unwrap();
    assert_eq!(misdirected.status(), 421);
    let explained = scene.edge.command(&["explain", "blog.apps.saas.test", "--format", "json"]).await.stdout;
    assert!(explained.contains(r#""state": "serving""#) && explained.contains(r#""source": "memory""#), "{explained}");
    let orders = |name: &str| scene.proxy.orders_for(name);
    assert_eq!((orders("*.apps.saas.test"), orders("apps.saas.test"), scene.proxy.accepted(Kind::NewOrder)), (1, 1, 2));
    scene.is_as_before().await;
    let listed = scene.edge.command(&["certs", "list"]).await;
    assert!(listed.stdout.contains("*.apps.saas.test"), "{}", listed.stdout);
}

#[tokio::test]
async fn a_delegated_name_gets_its_certificate_before_it_points_here() {
    let scene = Scene::start(&[]).await;
    let delegation = "update add _acme-challenge.shop.customer.test. 300 CNAME via.customer.test.\n\
        update add via.customer.test. 300 CNAME shop.acme.saas.test.";
    scene.bind.update_in(ZONES[1], delegation);
    scene.allow("shop.customer.test");
    assert_eq!(scene.edge.get(&scene.client(), "shop.customer.test", "/").await.unwrap().status(), 200);
    scene.is_as_before().await;
    assert_eq!(scene.bind.records_of(ZONES[1]).len(), 2, "the customer's zone was only read");
}

#[tokio::test]
async fn a_delegation_that_leads_to_other_texts_gets_nothing_written_there() {
    let scene = Scene::start(&[]).await;
    scene.bind.update("update add _dmarc.acme.saas.test. 300 TXT \"v=DMARC1; p=reject\"");
    let before = scene.records();
    let delegation = "update add _acme-challenge.bad.customer.test. 300 CNAME _dmarc.acme.saas.test.";
    scene.bind.update_in(ZONES[1], delegation);
    scene.allow("bad.customer.test");
    assert!(scene.client().visit(scene.edge.https(), "bad.customer.test").await.is_err());
    scene.edge.until_metric(r#"namegate_edge_acme_failures_total{reason="dns_occupied"}"#, 1.0).await;
    assert_eq!(scene.records(), before);
}

#[tokio::test]
async fn a_delegated_name_of_the_control_plane_has_its_certificate_before_it_points_here_or_is_visited() {
    let host = Loopback::take();
    let control = FakeControl::start(&host, TOKEN).await;
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), TOKEN).unwrap();
    let line = format!("[control]\nurl = {:?}\ntoken_file = {:?}", control.url(), token.path());
    let scene = Scene::start_on(&host, PebbleOptions::default(), &[], SECRET, &line).await;
    scene.bind.update_in(ZONES[1], "update add _acme-challenge.shop.customer.test. 300 CNAME shop.acme.saas.test.");
    for name in ["plain.customer.test", "shop.customer.test"] {
        control.upsert(name, 1, &json!({"origin": scene.origin.url(), "pointing": false}));
    }
    scene.issued(1).await;
    let orders = |name: &str| scene.proxy.orders_for(name);
    assert_eq!((orders("shop.customer.test"), orders("plain.customer.test")), (1, 0));
    scene.is_as_before().await;
}

#[tokio::test]
async fn a_listed_wildcard_is_renewed_though_nobody_visits_it_and_no_gate_knows_it() {
    let scene = Scene::of_life(&["*.apps.saas.test"], Duration::from_secs(20)).await;
    scene.edge.logs("cert.renewed").await;
    assert!(scene.proxy.orders_for("*.apps.saas.test") >= 2);
    assert_eq!(scene.gate.asked_in_all(), 0);
}

#[tokio::test]
async fn a_provider_that_refuses_is_told_of_by_its_word_and_remembered() {
    let scene = Scene::start_with(&["*.apps.saas.test"], "dHlyYW50LW9mLXRoZS10c2lnLWtleS0wMTIzNDU2Nzg=").await;
    scene.edge.until_metric(r#"namegate_edge_dns01_records_total{action="publish",result="auth"}"#, 1.0).await;
    let note = scene.edge.storage().join("namegate/failures/wildcard_.apps.saas.test.json");
    let failure = wait::until("the failure is remembered", async || std::fs::read_to_string(&note).ok()).await;
    assert!(failure.contains("\"dns_auth\"") && failure.contains("\"attempts\":1"), "{failure}");
    scene.is_as_before().await;
    let log = scene.edge.log();
    assert!(!log.contains("dHlyYW50") && !log.contains("tyrant"), "the credential is in the log");
}

#[tokio::test]
async fn a_process_that_was_killed_leaves_no_record_behind_and_its_order_is_finished() {
    let mut scene = Scene::start(&[]).await;
    scene.proxy.hold(Kind::Challenge);
    scene.edge.configure(|options| *options = options.clone().set("[acme.dns]\nnames = [\"*.apps.saas.test\"]"));
    scene.edge.restart().await;
    // They are written side by side, and only an order that is in the journal can be finished.
    let journal = scene.edge.storage().join("namegate/orders");
    let journalled = || {
        let folders = std::fs::read_dir(&journal).into_iter().flatten();
        folders.flatten().any(|folder| folder.path().join("wildcard_.apps.saas.test.json").exists())
    };
    let written = async || (journalled() && scene.records().len() == 3).then_some(());
    wait::until("order and record are written", written).await;
    scene.edge.kill9();
    assert_eq!(scene.records().len(), 3, "nobody was there to remove it");
    scene.proxy.release();
    scene.proxy.clear(Kind::Challenge);
    scene.edge.restart().await;
    scene.issued(1).await;
    scene.is_as_before().await;
    assert_eq!(scene.proxy.accepted(Kind::NewOrder), 1, "the order was resumed");
}
