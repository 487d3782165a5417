//! A panic in one request ends that request alone, and is counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use clock::{Clock, Sleep, SystemClock, Timestamp};
use edge::{
    access_log::AccessLog,
    assemble::{self, Edge},
    panics,
    reload::PolicyMaker,
    upgrade::Kind,
};
use http::StatusCode;
use prometheus::Registry;
use test_support::{
    FakeGate, Loopback, Origin, Reply,
    client::{TlsClient, http::Http},
    wait,
};

/// A clock that panics once when it is told to. Every request asks it for the time of its line in the access log.
#[derive(Default)]
struct Treacherous(AtomicBool);

impl Clock for Treacherous {
    fn now(&self) -> Timestamp {
        assert!(!self.0.swap(false, Ordering::SeqCst), "this panic is a part of the test");
        SystemClock.now()
    }

    fn sleep_until(&self, moment: Timestamp) -> Sleep {
        SystemClock.sleep_until(moment)
    }
}

/// Where the access log goes.
#[derive(Clone, Default)]
struct Lines(Arc<AtomicUsize>);

impl Lines {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.fetch_add(bytes.iter().filter(|byte| **byte == b'\n').count(), Ordering::SeqCst);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn panics_of(registry: &Registry) -> u64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == "namegate_edge_panics_total");
    family.and_then(|family| family.get_metric().first()).map_or(0, |metric| metric.get_counter().get_value() as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_request_ends_it_alone_and_is_counted() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let host = Loopback::take();
    let (gate, origin) = (FakeGate::start(&host).await, Origin::start(&host).await);
    gate.set_default(Reply::origin(&origin.url()));
    let folder = tempfile::tempdir().unwrap();
    let (file, storage) = (folder.path().join("edge.toml"), folder.path().join("storage"));
    std::fs::create_dir(&storage).unwrap();
    let ip = host.ip();
    let text = format!(
        "[listen]\nhttp = []\nhttps = [\"{ip}:8443\"]\nadmin = \"{ip}:2020\"\n[ask]\nurl = \"{}\"\n\
         [acme]\nissuer = \"internal\"\n[storage]\npath = {storage:?}\n[proxy]\nallow_private_origins = true\n",
        gate.url()
    );
    std::fs::write(&file, text).unwrap();
    let config = config::load(&file, []).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let (registry, clock) = (Registry::new(), Arc::new(Treacherous::default()));
    panics::count(&registry).unwrap();
    let sockets = assemble::bind(&config, Vec::new()).unwrap();
    let lines = Lines::default();
    let log = AccessLog::to(telemetry::Lines::to(lines.clone(), 64, "access-log").unwrap());
    let maker = PolicyMaker { file, own: Arc::default() };
    let edge = Edge::start(config, maker, sockets, log, clock.clone(), registry.clone()).await.unwrap();
    let (_, https) = *edge.addresses().iter().find(|(kind, _)| *kind == Kind::Https).unwrap();
    let root = std::fs::read_to_string(storage.join("pki/namegate/root.crt")).unwrap();
    let open = async |alpn: &str| -> Http {
        TlsClient::trusting(&root).alpn(&[alpn]).visit(https, "a.test").await.unwrap().http().await.unwrap()
    };
    let mut served = 0;
    for (count, alpn) in (1..).zip(["http/1.1", "h2"]) {
        let (mut victim, mut other) = (open(alpn).await, open(alpn).await);
        for http in [&mut victim, &mut other] {
            assert_eq!(http.get("a.test", "/").await.unwrap().status(), StatusCode::OK);
        }
        served += 2;
        // Lines are written after the answers: the one that panics is to be the next request's.
        wait::until("the lines are written", async || (lines.count() >= served).then_some(())).await;
        clock.0.store(true, Ordering::SeqCst);
        let _ = victim.get("a.test", "/").await;
        wait::until("it is counted", async || (panics_of(&registry) == count).then_some(())).await;
        assert_eq!(other.get("a.test", "/").await.unwrap().status(), StatusCode::OK, "{alpn}");
        served += 1;
        if alpn == "h2" {
            assert_eq!(victim.get("a.test", "/").await.unwrap().status(), StatusCode::OK, "its other streams go on");
            served += 1;
        }
    }
    edge.stop(Duration::from_secs(10)).await;
}
