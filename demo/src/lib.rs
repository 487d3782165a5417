//! A small SaaS whose customers use hostnames of their own.
//!
//! It plays both parts that a real one has: it is the origin of its tenants' pages, and it answers the edge's question
//! whether a hostname may have a certificate, in the form that Caddy made common. It knows nothing of TLS.

mod page;
mod tenants;

use std::net::SocketAddr;

use axum::{
    Json, Router,
    extract::{Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;

pub use tenants::{TENANTS, Tenant};

/// How long the edge may use an answer without asking again.
const TTL_SECONDS: u32 = 60;

/// Serves until the listener breaks.
///
/// # Errors
/// When the listener cannot tell its address or breaks.
pub async fn serve(listener: TcpListener) -> std::io::Result<()> {
    let address = listener.local_addr()?;
    axum::serve(listener, router(address)).await
}

fn router(address: SocketAddr) -> Router {
    Router::new()
        .route("/ask", get(ask))
        .route("/healthz", get(async || "ok\n"))
        .fallback(tenant_page)
        .with_state(address)
}

#[derive(Deserialize)]
struct Question {
    domain: String,
}

/// "May this hostname have a certificate, and where do its requests go?"
async fn ask(State(address): State<SocketAddr>, Query(question): Query<Question>) -> Response {
    let Some(tenant) = tenants::find(&question.domain) else {
        return (StatusCode::FORBIDDEN, "no tenant uses this name\n").into_response();
    };
    Json(json!({
        "hostname": tenant.hostname,
        "origin": format!("http://{address}"),
        "generation": 1,
        "ttl_seconds": TTL_SECONDS,
    }))
    .into_response()
}

async fn tenant_page(request: Request) -> Response {
    let name = visited_name(request.headers());
    match tenants::find(&name) {
        Some(tenant) => Html(page::tenant(tenant, &request)).into_response(),
        None => (StatusCode::NOT_FOUND, Html(page::unknown(&name))).into_response(),
    }
}

/// The name that the visitor typed. `X-Forwarded-Host` may be believed because only the edge can reach an origin, and
/// the edge drops what visitors send in it.
fn visited_name(headers: &HeaderMap) -> String {
    let host = headers.get("x-forwarded-host").or_else(|| headers.get(header::HOST));
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    host.split(':').next().unwrap_or_default().to_ascii_lowercase()
}
