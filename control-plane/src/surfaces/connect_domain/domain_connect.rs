//! Domain Connect: the address of a provider's page for one connection, and the page that browsers come back to.
//!
//! A browser that comes back may be anybody's. It brings a state that we gave away, once; what follows is a look at the
//! DNS and a redirect to where the application wanted, on an origin that it names. Nothing that the browser brings is
//! shown.

use axum::{
    Json, Router,
    extract::{Query as AxumQuery, State, rejection::QueryRejection},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ApiError, AppState,
    auth::KeyOrToken,
    body::Body,
    connections::{CHALLENGE, standing},
    error::Problem,
    parts::Path,
};
use crate::{
    checks,
    core::{Connection, Moment, Return},
    domains::{CALLBACK, Offer, Trip},
};

/// How the customer is sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartDomainConnect {
    /// Where the browser ends, on an origin of the application's `allowed_origins`. It gets `connection_id` and
    /// `domain_connect` (`done` or `failed`), with `error` where something went wrong. Without one, a page says that the
    /// window can be closed.
    #[serde(default)]
    #[schema(example = "https://app.acme.example/settings/domain")]
    return_url: Option<String>,
}

/// Where the customer says yes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DomainConnectLink {
    /// Open it in a new window, or send the browser there.
    url: String,
    /// What comes back later is not looked at.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Moment,
    provider: LinkProvider,
    window: LinkWindow,
}

/// Who asks the customer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinkProvider {
    #[schema(example = "godaddy.com")]
    id: String,
    #[schema(example = "GoDaddy")]
    name: String,
}

/// The window that the provider wants, in pixels.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinkWindow {
    width: u32,
    height: u32,
}

/// Make the address of the provider's own page where the customer lets it write this connection's records. Good for an
/// hour, once. What the page did is seen in the DNS. Needs `connections:write`.
#[utoipa::path(post, path = "/v1/connections/{id}/domain-connect", tag = "connections", request_body = StartDomainConnect,
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = DomainConnectLink),
        (status = 409, body = Problem, description = "`domain_connect_unavailable`: the zone's provider does not offer it, \
            or could not be asked; `details.reason` says why"),
        (status = 429, body = Problem, description = "`rate_limited`: asked too often", headers(("Retry-After" = u64,
            description = "Seconds until the next look"))),
        (status = "4XX", body = Problem)))]
pub(crate) async fn start(
    State(state): State<AppState>,
    KeyOrToken(caller): KeyOrToken,
    Path(id): Path<String>,
    body: Body<StartDomainConnect>,
) -> Result<Json<DomainConnectLink>, ApiError> {
    let connection = standing(&state, &caller, &id).await?;
    let way = state.domains.domain_connect().ok_or_else(|| unavailable("not_configured", true))?;
    let token = token(&connection).ok_or_else(|| unavailable("no_challenge", true))?;
    state.take_look(&id, &connection.claim.application_id).inspect_err(|_| state.metrics.checks_refused.inc())?;
    let hostname = &connection.claim.hostname;
    let zone = state.domains.delegation(hostname).await.zone;
    let all: Option<Vec<_>> = connection.records.iter().map(checks::desired).collect();
    let (settings, wish) = match state.domains.offer(hostname, &zone, all.as_deref()).await {
        Offer::Given { settings, wish, .. } => (settings, wish),
        Offer::OtherRecords => return Err(unavailable("other_records", true)),
        Offer::None(why) => return Err(unavailable(why.code(), why.is_no())),
        Offer::Off => return Err(unavailable("not_configured", true)),
    };
    let visit = state.core.begin_visit(&caller, &id, body.value.return_url.as_deref()).await?;
    let trip = Trip { settings: &settings, wish: &wish, zone: &zone, token, state: &visit.state };
    let url = way.way(&trip).ok_or_else(|| unavailable("not_signed", false))?;
    Ok(Json(DomainConnectLink {
        url: url.into(),
        expires_at: visit.expires_at,
        provider: LinkProvider { id: settings.provider_id.clone(), name: settings.provider_name.clone() },
        window: LinkWindow { width: settings.width, height: settings.height },
    }))
}

