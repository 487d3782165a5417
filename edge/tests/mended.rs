//! A name whose DNS is mended is served by the first visit after the first wait, whatever it waited for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clock::{Clock, Sleep, SystemClock, Timestamp};
use edge::{
    access_log::AccessLog,
    assemble::{self, Edge},
    reload::PolicyMaker,
    upgrade::Kind,
};
use http::StatusCode;
use prometheus::Registry;
use test_support::{AcmeProxy, FakeGate, Loopback, Origin, Pebble, PebbleOptions, Reply, client::TlsClient};

/// The time of day, moved on: Pebble's certificates are valid by the real one.
#[derive(Default)]
struct Moved(AtomicU64);

impl Moved {
    fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::SeqCst);
    }

    fn ahead(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.ahead()
    }

    fn sleep_until(&self, moment: Timestamp) -> Sleep {
        SystemClock.sleep_until(moment - self.ahead())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_whose_dns_is_mended_is_served_after_the_first_wait() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let host = Loopback::take();
    let pebble = Pebble::start(&host, PebbleOptions::default()).await;
    let proxy = AcmeProxy::start(&host, &pebble).await;
    proxy.calls_itself(&["pebble.test"]);
    let (gate, origin) = (FakeGate::start(&host).await, Origin::start(&host).await);
    gate.set_default(Reply::origin(&origin.url()));
    let folder = tempfile::tempdir().unwrap();
    let (file, storage) = (folder.path().join("edge.toml"), folder.path().join("storage"));
    std::fs::create_dir(&storage).unwrap();
    let ip = host.ip();
    let text = format!(
        "[listen]\nhttp = [\"{ip}:8000\"]\nhttps = [\"{ip}:8443\"]\nadmin = \"{ip}:2020\"\n[ask]\nurl = \"{}\"\n\
         [acme]\ndirectory = [{:?}]\nca_root = {:?}\n[acme.preflight]\nchecks = \"full\"\nresolvers = [\"{}\"]\n\
         http_port = 8000\nhttps_port = 8443\ntimeout = \"30s\"\n[limits]\ncertificate_wait = \"60s\"\n\
         [storage]\npath = {storage:?}\n[proxy]\nallow_private_origins = true\n",
        gate.url(),
        proxy.directory_url(),
        proxy.root_pem_path(),
        pebble.name_server(),
    );
    std::fs::write(&file, text).unwrap();
    let config = config::load(&file, []).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let (registry, clock) = (Registry::new(), Arc::new(Moved::default()));
    let sockets = assemble::bind(&config, Vec::new()).unwrap();
    let maker = PolicyMaker { file, own: Arc::default() };
    let edge = Edge::start(config, maker, sockets, AccessLog::off(), clock.clone(), registry).await.unwrap();
    let (_, https) = *edge.addresses().iter().find(|(kind, _)| *kind == Kind::Https).unwrap();
    let client = TlsClient::trusting(pebble.issuer_root_pem());
    let get = async |name: &str| client.visit(https, name).await?.http().await?.get(name, "/").await;

    let dns = pebble.dns();
    dns.set_default(None).await;
    dns.set_a("forbidden.test", &[ip]).await;
    dns.set_caa("forbidden.test", "issue", "other.test").await;
    for name in ["absent.test", "forbidden.test"] {
        assert!(get(name).await.is_err(), "{name}");
        assert_eq!(proxy.orders_for(name), 0, "{name}");
    }
    dns.set_a("absent.test", &[ip]).await;
    dns.clear("forbidden.test").await;
    dns.set_a("forbidden.test", &[ip]).await;
    for name in ["absent.test", "forbidden.test"] {
        assert!(get(name).await.is_err(), "{name} waits");
    }
    // A minute, and the tenth by which waits are spread.
    clock.advance(Duration::from_secs(66));
    for name in ["absent.test", "forbidden.test"] {
        assert_eq!(get(name).await.unwrap().status(), StatusCode::OK, "{name}");
        assert_eq!(proxy.orders_for(name), 1, "{name}");
    }
    edge.stop(Duration::from_secs(10)).await;
}
