//! The driver: an edge with everything around it, so that a test reads as a script.

pub(crate) mod controlled;
pub(crate) mod load;

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use test_support::{
    AcmeProxy, EdgeOptions, EdgeProcess, FakeGate, Loopback, Origin, Pebble, PebbleOptions, Reply,
    client::{Raw, TlsClient, frames::Frames, http::HttpError},
    wait,
};

/// The 99th percentile.
pub(crate) fn p99(mut took: Vec<Duration>) -> Duration {
    took.sort();
    took[took.len() * 99 / 100]
}

/// An edge that orders from Pebble, through a proxy that counts.
pub(crate) struct Issuing {
    pub(crate) edge: EdgeProcess,
    pub(crate) gate: FakeGate,
    pub(crate) origin: Origin,
    pub(crate) proxy: AcmeProxy,
    pub(crate) pebble: Pebble,
    _host: Loopback,
}

impl Issuing {
    pub(crate) async fn start() -> Self {
        Self::start_with("", PebbleOptions::default()).await
    }

    /// With configuration text laid over the harness's.
    pub(crate) async fn start_with(settings: &str, pebble: PebbleOptions) -> Self {
        let host = Loopback::take();
        let pebble = Pebble::start(&host, pebble).await;
        let proxy = AcmeProxy::start(&host, &pebble).await;
        let gate = FakeGate::start(&host).await;
        let origin = Origin::start(&host).await;
        gate.set_default(Reply::origin(&origin.url()));
        let options = EdgeOptions::on(&host).gate(&gate).acme_proxy(&proxy).set(settings);
        let edge = EdgeProcess::start(options).await;
        Self { edge, gate, origin, proxy, pebble, _host: host }
    }

    /// A client that trusts what Pebble issues.
    pub(crate) fn client(&self) -> TlsClient {
        TlsClient::trusting(self.pebble.issuer_root_pem()).without_resumption()
    }

    pub(crate) async fn get(&self, name: &str, path: &str) -> Result<Response<Bytes>, HttpError> {
        self.edge.get(&self.client(), name, path).await
    }

    /// Orders that the CA has taken for one name.
    pub(crate) fn orders(&self, name: &str) -> usize {
        self.proxy.orders_for(name)
    }
}

/// An edge whose internal CA signs: for promises that are not about issuance.
pub(crate) struct Proxying {
    pub(crate) edge: EdgeProcess,
    pub(crate) gate: FakeGate,
    pub(crate) origin: Origin,
    pub(crate) host: Loopback,
    _origin_roots: tempfile::NamedTempFile,
}

impl Proxying {
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    pub(crate) async fn start_with(settings: &str) -> Self {
        let host = Loopback::take();
        let gate = FakeGate::start(&host).await;
        let origin = Origin::start(&host).await;
        gate.set_default(Reply::origin(&origin.url()));
        let roots = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(roots.path(), origin.root_pem()).unwrap();
        let origin_roots = format!("[proxy]\norigin_ca_root = {:?}", roots.path());
        let options =
            EdgeOptions::on(&host).gate(&gate).set("[acme]\nissuer = \"internal\"").set(&origin_roots).set(settings);
        let edge = EdgeProcess::start(options).await;
        Self { edge, gate, origin, host, _origin_roots: roots }
    }

    /// A client that trusts the internal CA.
    pub(crate) fn client(&self) -> TlsClient {
        let root = std::fs::read_to_string(self.edge.storage().join("pki/namegate/root.crt")).unwrap();
        TlsClient::trusting(&root)
    }

    pub(crate) async fn get(&self, name: &str, path: &str) -> Result<Response<Bytes>, HttpError> {
        self.edge.get(&self.client(), name, path).await
    }

    /// A connection to write bytes of one's own on, over HTTP/1.1.
    pub(crate) async fn raw(&self, name: &str) -> Raw {
        self.client().alpn(&["http/1.1"]).visit(self.edge.https(), name).await.unwrap().raw()
    }

    /// A connection to write frames of one's own on, with these settings.
    pub(crate) async fn frames(&self, name: &str, settings: &[(u16, u32)]) -> Frames {
        let visit = self.client().alpn(&["h2"]).visit(self.edge.https(), name).await.unwrap();
        visit.frames(settings).await.unwrap()
    }

    /// The 99th percentile of 500 requests on one connection of this name.
    pub(crate) async fn p99(&self, name: &str) -> Duration {
        let mut raw = self.raw(name).await;
        let get = format!("GET /bytes/100 HTTP/1.1\r\nHost: {name}\r\n\r\n");
        let mut took = Vec::new();
        for _ in 0..500 {
            let begun = Instant::now();
            raw.send(&get).await.unwrap();
            assert_eq!(raw.response().await.unwrap().status, 200);
            took.push(begun.elapsed());
        }
        p99(took)
    }

    /// What the edge's process has in memory.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.edge.resident_kib()
    }

    /// The last line of the access log that has this status, once it is there.
    pub(crate) async fn access_line(&self, status: u16) -> serde_json::Value {
        wait::until(&format!("the access log has a line with {status}"), async || {
            let log = self.edge.log();
            let lines = log.lines().filter(|line| line.contains("http.log.access"));
            let mut lines = lines.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            lines.rfind(|line| line["status"] == status)
        })
        .await
    }
}
