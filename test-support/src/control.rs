//! [`FakeControl`]: a control plane's internal endpoints, scripted.
//!
//! It keeps a feed and the names that follow from it, and says what a test wants when that is something else.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};
use url::form_urlencoded;

use crate::{
    Body, Loopback, body,
    latch::Latch,
    server::{Cut, Server},
};

/// Bytes of a snapshot that are sent at a time.
const PIECE: usize = 64 << 10;

/// What is done to a snapshot on its way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Damage {
    /// One digit of its checksum's bytes is another.
    Corrupt,
    /// The connection ends in the middle.
    Cut,
    /// Nothing.
    #[default]
    None,
    /// The last line is missing, and the body ends properly.
    Truncated,
}

/// What the control plane knows and how it behaves.
#[derive(Debug)]
struct State {
    token: Mutex<String>,
    feed: Mutex<FeedState>,
    /// The highest sequence number; those who wait look at it.
    head: watch::Sender<u64>,
    damage: Mutex<Damage>,
    confirmed: Mutex<bool>,
    /// Lines of names that the snapshot has instead of those that follow from the feed.
    lines: Mutex<Option<Vec<String>>>,
    /// When the last byte of the last snapshot was handed to the connection.
    snapshot_sent: Arc<Mutex<Option<Instant>>>,
    reports: Mutex<Vec<Value>>,
    report_status: Mutex<u16>,
    polls: Mutex<Vec<Instant>>,
    snapshots: AtomicUsize,
    refused: AtomicUsize,
    latch: Latch,
}

#[derive(Debug, Default)]
struct FeedState {
    epoch: u64,
    changes: Vec<(u64, Value)>,
    names: BTreeMap<String, Value>,
    /// Changes up to here are no longer kept.
    forgotten: u64,
}

/// A control plane for an edge.
#[derive(Debug)]
pub struct FakeControl {
    state: Arc<State>,
    address: SocketAddr,
    server: Option<Server>,
}

impl FakeControl {
    /// Starts one on `host`, at epoch 1 with no name.
    pub async fn start(host: &Loopback, token: &str) -> Self {
        let state = Arc::new(State {
            token: Mutex::new(token.to_owned()),
            feed: Mutex::new(FeedState { epoch: 1, ..FeedState::default() }),
            head: watch::Sender::new(0),
            damage: Mutex::default(),
            confirmed: Mutex::default(),
            lines: Mutex::default(),
            snapshot_sent: Arc::default(),
            reports: Mutex::default(),
            report_status: Mutex::new(204),
            polls: Mutex::default(),
            snapshots: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            latch: Latch::default(),
        });
        let server = serve(host.at(0), &state).await;
        Self { state, address: server.address, server: Some(server) }
    }

    /// The value of `[control] url`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The only token from now on.
    pub fn set_token(&self, token: &str) {
        token.clone_into(&mut self.state.token.lock());
    }

    /// Publishes a name: `route` is an object with `origin`, `pointing` and so on. Its sequence number.
    pub fn upsert(&self, name: &str, generation: u64, route: &Value) -> u64 {
        let mut line = route.clone();
        line["hostname"] = json!(name);
        line["generation"] = json!(generation);
        self.state.feed.lock().names.insert(name.to_owned(), line.clone());
        line["kind"] = json!("upsert");
        self.publish(line)
    }

    /// Publishes a deletion. Its sequence number.
    pub fn delete(&self, name: &str, generation: u64) -> u64 {
        self.state.feed.lock().names.remove(name);
        self.publish(json!({"hostname": name, "generation": generation, "kind": "delete"}))
    }

    /// Publishes a change as it is, with the next sequence number, and changes no name for the snapshot.
    pub fn publish(&self, mut change: Value) -> u64 {
        let mut feed = self.state.feed.lock();
        let seq = *self.state.head.borrow() + 1;
        change["seq"] = json!(seq);
        change["at_ms"] = json!(now_ms());
        feed.changes.push((seq, change));
        drop(feed);
        self.state.head.send_replace(seq);
        seq
    }