/// The changing part of the challenge; the rest stands in the template.
fn token(connection: &Connection) -> Option<&str> {
    connection.challenge()?.expected.strip_prefix(CHALLENGE.prefix)
}

fn unavailable(reason: &'static str, is_final: bool) -> ApiError {
    let message = match is_final {
        true => "the records of this name cannot be written by a page of its DNS provider",
        false => "whether the DNS provider has a page for this could not be told; try again",
    };
    let error = ApiError::new(StatusCode::CONFLICT, "domain_connect_unavailable", message);
    error.details(serde_json::json!({ "reason": reason, "final": is_final }))
}

/// The page that browsers come back to. It is no part of the API: nobody calls it but a browser.
pub(crate) fn callback() -> Router<AppState> {
    Router::new().route(CALLBACK, get(come_back))
}

#[derive(Deserialize)]
struct Brought {
    state: String,
    error: Option<String>,
}

async fn come_back(
    State(state): State<AppState>,
    method: Method,
    brought: Result<AxumQuery<Brought>, QueryRejection>,
) -> Response {
    // Programs that preview links ask with HEAD; they must not use up what is good once.
    let Ok(AxumQuery(brought)) = brought else { return page(StatusCode::BAD_REQUEST, UNKNOWN) };
    if method != Method::GET {
        return page(StatusCode::OK, SEEN);
    }
    match state.core.end_visit(&brought.state, brought.error.as_deref()).await {
        Ok(Some(Return { url: Some(url), connection_id, error })) => go_on(url, &connection_id, error),
        Ok(Some(Return { error: None, .. })) => page(StatusCode::OK, DONE),
        Ok(Some(Return { error: Some("access_denied"), .. })) => page(StatusCode::OK, DENIED),
        Ok(Some(Return { error: Some(_), .. })) => page(StatusCode::OK, FAILED),
        Ok(None) => page(StatusCode::BAD_REQUEST, UNKNOWN),
        Err(error) => {
            tracing::warn!(error = %telemetry::chain(&error), "a browser that came back could not be taken in");
            page(StatusCode::SERVICE_UNAVAILABLE, AWAY)
        }
    }
}

/// To the application's own page.
fn go_on(mut url: url::Url, connection_id: &str, error: Option<&'static str>) -> Response {
    let mut query = url.query_pairs_mut();
    query.append_pair("connection_id", connection_id);
    query.append_pair("domain_connect", if error.is_some() { "failed" } else { "done" });
    query.extend_pairs(error.map(|error| ("error", error)));
    drop(query);
    // A URL is ASCII without line ends once it is parsed.
    match HeaderValue::from_str(url.as_str()) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)], GUARDED).into_response(),
        Err(_) => page(StatusCode::OK, DONE),
    }
}

/// What a page says: a title and a sentence.
type Words = (&'static str, &'static str);

const DONE: Words = (
    "Thank you",
    "Your DNS provider has been asked to set up your domain. We are checking it now. You can close this window.",
);
const DENIED: Words = (
    "Nothing was changed",
    "You did not allow the change, or your account may not make it. You can close this window and set up the records by \
     hand.",
);
const FAILED: Words = (
    "That did not work",
    "Your DNS provider could not set up your domain. You can close this window and try again, or set up the records by \
     hand.",
);
const UNKNOWN: Words =
    ("This link is not valid any more", "It was used before, or it is too old. Please begin again where you started.");
const AWAY: Words = ("One moment, please", "We cannot look at your domain just now. Please load this page again.");
const SEEN: Words = ("Your domain", "Please open this page in your browser.");

/// Neither page nor redirect is kept, framed or told to others.
const GUARDED: [(HeaderName, HeaderValue); 5] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// Our own words alone.
fn page(status: StatusCode, (title, text): Words) -> Response {
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>body{{font:1rem/1.5 system-ui;max-width:32rem;\
         margin:4rem auto;padding:0 1rem}}</style><h1>{title}</h1><p>{text}</p></html>\n"
    );
    (status, GUARDED, axum::response::Html(body)).into_response()
}
