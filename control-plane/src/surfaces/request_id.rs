//! Every request has an id, in and out, and is counted by its route.

use std::time::Duration;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use tokio::time::Instant;

use super::AppState;
use crate::core::new_id;

static HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// A client's id longer than this is not taken over into our logs.
const MAX_LEN: usize = 128;

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that this task works on.
pub(crate) fn current() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

pub(crate) async fn label(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let given = request.headers().get(&HEADER).and_then(|value| value.to_str().ok());
    let is_sound = |id: &&str| !id.is_empty() && id.len() <= MAX_LEN && id.bytes().all(|byte| byte.is_ascii_graphic());
    let id = given.filter(is_sound).map_or_else(new_id, str::to_owned);
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let start = Instant::now();
    let mut response = CURRENT.scope(id.clone(), next.run(request)).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(&HEADER, value);
    }
    let took: Duration = start.elapsed();
    let status = response.status();
    state.metrics.requests.with_label_values(&[&route, method.as_str(), status.as_str()]).inc();
    state.metrics.request_seconds.with_label_values(&[&route]).observe(took.as_secs_f64());
    tracing::debug!(request_id = id, route, %method, status = status.as_u16(), ?took, "request");
    response
}