    /// Sets the names of the snapshot without telling the feed.
    pub fn set_names(&self, names: impl IntoIterator<Item = (String, Value)>) {
        let mut feed = self.state.feed.lock();
        feed.names.clear();
        for (name, mut line) in names {
            line["hostname"] = json!(name);
            feed.names.insert(name, line);
        }
    }

    /// No longer keeps the changes so far: whoever is behind is told 410.
    pub fn forget_changes(&self) {
        let mut feed = self.state.feed.lock();
        feed.forgotten = *self.state.head.borrow() + 1;
        feed.changes.clear();
        drop(feed);
        self.state.head.send_modify(|head| *head += 1);
    }

    /// Starts the sequence anew.
    pub fn set_epoch(&self, epoch: u64, head: u64) {
        let mut feed = self.state.feed.lock();
        (feed.epoch, feed.forgotten) = (epoch, 0);
        feed.changes.clear();
        drop(feed);
        self.state.head.send_replace(head);
    }

    /// What happens to snapshots from now on.
    pub fn damage(&self, damage: Damage) {
        *self.state.damage.lock() = damage;
    }

    /// Sets the lines of the snapshot between its first and its last, right or wrong, each without its end.
    pub fn set_lines(&self, lines: Vec<String>) {
        *self.state.lines.lock() = Some(lines);
    }

    /// When the last byte of the last snapshot went out; nothing before the first one, and while one is on its way.
    pub fn snapshot_sent(&self) -> Option<Instant> {
        *self.state.snapshot_sent.lock()
    }

    /// Whether snapshots say that their operator means them.
    pub fn confirm(&self, confirmed: bool) {
        *self.state.confirmed.lock() = confirmed;
    }

    /// What reports are answered with.
    pub fn answer_reports(&self, status: u16) {
        *self.state.report_status.lock() = status;
    }

    /// Reports that were taken.
    pub fn reports(&self) -> Vec<Value> {
        self.state.reports.lock().clone()
    }

    /// When questions for changes came.
    pub fn polls(&self) -> Vec<Instant> {
        self.state.polls.lock().clone()
    }

    /// How often the snapshot was asked for.
    pub fn snapshots(&self) -> usize {
        self.state.snapshots.load(Ordering::SeqCst)
    }

    /// How many requests came with another token.
    pub fn refused(&self) -> usize {
        self.state.refused.load(Ordering::SeqCst)
    }

    /// Lets requests wait until [`release`](Self::release).
    pub fn hold(&self) {
        self.state.latch.close();
    }

    /// Ends when `count` requests wait.
    pub async fn reached(&self, count: usize) {
        self.state.latch.reached(count).await;
    }

    /// Answers what waits, and from now on at once.
    pub fn release(&self) {
        self.state.latch.open();
    }

