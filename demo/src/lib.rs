//! A small SaaS whose customers use hostnames of their own.
//!
//! It plays the parts that a real one has: it is the origin of its customers' pages, it takes the control plane's
//! webhooks, and it can answer the edge's question itself, in the form that Caddy made common, for those who run the
//! edge alone. It knows nothing of TLS.

mod inbox;
mod page;
mod signature;
mod tenants;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Query, Request, State},
    http::{HeaderMap, StatusCode},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use tokio::{net::TcpListener, sync::mpsc};

use inbox::Inbox;
pub use inbox::Webhook;
pub use tenants::{TENANTS, Tenant};

/// How long the edge may use an answer without asking again.
const TTL_SECONDS: u32 = 60;
/// A webhook is a few hundred bytes.
const MAX_BODY: usize = 64 * 1024;

/// The SaaS. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Saas {
    address: SocketAddr,
    signing_secret: Arc<Mutex<Option<String>>>,
    inbox: Arc<Mutex<Inbox>>,
}

impl Saas {
    /// One that is reached at this address. `told` hears of every webhook, once each, as long as it keeps up.
    pub fn new(address: SocketAddr, told: Option<mpsc::Sender<Webhook>>) -> Self {
        Self { address, signing_secret: Arc::default(), inbox: Arc::new(Mutex::new(Inbox::new(told))) }
    }

    /// Believes webhooks that are signed with this secret (`whsec_…`), and no others. Before, it believes none.
    pub fn trust(&self, signing_secret: &str) {
        *self.signing_secret.lock() = Some(signing_secret.to_owned());
    }

    /// Serves until the listener breaks.
    ///
    /// # Errors
    /// When the listener breaks.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        axum::serve(listener, router(self)).await
    }
}

fn router(saas: Saas) -> Router {
    Router::new()
        .route("/ask", get(ask))
        .route("/healthz", get(async || "ok\n"))
        .route("/webhooks", get(webhooks).post(take_webhook))
        .fallback(page)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(saas)
}

#[derive(Deserialize)]
struct Question {
    domain: String,
}

/// "May this hostname have a certificate, and where do its requests go?"
async fn ask(State(saas): State<Saas>, Query(question): Query<Question>) -> Response {
    let Some(tenant) = tenants::find(&question.domain) else {
        return (StatusCode::FORBIDDEN, "no tenant uses this name\n").into_response();
    };
    Json(json!({
        "hostname": tenant.hostname,
        "origin": format!("http://{}", saas.address),
        "generation": 1,
        "ttl_seconds": TTL_SECONDS,
    }))
    .into_response()
}

/// What the control plane tells. The answer comes before anything is done with it: a sender waits for seconds only.
async fn take_webhook(State(saas): State<Saas>, headers: HeaderMap, body: Bytes) -> Response {
    let secret = saas.signing_secret.lock().clone();
    let Some(secret) = secret else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no signing secret is known yet\n").into_response();
    };
    if let Err(reason) = signature::verify(&secret, &headers, &body) {
        return (StatusCode::UNAUTHORIZED, format!("{reason}\n")).into_response();
    }
    match saas.inbox.lock().take(&headers, &body) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(reason) => (StatusCode::BAD_REQUEST, format!("{reason}\n")).into_response(),
    }
}

/// The webhooks that were taken, the oldest first.
async fn webhooks(State(saas): State<Saas>) -> Json<Vec<Webhook>> {
    Json(saas.inbox.lock().all().cloned().collect())
}

/// A name that comes through the edge was admitted by the gate, so it is some customer's. Without the edge: our own page.
async fn page(State(saas): State<Saas>, request: Request) -> Response {
    let Some(name) = visited_name(request.headers()) else {
        return match request.uri().path() {
            "/" => Html(page::home(&saas.inbox.lock())).into_response(),
            _ => (StatusCode::NOT_FOUND, Html(page::not_found())).into_response(),
        };
    };
    match tenants::find(&name) {
        Some(tenant) => Html(page::tenant(tenant, &request)).into_response(),
        None => Html(page::newcomer(&name, &request)).into_response(),
    }
}

/// The name that the visitor typed. `X-Forwarded-Host` may be believed because only the edge can reach an origin, and
/// the edge drops what visitors send in it.
fn visited_name(headers: &HeaderMap) -> Option<String> {
    let host = headers.get("x-forwarded-host")?.to_str().ok()?;
    Some(host.split(':').next().unwrap_or_default().to_ascii_lowercase())
}
