//! A webhook receiver of our own, beside the demo's: it keeps what came and checks both signatures.

use std::{collections::BTreeSet, sync::Arc};

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use parking_lot::Mutex;
use serde_json::Value;
use test_support::{Loopback, wait};
use tokio::{net::TcpListener, task::JoinHandle};

type Received = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// It listens until it is dropped.
pub(crate) struct Receiver {
    received: Received,
    pub(crate) url: String,
    task: JoinHandle<std::io::Result<()>>,
    _host: Loopback,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let host = Loopback::take();
        let listener = TcpListener::bind(host.at(0)).await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let received = Received::default();
        let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&received));
        Self { received, url, task: tokio::spawn(async { axum::serve(listener, router).await }), _host: host }
    }

    /// Waits for this many different webhooks about a hostname: their types, in the order in which they came. Both
    /// signatures of each must be right. One that comes again has the same id and counts once.
    pub(crate) async fn types(&self, hostname: &str, count: usize, secret: &str) -> Vec<String> {
        let what = format!("{count} webhooks about {hostname} came");
        let about = wait::until(&what, async || Some(self.about(hostname)).filter(|about| about.len() >= count)).await;
        about.iter().for_each(|(headers, body)| check(headers, body, secret));
        about.iter().map(|(_, body)| json(body)["type"].as_str().unwrap().to_owned()).collect()
    }

    fn about(&self, hostname: &str) -> Vec<(HeaderMap, Bytes)> {
        let received = self.received.lock();
        let mut ids = BTreeSet::new();
        let about = received.iter().filter(|(_, body)| json(body)["data"]["hostname"] == hostname);
        about.filter(|(headers, _)| ids.insert(header(headers, "webhook-id"))).cloned().collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(received): State<Received>, headers: HeaderMap, body: Bytes) {
    received.lock().push((headers, body));
}

fn json(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).unwrap_or_else(|| panic!("{name} is missing: {headers:?}")).to_str().unwrap()
}

/// Standard Webhooks, and the two headers that the quickstart's API has always had.
fn check(headers: &HeaderMap, body: &Bytes, secret: &str) {
    let (id, timestamp) = (header(headers, "webhook-id"), header(headers, "webhook-timestamp"));
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    let expected = format!("v1,{}", STANDARD.encode(sign(&Key::new(HMAC_SHA256, &key), &signed)));
    assert!(header(headers, "webhook-signature").split(' ').any(|one| one == expected), "{headers:?}");

    let timestamp = header(headers, "x-cd-timestamp");
    let signed = [timestamp.as_bytes(), b".", body].concat();
    let digest = sign(&Key::new(HMAC_SHA256, secret.as_bytes()), &signed);
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(header(headers, "x-cd-signature"), format!("sha256={hex}"));
}
