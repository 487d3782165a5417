//! What pages of other origins may do: use a widget token on the routes that take one, if the token's application names
//! their origin.
//!
//! The application is known from the token alone, and a browser asks before it shows one. So the question before (the
//! preflight) is answered for any origin that some application names, and the answer itself for the token's own. API
//! keys have no place in a browser: what they are answered is shown to no page.

use std::{collections::HashSet, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tokio::{sync::Mutex, time::Instant};

use super::AppState;
use crate::core::{Core, CoreError};

/// Below these, every route takes widget tokens.
const TOKEN_ROUTES: [&str; 3] = ["/v1/connections", "/v1/domains:check", "/v1/providers"];
/// How late a new origin is known to preflights. A page whose origin was taken away is shown nothing at once.
const KEEP: Duration = Duration::from_secs(5);
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PATCH, DELETE");
const HEADERS: HeaderValue = HeaderValue::from_static("authorization, content-type, idempotency-key");
const SHOWN: HeaderValue = HeaderValue::from_static("retry-after, x-request-id, idempotent-replayed");
/// Seconds for which a browser need not ask again.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins that some application names, as last read.
#[derive(Debug, Default)]
pub struct Origins {
    read: Mutex<Option<(Instant, Arc<HashSet<String>>)>>,
}

impl Origins {
    /// One read at a time serves everybody who asks meanwhile.
    async fn names(&self, core: &Core, origin: &str) -> Result<bool, CoreError> {
        let mut read = self.read.lock().await;
        let fresh = read.as_ref().filter(|(at, _)| at.elapsed() < KEEP).map(|(_, origins)| Arc::clone(origins));
        let origins = match fresh {
            Some(origins) => origins,
            None => {
                let origins = Arc::new(core.allowed_origins().await?);
                *read = Some((Instant::now(), Arc::clone(&origins)));
                origins
            }
        };
        Ok(origins.contains(origin))
    }
}

/// Answers a browser's question and says of each answer which page may see it.
pub(crate) async fn layer(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_below = |rest: &str| matches!(rest.as_bytes(), [] | [b'/', ..]);
    let is_ours = TOKEN_ROUTES.iter().any(|route| path.strip_prefix(route).is_some_and(is_below));
    let Some(origin) = request.headers().get(header::ORIGIN).filter(|_| is_ours).cloned() else {
        return next.run(request).await;
    };
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let secret = super::auth::bearer(request.headers()).ok().map(str::to_owned);
    let mut response = match is_preflight {
        true => StatusCode::NO_CONTENT.into_response(),
        false => next.run(request).await,
    };
    let is_allowed = match (origin.to_str(), &secret) {
        (Err(_), _) => Ok(false),
        (Ok(_), None) if !is_preflight => Ok(false),
        (Ok(origin), None) => state.origins.names(&state.core, origin).await,
        (Ok(origin), Some(secret)) => may_show(&state, secret, origin).await,
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    match is_allowed {
        Ok(true) => allow(headers, origin, is_preflight),
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(error = %telemetry::chain(&error), "allowed origins could not be read");
            if is_preflight {
                return super::ApiError::from(error).into_response();
            }
        }
    }
    response
}

/// Whether a page may see what a token was answered. One that is not valid any more belongs to nobody: that its time is
/// over is told to every page that could have had it.
async fn may_show(state: &AppState, secret: &str, origin: &str) -> Result<bool, CoreError> {
    if super::auth::is_key(secret) {
        return Ok(false);
    }
    let Ok(caller) = state.tokens.caller(secret, state.core.now()) else {
        return state.origins.names(&state.core, origin).await;
    };
    let Some(id) = caller.only_application.clone() else { return Ok(false) };
    match state.core.application(&caller, &id).await {
        Ok(application) => Ok(application.allowed_origins.0.iter().any(|allowed| allowed == origin)),
        Err(CoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue, is_preflight: bool) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    match is_preflight {
        false => _ = headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, SHOWN),
        true => {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        }
    }
}
