//! `/openapi.json`, and `/docs`: the reference as one page of HTML without scripts, fonts or anything from elsewhere.

mod example;
mod page;

use std::sync::Arc;

use axum::{
    Router,
    http::header,
    response::{Html, IntoResponse},
    routing::get,
};

use super::AppState;

/// The page may show itself and do nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

pub(crate) fn router(document: utoipa::openapi::OpenApi) -> Router<AppState> {
    // Our own types: nothing in them that JSON cannot hold.
    let value = serde_json::to_value(&document).unwrap_or_default();
    let page: Arc<str> = page::page(&value).into();
    let text: Arc<str> = value.to_string().into();
    let json = move || {
        let text = Arc::clone(&text);
        async move { ([(header::CONTENT_TYPE, "application/json")], text.to_string()).into_response() }
    };
    let html = move || {
        let page = Arc::clone(&page);
        async move { ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(page.to_string())).into_response() }
    };
    Router::new().route("/openapi.json", get(json)).route("/docs", get(html))
}
