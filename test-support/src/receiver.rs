//! [`Receiver`]: an endpoint for webhooks that keeps what it gets and answers as it is told to.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use parking_lot::Mutex;
use serde_json::Value;

use crate::{
    Body, Ca, Loopback, body,
    server::{Cut, Server},
    wait,
};

/// Size of [`Taking::Huge`].
const HUGE: usize = 16 * 1024 * 1024;

/// What the receiver does with a message.
#[derive(Debug, Clone)]
pub enum Taking {
    /// 204.
    Take,
    /// The connection ends without an answer.
    Close,
    /// No answer, the connection stays open.
    Hang,
    /// 200, and a body that begins and does not go on.
    HangBody,
    /// 200 with 16 MiB.
    Huge,
    /// 302 to this URL.
    Redirect(String),
    /// This status with this text.
    Status(u16, &'static str),
    /// This status with a `Retry-After`.
    RetryAfter(u16, String),
}

/// A message that came.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, to the byte.
    pub body: Bytes,
    /// Method and target.
    pub request: String,
}

impl Message {
    /// A header's text.
    ///
    /// # Panics
    /// When it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {:?}", self.headers)).to_str().unwrap()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// A text of the body, such as `type`; empty when there is none.
    pub fn text(&self, key: &str) -> String {
        self.json()[key].as_str().unwrap_or_default().to_owned()
    }
}

#[derive(Debug, Default)]
struct State {
    messages: Mutex<Vec<Message>>,
    next: Mutex<VecDeque<Taking>>,
    default: Mutex<Option<Taking>>,
    of_hostname: Mutex<Vec<(String, Taking)>>,
}

/// A receiver over HTTP and HTTPS.
#[derive(Debug)]
pub struct Receiver {
    state: Arc<State>,
    http: Server,
    https: Server,
    root: String,
}

impl Receiver {
    /// Starts one on `host`. It takes everything.
    pub async fn start(host: &Loopback) -> Self {
        let state = Arc::new(State::default());
        let ca = Ca::new("Namegate test receiver root");
        let tls = ca.issue(&["localhost", "hooks.test", &host.ip().to_string()]).server(&["http/1.1"]);
        let serve = |tls| {
            let state = Arc::clone(&state);
            Server::start(host.at(0), tls, move |request| {
                let state = Arc::clone(&state);
                async move { state.take(request).await }
            })
        };
        let (http, https) = (serve(None).await, serve(Some(tls)).await);
        Self { state, http, https, root: ca.root_pem() }
    }

    /// Where it is told, over HTTP.
    pub fn url(&self) -> String {
        format!("http://{}/hooks", self.http.address)
    }

    /// Where it is told, over HTTPS; the certificate is good for the address.
    pub fn tls_url(&self) -> String {
        format!("https://{}/hooks", self.https.address)
    }

    /// The root of its own certificate.
    pub fn root_pem(&self) -> &str {
        &self.root
    }

    /// What it does from now on.
    pub fn answer(&self, taking: Taking) {
        *self.state.default.lock() = Some(taking);
    }

    /// What it does with messages about a hostname.
    pub fn answer_for(&self, hostname: &str, taking: Taking) {
        let mut takings = self.state.of_hostname.lock();
        takings.retain(|(known, _)| known != hostname);
        takings.push((hostname.to_owned(), taking));
    }

    /// What it does with the next message that comes, and with the one after that …
    pub fn then(&self, taking: Taking) {
        self.state.next.lock().push_back(taking);
    }

    /// Everything that came so far, in order.
    pub fn messages(&self) -> Vec<Message> {
        self.state.messages.lock().clone()
    }

    /// `type` and `hostname_seq` of everything that came about a hostname.
    pub fn story(&self, hostname: &str) -> Vec<(String, i64)> {
        let messages = self.messages();
        let about = messages.iter().filter(|message| message.text("hostname") == hostname);
        about.map(|message| (message.text("type"), message.json()["hostname_seq"].as_i64().unwrap_or(0))).collect()
    }

    /// Waits until this many have come.
    pub async fn until(&self, count: usize) -> Vec<Message> {
        wait::until(&format!("{count} webhooks have come"), async || {
            Some(self.messages()).filter(|messages| messages.len() >= count)
        })
        .await
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.http.connections() + self.https.connections()
    }
}

impl State {
    async fn take(&self, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        let message = Message { headers: head.headers, body, request: format!("{} {}", head.method, head.uri) };
        let hostname = message.text("hostname");
        self.messages.lock().push(message);
        let of_hostname =
            self.of_hostname.lock().iter().find(|(known, _)| *known == hostname).map(|(_, how)| how.clone());
        let next = self.next.lock().pop_front();
        let taking = next.or(of_hostname).or_else(|| self.default.lock().clone()).unwrap_or(Taking::Take);
        respond(taking).await
    }
}

async fn respond(taking: Taking) -> Result<Response<Body>, Cut> {
    let code = |code: u16| StatusCode::from_u16(code).unwrap();
    Ok(match taking {
        Taking::Take => body::status(StatusCode::NO_CONTENT),
        Taking::Close => return Err(Cut),
        Taking::Hang => std::future::pending().await,
        Taking::HangBody => {
            let begun = futures::stream::once(async { Ok(Frame::data(Bytes::from_static(b"wait for it"))) });
            let endless = futures::StreamExt::chain(begun, futures::stream::pending());
            Response::new(StreamBody::new(endless).boxed_unsync())
        }
        Taking::Huge => Response::new(body::full(vec![b'x'; HUGE])),
        Taking::Redirect(url) => with(StatusCode::FOUND, header::LOCATION, &url),
        Taking::Status(status, text) => {
            let mut response = Response::new(body::full(text));
            *response.status_mut() = code(status);
            response
        }
        Taking::RetryAfter(status, when) => with(code(status), header::RETRY_AFTER, &when),
    })
}

fn with(status: StatusCode, name: header::HeaderName, value: &str) -> Response<Body> {
    let mut response = body::status(status);
    response.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
    response
}