    /// Goes away, with every connection.
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
        let expected = format!("Bearer {}", self.token.lock());
        let authorization = request.headers().get(header::AUTHORIZATION);
        if authorization.is_none_or(|value| value.as_bytes() != expected.as_bytes()) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Ok(body::status(StatusCode::UNAUTHORIZED));
        }
        self.latch.pass().await;
        match request.uri().path() {
            "/internal/certificates" => Ok(self.take_reports(request).await),
            "/internal/changes" => Ok(self.changes(request.uri().query().unwrap_or_default()).await),
            "/internal/snapshot" => Ok(self.snapshot()),
            _ => Ok(body::status(StatusCode::NOT_FOUND)),
        }
    }

    async fn changes(&self, query: &str) -> Response<Body> {
        self.polls.lock().push(Instant::now());
        let query: HashMap<String, u64> = form_urlencoded::parse(query.as_bytes())
            .filter_map(|(k, v)| Some((k.into_owned(), v.parse().ok()?)))
            .collect();
        let (after, wait) = (query["after"], query.get("wait").copied().unwrap_or(0));
        let mut head = self.head.subscribe();
        let news = head.wait_for(|head| *head != after);
        let _ = tokio::time::timeout(Duration::from_secs(wait), news).await;
        let feed = self.feed.lock();
        let head = *self.head.borrow();
        if after < feed.forgotten || after > head {
            return body::status(StatusCode::GONE);
        }
        let news: Vec<_> = feed.changes.iter().filter(|(seq, _)| *seq > after).take(1000).collect();
        let next_after = news.last().map_or(after, |(seq, _)| *seq);
        let changes: Vec<_> = news.iter().map(|(_, change)| change).collect();
        body::json(&json!({"epoch": feed.epoch, "changes": changes, "next_after": next_after, "head": head}))
    }

    fn snapshot(&self) -> Response<Body> {
        self.snapshots.fetch_add(1, Ordering::SeqCst);
        let mut text = self.snapshot_text();
        let damage = *self.damage.lock();
        match damage {
            Damage::Corrupt => text = text.replacen("generation\":1", "generation\":7", 1),
            Damage::Cut | Damage::None => {}
            Damage::Truncated => text.truncate(text.trim_end().rfind('\n').map_or(0, |end| end + 1)),
        }
        let mut response = match damage {
            Damage::Cut => cut(text),
            Damage::Corrupt | Damage::None | Damage::Truncated => Response::new(self.pieces(text)),
        };
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        response
    }

    /// The text as a server sends it that does not hold all of it: a piece when there is room for one.
    fn pieces(&self, text: String) -> Body {
        let sent = Arc::clone(&self.snapshot_sent);
        *sent.lock() = None;
        let text = Bytes::from(text);
        let pieces = (0..text.len()).step_by(PIECE).map(move |at| text.slice(at..text.len().min(at + PIECE)));
        let end = std::iter::from_fn(move || {
            *sent.lock() = Some(Instant::now());
            None
        });
        let frames = pieces.chain(end).map(|piece| Ok(Frame::data(piece)));
        StreamBody::new(futures::stream::iter(frames)).boxed_unsync()
    }

    fn snapshot_text(&self) -> String {
        let feed = self.feed.lock();
        let lines = self.lines.lock();
        let lines = match &*lines {
            Some(lines) => lines,
            None => &feed.names.values().map(|line| json!({ "name": line }).to_string()).collect(),
        };
        let (seq, count, confirmed) = (*self.head.borrow(), lines.len(), *self.confirmed.lock());
        let header = json!({"epoch": feed.epoch, "seq": seq, "count": count, "confirmed": confirmed});
        let mut text = format!("{}\n", json!({ "header": header }));
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        let sum: String = digest(&SHA256, text.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect();
        text + &format!("{}\n", json!({"end": {"count": count, "checksum": sum}}))
    }

    async fn take_reports(&self, request: Request<Incoming>) -> Response<Body> {
        let Ok(bytes) = request.into_body().collect().await else { return body::status(StatusCode::BAD_REQUEST) };
        let status = StatusCode::from_u16(*self.report_status.lock()).unwrap();
        if status.is_success() {
            let batch: Value = serde_json::from_slice(&bytes.to_bytes()).unwrap();
            self.reports.lock().extend(batch["reports"].as_array().unwrap().iter().cloned());
        }
        body::status(status)
    }
}

/// Half of the text, then the connection breaks.
fn cut(mut text: String) -> Response<Body> {
    text.truncate(text.len() / 2);
    let frames = [Ok(Frame::data(Bytes::from(text))), Err(std::io::Error::other("cut on purpose"))];
    Response::new(StreamBody::new(futures::stream::iter(frames)).boxed_unsync())
}

fn now_ms() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the peer has a clock of its own")]
    let now = SystemTime::now();
    u64::try_from(now.duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
