//! Edges that share a database are one: an order for each name, an account for all, and what one proves or gets serves
//! every visitor of the others.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use futures::future::join_all;
use http::StatusCode;
use rustls::AlertDescription;
use test_support::{
    AcmeProxy, EdgeOptions, EdgeProcess, FakeGate, Kind, Loopback, Origin, Pebble, PebbleOptions, Postgres, Reply,
    client::TlsClient, wait,
};

/// Two edges with one database. The CA looks for challenges at the first of them, whoever orders.
struct Fleet {
    one: EdgeProcess,
    two: EdgeProcess,
    proxy: AcmeProxy,
    pebble: Pebble,
    postgres: Postgres,
    second: Loopback,
    _gate: FakeGate,
    _origin: Origin,
    _key: tempfile::NamedTempFile,
}

impl Fleet {
    async fn start() -> Self {
        Self::start_with("", PebbleOptions::default()).await
    }

    /// Both start at once on an empty database.
    async fn start_with(settings: &str, pebble: PebbleOptions) -> Self {
        let (first, second) = (Loopback::take(), Loopback::take());
        let pebble = Pebble::start(&first, pebble).await;
        let proxy = AcmeProxy::start(&first, &pebble).await;
        let gate = FakeGate::start(&first).await;
        let origin = Origin::start(&first).await;
        gate.set_default(Reply::origin(&origin.url()));
        let postgres = Postgres::start().await;
        let key = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(key.path(), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").unwrap();
        let storage = storage(&postgres.create_database(), key.path());
        let edge = |host: &Loopback| {
            EdgeProcess::start(EdgeOptions::on(host).gate(&gate).acme_proxy(&proxy).set(&storage).set(settings))
        };
        let (one, two) = tokio::join!(edge(&first), edge(&second));
        Self { one, two, proxy, pebble, postgres, second, _gate: gate, _origin: origin, _key: key }
    }

    fn client(&self) -> TlsClient {
        TlsClient::trusting(self.pebble.issuer_root_pem()).without_resumption()
    }

    /// The certificate that an edge shows for a name, which the client has checked.
    async fn leaf(&self, edge: &EdgeProcess, name: &str) -> Vec<u8> {
        self.client().visit(edge.https(), name).await.unwrap().leaf().to_vec()
    }

    async fn status(&self, edge: &EdgeProcess, name: &str) -> StatusCode {
        edge.get(&self.client(), name, "/").await.unwrap().status()
    }

    fn orders(&self, name: &str) -> usize {
        self.proxy.orders_for(name)
    }

    /// What the database says.
    fn psql(&self, statement: &str) -> String {
        self.postgres.psql("test0", statement)
    }
}

fn storage(url: &str, key: &Path) -> String {
    format!("[storage]\npostgres = {url:?}\nkey_file = {key:?}\n")
}

#[tokio::test]
async fn a_thousand_hellos_on_two_edges_for_one_new_name_make_one_order_and_all_get_its_certificate() {
    let fleet = Fleet::start().await;
    fleet.proxy.hold(Kind::NewOrder);
    let client = fleet.client();
    let edges = [fleet.one.https(), fleet.two.https()];
    let visits = join_all((0..1000).map(|i| client.visit(edges[i % 2], "busy.customer.test")));
    let release = async {
        for edge in [&fleet.one, &fleet.two] {
            edge.until_metric("namegate_edge_connections_accepted_total", 500.0).await;
            edge.until_metric("namegate_edge_order_leases_total", 1.0).await;
        }
        fleet.proxy.release();
        fleet.proxy.clear(Kind::NewOrder);
    };
    let (visits, ()) = tokio::join!(visits, release);
    let mut leaves = std::collections::BTreeSet::new();
    for visit in visits {
        leaves.insert(visit.unwrap().leaf().to_vec());
    }
    assert_eq!((leaves.len(), fleet.orders("busy.customer.test")), (1, 1));
    assert_eq!(fleet.proxy.accepted(Kind::Finalize), 1);
}

#[tokio::test]
async fn edges_that_start_at_once_register_one_account() {
    let fleet = Fleet::start().await;
    fleet.proxy.hold(Kind::NewAccount);
    let release = async {
        fleet.proxy.reached(Kind::NewAccount).await;
        // The other edge has come to where it would register as well.
        for edge in [&fleet.one, &fleet.two] {
            edge.until_metric("namegate_edge_order_leases_total{outcome=\"taken\"}", 1.0).await;
        }
        fleet.proxy.release();
        fleet.proxy.clear(Kind::NewAccount);
    };
    let (first, second, ()) =
        tokio::join!(fleet.status(&fleet.one, "a.test"), fleet.status(&fleet.two, "b.test"), release);
    assert_eq!((first, second), (StatusCode::OK, StatusCode::OK));
    assert_eq!(fleet.proxy.accepted(Kind::NewAccount), 1);
}

#[tokio::test]
async fn a_validation_that_reaches_the_other_edge_is_answered_there() {
    let fleet = Fleet::start().await;
    assert_eq!(fleet.status(&fleet.two, "alpn.test").await, StatusCode::OK);
    assert_eq!(fleet.orders("alpn.test"), 1, "the first challenge was answered");
    fleet.two.logs("cert.issued").await;
    assert!(!fleet.one.log().contains("cert.issued"));
    wait::until("the challenge is gone", async || {
        (fleet.psql("SELECT count(*) FROM namegate_edge.offers") == "0").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_validation_over_http_that_reaches_the_other_edge_is_answered_there() {
    // Nobody listens where TLS-ALPN-01 would be looked for.
    let fleet = Fleet::start_with("", PebbleOptions { tls_port: 9, ..PebbleOptions::default() }).await;
    assert_eq!(fleet.status(&fleet.two, "http.test").await, StatusCode::OK);
    assert_eq!(fleet.orders("http.test"), 2, "one for each challenge");
    assert!(!fleet.one.log().contains("cert.issued"));
}

#[tokio::test]
async fn an_edge_that_is_killed_in_an_order_is_followed_by_the_other_which_finishes_it() {
    let mut fleet = Fleet::start_with("[limits]\norder_lease = \"3s\"", PebbleOptions::default()).await;
    let name = "crash.test";
    fleet.proxy.hold_answer(Kind::Finalize);
    tokio::select! {
        _ = fleet.status(&fleet.one, name) => panic!("the answer is held"),
        () = fleet.proxy.answer_reached(Kind::Finalize) => {}
    }
    let client = fleet.client();
    let waiting = client.visit(fleet.two.https(), name);
    let kill = async {
        fleet.two.until_metric("namegate_edge_order_leases_total{outcome=\"elsewhere\"}", 1.0).await;
        fleet.one.kill9();
        let killed = Instant::now();
        fleet.proxy.release();
        fleet.proxy.clear(Kind::Finalize);
        killed
    };
    let (visit, killed) = tokio::join!(waiting, kill);
    visit.unwrap();
    let took = killed.elapsed();
    assert!(took < Duration::from_secs(13), "{took:?} with a lease of 3 s");
    assert_eq!((fleet.orders(name), fleet.proxy.accepted(Kind::Finalize)), (1, 1), "its order was gone on with");
}

#[tokio::test]
async fn an_edge_that_stood_still_for_longer_than_its_lease_serves_what_the_other_has_got() {
    let fleet = Fleet::start_with("[limits]\norder_lease = \"2s\"", PebbleOptions::default()).await;
    let name = "late.test";
    fleet.proxy.hold_answer(Kind::NewOrder);
    let client = fleet.client();
    let first = async { client.visit(fleet.one.https(), name).await.unwrap().leaf().to_vec() };
    let second = async {
        fleet.proxy.answer_reached(Kind::NewOrder).await;
        fleet.one.signal("STOP");
        fleet.proxy.release();
        fleet.proxy.clear(Kind::NewOrder);
        // The CA looks at the edge that stands still, unless it is told of the other.
        fleet.pebble.dns().set_a(name, &[fleet.second.ip()]).await;
        let leaf = fleet.leaf(&fleet.two, name).await;
        fleet.one.signal("CONT");
        leaf
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first, second);
    assert_eq!(fleet.proxy.accepted(Kind::Finalize), 1, "the late one gave its order up");
    fleet.one.logs("a lease was lost").await;
    assert_eq!(fleet.psql("SELECT count(*), max(seq) FROM namegate_edge.certificates"), "1|1");
}

#[tokio::test]
async fn a_renewal_is_ordered_by_one_edge_and_served_by_all() {
    let pebble = PebbleOptions { validity: Some(Duration::from_secs(30)), ..PebbleOptions::default() };
    let fleet = Fleet::start_with("", pebble).await;
    let name = "renewed.test";
    let first = fleet.leaf(&fleet.one, name).await;
    assert_eq!(fleet.leaf(&fleet.two, name).await, first);
    let second = wait::until("it is renewed", async || {
        let now = fleet.leaf(&fleet.one, name).await;
        (now != first).then_some(now)
    })
    .await;
    let renewed = Instant::now();
    wait::until("the other edge serves it", async || (fleet.leaf(&fleet.two, name).await == second).then_some(()))
        .await;
    assert!(renewed.elapsed() < Duration::from_secs(5), "{:?}", renewed.elapsed());
    assert_eq!(fleet.orders(name), 2);
}

#[tokio::test]
async fn without_the_database_known_names_are_served_and_nothing_is_ordered() {
    let fleet = Fleet::start().await;
    for edge in [&fleet.one, &fleet.two] {
        assert_eq!(fleet.status(edge, "known.test").await, StatusCode::OK);
    }
    fleet.postgres.stop();
    for edge in [&fleet.one, &fleet.two] {
        assert_eq!(fleet.status(edge, "known.test").await, StatusCode::OK);
        let refused = edge.get(&fleet.client(), "unknown.test", "/").await.unwrap_err();
        assert_eq!(refused.alert(), Some(AlertDescription::InternalError));
    }
    assert_eq!((fleet.orders("known.test"), fleet.orders("unknown.test")), (1, 0));
    fleet.postgres.resume().await;
    wait::until("it is ordered when the database is back", async || {
        fleet.two.get(&fleet.client(), "unknown.test", "/").await.ok()
    })
    .await;
    assert_eq!(fleet.orders("unknown.test"), 1);
}

#[tokio::test]
async fn no_key_and_no_password_is_in_the_database_or_in_a_log() {
    let fleet = Fleet::start().await;
    assert_eq!(fleet.status(&fleet.one, "a.test").await, StatusCode::OK);
    let rows = fleet.psql("SELECT encode(sealed_key, 'escape') FROM namegate_edge.certificates")
        + &fleet.psql("SELECT encode(sealed, 'escape') FROM namegate_edge.documents");
    assert!(!rows.is_empty() && !rows.contains("PRIVATE KEY"), "{rows}");
    let shown = fleet.one.command(&["certs", "show", "a.test", "--format", "json"]).await;
    assert!(shown.stdout.contains("a.test"), "{}", shown.stderr);
    for said in [fleet.one.log(), fleet.two.log(), shown.stdout, shown.stderr] {
        assert!(!said.contains("postgres://"), "{said}");
    }
    assert!(!fleet.one.storage().join("certificates").exists() && !fleet.one.storage().join("acme").exists());
}

#[tokio::test]
async fn what_one_edge_orders_counts_at_the_other_by_the_authoritys_limits() {
    let fleet = Fleet::start_with("[acme.limits]\ndomain_certificates = 2", PebbleOptions::default()).await;
    assert_eq!(fleet.status(&fleet.one, "a.customer.test").await, StatusCode::OK);
    assert_eq!(fleet.status(&fleet.two, "b.customer.test").await, StatusCode::OK);
    for edge in [&fleet.one, &fleet.two] {
        // Two names and their domain.
        edge.until_metric("namegate_edge_acme_counted_entries", 3.0).await;
        let refused = edge.get(&fleet.client(), "c.customer.test", "/").await.unwrap_err();
        assert_eq!(refused.alert(), Some(AlertDescription::InternalError));
    }
    assert_eq!(fleet.proxy.accepted(Kind::NewOrder), 2);
}
