//! [`AcmeProxy`]: stands between the edge and its CA, counts, and breaks things on request.
//!
//! Pebble's directory follows the `Host` header, so every URL of an ACME session leads through the proxy.
//!
//! It also keeps Pebble from stopping for good: while Pebble answers for an authorization it holds that record's lock and
//! asks for its database's, a new order takes the same two the other way round, and with a writer between them both wait
//! for ever (2 of 100 runs of sixty orders at once on busy cores). So no new order passes while an authorization is read.

mod kind;
mod upstream;

use std::{collections::HashMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;

pub use kind::Kind;
use upstream::Upstream;

use crate::{
    Body, Ca, Loopback, Pebble, body,
    client::http::HttpError,
    latch::Latch,
    server::{Cut, Server},
    wait,
};

/// An answer of the proxy's own.
#[derive(Debug, Clone)]
pub struct Answer {
    status: StatusCode,
    content_type: &'static str,
    content: Bytes,
    retry_after: Option<String>,
    location: Option<String>,
}

impl Answer {
    /// An ACME problem document; `kind` is the last part of its type, such as `rateLimited`.
    pub fn problem(status: u16, kind: &str, detail: &str) -> Self {
        let kind = format!("urn:ietf:params:acme:error:{kind}");
        let problem = json!({"type": kind, "detail": detail, "status": status});
        Self::raw(status, "application/problem+json", problem.to_string())
    }

    /// Any status and content.
    pub fn raw(status: u16, content_type: &'static str, content: impl Into<Bytes>) -> Self {
        let status = StatusCode::from_u16(status).unwrap();
        Self { status, content_type, content: content.into(), retry_after: None, location: None }
    }

    /// With this `Retry-After`: seconds or a date.
    #[must_use]
    pub fn retry_after(mut self, value: impl ToString) -> Self {
        self.retry_after = Some(value.to_string());
        self
    }

    /// With this `Location`.
    #[must_use]
    pub fn location(mut self, url: impl ToString) -> Self {
        self.location = Some(url.to_string());
        self
    }

    fn response(&self) -> Response<Body> {
        let mut response = Response::new(body::full(self.content.clone()));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Some(value) = &self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_str(value).unwrap());
        }
        if let Some(url) = &self.location {
            response.headers_mut().insert(header::LOCATION, HeaderValue::from_str(url).unwrap());
        }
        response
    }
}

/// What happens to requests of one kind. All of it may hold at once, in the order of the fields.
#[derive(Debug, Default)]
struct Rule {
    count: usize,
    accepted: usize,
    delay: Option<Duration>,
    answers: Option<(usize, Answer)>,
    cut: bool,
    lose: bool,
    latch: Arc<Latch>,
    answer_latch: Arc<Latch>,
}

/// The decisions for one request, taken at once.
struct Plan {
    delay: Option<Duration>,
    answer: Option<Answer>,
    cut: bool,
    lose: bool,
    latch: Arc<Latch>,
    answer_latch: Arc<Latch>,
}

#[derive(Debug)]
struct State {
    upstream: Mutex<Arc<Upstream>>,
    rules: Mutex<HashMap<Kind, Rule>>,
    ordered: Mutex<Vec<Vec<String>>>,
    /// The last token of HTTP-01 for each name.
    tokens: Mutex<HashMap<String, String>>,
    /// What the CA calls itself in CAA records.
    identities: Mutex<Vec<String>>,
    /// Authorizations are read side by side, orders made alone.
    turn: tokio::sync::RwLock<()>,
}

/// A TLS proxy in front of a [`Pebble`].
#[derive(Debug)]
pub struct AcmeProxy {
    state: Arc<State>,
    server: Server,
    name_server: SocketAddr,
    root: String,
    directory: TempDir,
}

