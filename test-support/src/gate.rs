//! [`FakeGate`]: an ask endpoint that says what a test wants.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use parking_lot::Mutex;
use serde_json::Value;
use url::form_urlencoded;

use crate::{
    Body, Loopback, body,
    latch::Latch,
    server::{Cut, Server},
};

/// Size of [`Reply::Huge`].
const HUGE: usize = 10 * 1024 * 1024;

/// An answer to "may this hostname have a certificate?".
#[derive(Debug, Clone)]
pub enum Reply {
    /// 200 with this JSON.
    Allow(Value),
    /// 200 without a body, as a Caddy ask endpoint says it.
    AllowEmpty,
    /// The connection ends without an answer.
    Close,
    /// 403.
    Deny,
    /// 200 with a body that is not JSON.
    Garbage,
    /// No answer, the connection stays open.
    Hang,
    /// 200 with 10 MiB of JSON.
    Huge,
    /// 302 to this URL.
    Redirect(String),
    /// This status without a body.
    Status(u16),
}

impl Reply {
    /// Allowed, to be served from this origin.
    pub fn origin(url: &str) -> Self {
        Self::Allow(serde_json::json!({"origin": url}))
    }
}

#[derive(Debug, Default)]
struct State {
    replies: Mutex<HashMap<String, Reply>>,
    default: Mutex<Option<Reply>>,
    asked: Mutex<BTreeMap<String, usize>>,
    queries: Mutex<Vec<String>>,
    latch: Latch,
}

/// An ask endpoint. Names that were not set are denied, or get the default.
#[derive(Debug)]
pub struct FakeGate {
    state: Arc<State>,
    address: SocketAddr,
    server: Option<Server>,
}

impl FakeGate {
    /// Starts one on `host`.
    pub async fn start(host: &Loopback) -> Self {
        let state = Arc::new(State::default());
        let server = serve(host.at(0), &state).await;
        Self { state, address: server.address, server: Some(server) }
    }

    /// The URL to ask, without the query.
    pub fn url(&self) -> String {
        format!("http://{}/ask", self.address)
    }

    /// Answers for one name.
    pub fn set(&self, name: &str, reply: Reply) {
        self.state.replies.lock().insert(name.to_owned(), reply);
    }

    /// Answers for every name that is not set.
    pub fn set_default(&self, reply: Reply) {
        *self.state.default.lock() = Some(reply);
    }

    /// Lets questions wait until [`release`](Self::release).
    pub fn hold(&self) {
        self.state.latch.close();
    }

    /// Ends when `count` questions wait.
    pub async fn reached(&self, count: usize) {
        self.state.latch.reached(count).await;
    }

    /// Answers what waits, and from now on at once.
    pub fn release(&self) {
        self.state.latch.open();
    }

    /// How often a name was asked about.
    pub fn asked(&self, name: &str) -> usize {
        self.state.asked.lock().get(name).copied().unwrap_or(0)
    }

    /// How often anything was asked.
    pub fn asked_in_all(&self) -> usize {
        self.state.asked.lock().values().sum()
    }

    /// The query strings as they came.
    pub fn queries(&self) -> Vec<String> {
        self.state.queries.lock().clone()
    }

    /// Goes away: nothing listens on its address any more.
    pub async fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.stop().await;
        }
    }

    /// Comes back on the same address.
    pub async fn resume(&mut self) {
        if self.server.is_none() {
            self.server = Some(serve(self.address, &self.state).await);
        }
    }
}

async fn serve(address: SocketAddr, state: &Arc<State>) -> Server {
    let state = Arc::clone(state);
    Server::start(address, None, move |request| {
        let state = Arc::clone(&state);
        async move { state.answer(request).await }
    })
    .await
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        let query = request.uri().query().unwrap_or_default();
        let domain = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "domain");
        let name = domain.map(|(_, value)| value.into_owned()).unwrap_or_default();
        self.queries.lock().push(query.to_owned());
        *self.asked.lock().entry(name.clone()).or_default() += 1;
        self.latch.pass().await;
        let reply = self.replies.lock().get(&name).cloned();
        let reply = reply.or_else(|| self.default.lock().clone());
        respond(reply.unwrap_or(Reply::Deny)).await
    }
}

async fn respond(reply: Reply) -> Result<Response<Body>, Cut> {
    Ok(match reply {
        Reply::Allow(value) => body::json(&value),
        Reply::AllowEmpty => body::status(StatusCode::OK),
        Reply::Close => return Err(Cut),
        Reply::Deny => body::status(StatusCode::FORBIDDEN),
        Reply::Garbage => Response::new(body::full("<html>{{{ \u{1f984}")),
        Reply::Hang => std::future::pending().await,
        Reply::Huge => Response::new(body::full(huge())),
        Reply::Redirect(url) => {
            let mut response = body::status(StatusCode::FOUND);
            response.headers_mut().insert(header::LOCATION, HeaderValue::from_str(&url).unwrap());
            response
        }
        Reply::Status(code) => body::status(StatusCode::from_u16(code).unwrap()),
    })
}

/// Valid JSON, so that only a limit on its size can refuse it.
fn huge() -> Bytes {
    let mut text = br#"{"origin":"http://127.0.0.1:1","padding":""#.to_vec();
    text.resize(HUGE, b'x');
    text.extend(br#""}"#);
    text.into()
}
