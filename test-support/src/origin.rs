//! [`Origin`]: a well-behaved web server that tells what reached it, [`BadOrigin`]: one that does not behave, and
//! [`RecordRelay`]: a way to one that does not.

mod bad;
mod relay;
mod routes;
mod ticket;

use std::{
    net::{Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustls::ServerConfig;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::{Ca, Loopback, latch::Latch, server::Server};

pub use bad::{BadOrigin, Misbehaviour};
pub use relay::{Passing, RecordRelay};

/// What `/echo` says about the request that it answers, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// The method.
    pub method: String,
    /// The request target as it came: path and query, or absolute.
    pub target: String,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// Whether the request came over TLS.
    pub tls: bool,
    /// Names (lower case) and values, in the order they came.
    pub headers: Vec<(String, String)>,
    /// Bytes of the body.
    pub body_bytes: usize,
    /// SHA-256 of the body, in hexadecimal.
    pub body_sha256: String,
}

impl Echo {
    /// From the body of an answer.
    ///
    /// # Panics
    /// When it is not an echo; shows what it is.
    pub fn parse(body: &[u8]) -> Self {
        serde_json::from_slice(body)
            .unwrap_or_else(|error| panic!("no echo ({error}): {}", String::from_utf8_lossy(body)))
    }

    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The only value of a header; `None` when there is none.
    ///
    /// # Panics
    /// When there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} came {} times: {all:?}", all.len());
        all.first().copied()
    }
}

#[derive(Debug, Default)]
struct State {
    requests: AtomicUsize,
    latch: Latch,
}

/// A web server over HTTP/1.1 in plain text, and over HTTP/1.1 and HTTP/2 in TLS. HTTP/2 in plain text is off.
///
/// | path | answer |
/// |---|---|
/// | `/bytes/N` | N bytes with `Content-Length`, in pieces |
/// | `/drip/COUNT/MS` | COUNT pieces of 8 bytes, MS milliseconds apart, without a length |
/// | `/sink` | reads the body to its end; JSON with `bytes` and `sha256` |
/// | `/refuse-body` | 413 without a look at the body, so no `100 Continue` |
/// | `/ws` | a WebSocket that echoes |
/// | `/grpc` | echoes the body as it comes, then trailers: `grpc-status: 0`, and how many came as `x-trailers` |
/// | `/status/NNN` | that status |
/// | `/headers/N` | N response headers |
/// | `/hold`, `/hold/N` | waits until [`release`](Origin::release), then N bytes or none |
/// | `/hang` | no answer |
/// | `/cut` | the connection (HTTP/2: the stream) ends without an answer |
/// | `/cut-body` | ends after 10 of 100 promised bytes |
/// | anything else | an [`Echo`] |
#[derive(Debug)]
pub struct Origin {
    state: Arc<State>,
    http: Server,
    https: Server,
    https_h1: Server,
    root: String,
    directory: TempDir,
}

impl Origin {
    /// Starts it on `host`.
    pub async fn start(host: &Loopback) -> Self {
        Self::listen(host.at(0)).await
    }

    /// Starts it on `[::1]`.
    pub async fn start_ipv6() -> Self {
        Self::listen(SocketAddr::from((Ipv6Addr::LOCALHOST, 0))).await
    }

    async fn listen(address: SocketAddr) -> Self {
        let state = Arc::new(State::default());
        let ca = Ca::new("Namegate test origin root");
        let identity = ca.issue(&["localhost", "origin.test", &address.ip().to_string()]);
        let http = serve(&state, address, None).await;
        let https = serve(&state, address, Some(identity.server(&["h2", "http/1.1"]))).await;
        let https_h1 = serve(&state, address, Some(identity.server(&["http/1.1"]))).await;
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("root.pem"), ca.root_pem()).unwrap();
        Self { state, http, https, https_h1, root: ca.root_pem(), directory }
    }

    /// `http://address:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.http.address)
    }

    /// `https://address:port`; the certificate is good for the address.
    pub fn tls_url(&self) -> String {
        format!("https://{}", self.https.address)
    }

    /// `https://address:port` of a listener that knows no HTTP/2.
    pub fn tls_h1_url(&self) -> String {
        format!("https://{}", self.https_h1.address)
    }

    /// `address:port` of the plain listener: the authority that it is reached by.
    pub fn authority(&self) -> String {
        self.http.address.to_string()
    }

    /// The root of its own certificate.
    pub fn root_pem(&self) -> &str {
        &self.root
    }

    /// A file with the root of its own certificate.
    pub fn root_pem_path(&self) -> PathBuf {
        self.directory.path().join("root.pem")
    }

    /// Connections accepted so far, on all listeners.
    pub fn connections(&self) -> usize {
        self.http.connections() + self.https.connections() + self.https_h1.connections()
    }

    /// Requests received so far.
    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// Lets requests for `/hold` wait.
    pub fn hold(&self) {
        self.state.latch.close();
    }

    /// Ends when `count` requests wait at `/hold`.
    pub async fn reached(&self, count: usize) {
        self.state.latch.reached(count).await;
    }

    /// Answers what waits at `/hold`.
    pub fn release(&self) {
        self.state.latch.open();
    }

    /// Goes away with all its connections.
    pub async fn stop(&mut self) {
        self.http.stop().await;
        self.https.stop().await;
        self.https_h1.stop().await;
    }
}

async fn serve(state: &Arc<State>, address: SocketAddr, tls: Option<Arc<ServerConfig>>) -> Server {
    let (state, over_tls) = (Arc::clone(state), tls.is_some());
    Server::start(address, tls, move |request| routes::answer(Arc::clone(&state), request, over_tls)).await
}