impl AcmeProxy {
    /// Starts one on `host`, in front of `pebble`.
    pub async fn start(host: &Loopback, pebble: &Pebble) -> Self {
        let ca = Ca::new("Namegate test proxy root");
        let tls = ca.issue(&["localhost", &host.ip().to_string()]).server(&["http/1.1"]);
        let state = Arc::new(State::before(pebble));
        let handler = {
            let state = Arc::clone(&state);
            move |request| {
                let state = Arc::clone(&state);
                async move { state.handle(request).await }
            }
        };
        let server = Server::start(host.at(0), Some(tls), handler).await;
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("root.pem"), ca.root_pem()).unwrap();
        Self { state, server, name_server: pebble.name_server(), root: ca.root_pem(), directory }
    }

    /// From now on stands in front of this one instead.
    pub fn stand_before(&self, pebble: &Pebble) {
        *self.state.upstream.lock() = Arc::new(Upstream::of(pebble));
    }

    /// The ACME directory, seen through the proxy.
    pub fn directory_url(&self) -> String {
        format!("https://{}/dir", self.server.address)
    }

    /// Where the proxy listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Whom the CA asks about names.
    pub fn name_server(&self) -> SocketAddr {
        self.name_server
    }

    /// From now on the directory says that the CA has these names in CAA records, as those of public CAs do and Pebble's
    /// does not.
    pub fn calls_itself(&self, identities: &[&str]) {
        *self.state.identities.lock() = identities.iter().map(|&name| name.to_owned()).collect();
    }

    /// The CA of the proxy's listener.
    pub fn root_pem(&self) -> &str {
        &self.root
    }

    /// A file with the CA of the proxy's listener.
    pub fn root_pem_path(&self) -> PathBuf {
        self.directory.path().join("root.pem")
    }

    /// Requests of this kind so far, whatever became of them. A rejected nonce makes a client repeat itself: to count
    /// orders take [`accepted`](Self::accepted).
    pub fn count(&self, kind: Kind) -> usize {
        self.state.rule(kind, |rule| rule.count)
    }

    /// Requests of this kind that the CA answered with success.
    pub fn accepted(&self, kind: Kind) -> usize {
        self.state.rule(kind, |rule| rule.accepted)
    }

    /// How many orders the CA took for this name.
    pub fn orders_for(&self, name: &str) -> usize {
        self.state.ordered.lock().iter().filter(|names| names.iter().any(|known| known == name)).count()
    }

    /// The token that the CA last wanted to see by HTTP-01 for this name.
    pub fn token_for(&self, name: &str) -> Option<String> {
        self.state.tokens.lock().get(name).cloned()
    }

    /// Waits until the CA has accepted this many requests of the kind.
    pub async fn until_accepted(&self, kind: Kind, count: usize) {
        let what = format!("the CA has accepted {count} of {kind:?}");
        wait::until(&what, async || (self.accepted(kind) >= count).then_some(())).await;
    }

    /// Each request of this kind takes so much longer.
    pub fn delay(&self, kind: Kind, by: Duration) {
        self.state.rule(kind, |rule| rule.delay = Some(by));
    }

    /// Requests of this kind wait before they reach the CA.
    pub fn hold(&self, kind: Kind) {
        self.state.rule(kind, |rule| rule.latch.close());
    }

    /// Requests of this kind reach the CA; its answers wait.
    pub fn hold_answer(&self, kind: Kind) {
        self.state.rule(kind, |rule| rule.answer_latch.close());
    }

    /// Ends when a request of this kind is held before the CA.
    pub async fn reached(&self, kind: Kind) {
        self.state.rule(kind, |rule| Arc::clone(&rule.latch)).reached(1).await;
    }

    /// Ends when an answer to a request of this kind is held.
    pub async fn answer_reached(&self, kind: Kind) {
        self.state.rule(kind, |rule| Arc::clone(&rule.answer_latch)).reached(1).await;
    }

    /// Lets go of everything that is held.
    pub fn release(&self) {
        for rule in self.state.rules.lock().values() {
            rule.latch.open();
            rule.answer_latch.open();
        }
    }

    /// Answers requests of this kind itself, from now on.
    pub fn answer(&self, kind: Kind, answer: Answer) {
        self.answer_times(kind, usize::MAX, answer);
    }

    /// Answers the next `times` requests of this kind itself.
    pub fn answer_times(&self, kind: Kind, times: usize, answer: Answer) {
        self.state.rule(kind, |rule| rule.answers = Some((times, answer)));
    }

    /// Ends the connection instead of passing requests of this kind on.
    pub fn cut(&self, kind: Kind) {
        self.state.rule(kind, |rule| rule.cut = true);
    }

    /// Passes requests of this kind on and ends the connection instead of bringing the answer.
    pub fn lose_answer(&self, kind: Kind) {
        self.state.rule(kind, |rule| rule.lose = true);
    }

    /// Forgets all rules of this kind; its counts stay.
    pub fn clear(&self, kind: Kind) {
        self.state.rule(kind, |rule| {
            rule.latch.open();
            rule.answer_latch.open();
            let (count, accepted) = (rule.count, rule.accepted);
            *rule = Rule { count, accepted, ..Rule::default() };
        });
    }
}

impl State {
    fn before(pebble: &Pebble) -> Self {
        Self {
            upstream: Mutex::new(Arc::new(Upstream::of(pebble))),
            rules: Mutex::default(),
            ordered: Mutex::default(),
            tokens: Mutex::default(),
            identities: Mutex::default(),
            turn: tokio::sync::RwLock::default(),
        }
    }

    fn rule<T>(&self, kind: Kind, read: impl FnOnce(&mut Rule) -> T) -> T {
        read(self.rules.lock().entry(kind).or_default())
    }

    async fn handle(&self, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        let kind = Kind::of(request.uri().path());
        let plan = self.rule(kind, Rule::plan);
        if let Some(delay) = plan.delay {
            tokio::time::sleep(delay).await;
        }
        plan.latch.pass().await;
        if plan.cut {
            return Err(Cut);
        }
        if let Some(answer) = plan.answer {
            return Ok(answer.response());
        }
        let mut response = self.pass_on(kind, request).await.map_err(|_| Cut)?;
        if kind == Kind::Directory {
            self.add_identities(&mut response);
        }
        self.note(kind, &response);
        plan.answer_latch.pass().await;
        if plan.lose {
            return Err(Cut);
        }
        Ok(response.map(body::full))
    }

    async fn pass_on(&self, kind: Kind, request: Request<Incoming>) -> Result<Response<Bytes>, HttpError> {
        let upstream = Arc::clone(&self.upstream.lock());
        match kind {
            Kind::NewOrder => {
                let _alone = self.turn.write().await;
                upstream.send(request).await
            }
            Kind::Authorization => {
                let _beside_others = self.turn.read().await;
                upstream.send(request).await
            }
            _ => upstream.send(request).await,
        }
    }

    fn note(&self, kind: Kind, response: &Response<Bytes>) {
        if !response.status().is_success() {
            return;
        }
        if kind == Kind::NewOrder {
            let order: Value = serde_json::from_slice(response.body()).unwrap_or_default();
            let names = order["identifiers"].as_array().into_iter().flatten();
            let names = names.filter_map(|identifier| identifier["value"].as_str()).map(str::to_owned);
            self.ordered.lock().push(names.collect());
        }
        if kind == Kind::Authorization {
            self.note_token(&serde_json::from_slice(response.body()).unwrap_or_default());
        }
        self.rule(kind, |rule| rule.accepted += 1);
    }

    fn add_identities(&self, directory: &mut Response<Bytes>) {
        let identities = self.identities.lock().clone();
        if identities.is_empty() {
            return;
        }
        let mut content: Value = serde_json::from_slice(directory.body()).unwrap_or_default();
        content["meta"]["caaIdentities"] = json!(identities);
        *directory.body_mut() = content.to_string().into();
        directory.headers_mut().remove(header::CONTENT_LENGTH);
    }

    fn note_token(&self, authorization: &Value) {
        let mut challenges = authorization["challenges"].as_array().into_iter().flatten();
        let token = challenges.find(|challenge| challenge["type"] == "http-01");
        let token = token.and_then(|challenge| challenge["token"].as_str());
        if let (Some(name), Some(token)) = (authorization["identifier"]["value"].as_str(), token) {
            self.tokens.lock().insert(name.to_owned(), token.to_owned());
        }
    }
}

impl Rule {
    fn plan(&mut self) -> Plan {
        self.count += 1;
        let answer = match &mut self.answers {
            Some((times, answer)) if *times > 0 => {
                *times -= 1;
                Some(answer.clone())
            }
            _ => None,
        };
        Plan {
            delay: self.delay,
            answer,
            cut: self.cut,
            lose: self.lose,
            latch: Arc::clone(&self.latch),
            answer_latch: Arc::clone(&self.answer_latch),
        }
    }
}

/// Reads a whole request, so that it can be sent again on another connection.
async fn buffer(request: Request<Incoming>) -> Result<Request<Bytes>, hyper::Error> {
    let (head, body) = request.into_parts();
    Ok(Request::from_parts(head, body.collect().await?.to_bytes()))
}
