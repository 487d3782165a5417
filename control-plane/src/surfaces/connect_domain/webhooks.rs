//! Webhook endpoints and deliveries.

#![expect(unused_qualifications, reason = "what utoipa makes of `params` names them anew")]

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    ApiError, AppState,
    auth::Key,
    body::Body,
    cursor::{Page, Paging},
    error::Problem,
    events::{event_kind, event_name, event_names},
    once::{Once, Start},
    parts::{Path, Query},
};
use crate::core::{
    CoreError, Delivery, DeliveryAttempt, DeliveryStatus, DisableReason, EndpointPatch, Event, EventKind, Moment,
    NewEndpoint, Scope, WebhookEndpoint,
};

/// A new endpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateEndpoint {
    #[schema(example = "https://hooks.acme.example/namegate")]
    url: String,
    /// Empty: all.
    #[serde(default)]
    #[schema(example = json!(["ssl.issued", "domain.flow.completed"]))]
    events: Vec<String>,
}

/// An endpoint.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
pub(crate) struct EndpointView {
    id: String,
    url: String,
    /// Empty: all.
    events: Vec<&'static str>,
    enabled: bool,
    /// Why it is not: `asked`, `gone` (it answered 410) or `failing` (nothing reached it for days).
    disabled_reason: Option<&'static str>,
    /// Since when nothing reaches it.
    #[schema(value_type = Option<String>, format = DateTime)]
    failing_since: Option<Moment>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Moment,
    /// Until when the secret before the last rotation signs beside the new one.
    #[schema(value_type = Option<String>, format = DateTime)]
    former_secret_until: Option<Moment>,
    /// Only in the answers that make the endpoint or its secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<String>,
}

impl From<WebhookEndpoint> for EndpointView {
    fn from(from: WebhookEndpoint) -> Self {
        Self {
            id: from.id,
            url: from.url,
            events: from.events.0.into_iter().map(event_name).collect(),
            enabled: from.enabled.0,
            disabled_reason: from.disabled_reason.map(DisableReason::as_str),
            failing_since: from.failing_since,
            created_at: from.created_at,
            former_secret_until: from.former_until,
            signing_secret: None,
        }
    }
}

/// Make an endpoint. Its signing secret is in this answer and in no other. Needs `webhooks:write` or `apps:admin`.
#[utoipa::path(post, path = "/v1/webhook-endpoints", tag = "webhooks", request_body = CreateEndpoint,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    responses((status = 201, body = EndpointView), (status = "4XX", body = Problem)))]
pub(crate) async fn create_endpoint(
    State(state): State<AppState>,
    Key(caller): Key,
    headers: HeaderMap,
    body: Body<CreateEndpoint>,
) -> Result<Response, ApiError> {
    caller.require_any(&[Scope::WebhooksWrite, Scope::AppsAdmin])?;
    let mut once = match Once::start(&state.core, &caller, &headers, "POST /v1/webhook-endpoints", &body.bytes).await? {
        Start::Do(once) => once,
        Start::Answer(answer) => return Ok(answer),
    };
    let events = match kinds(&body.value.events) {
        Ok(events) => events,
        Err(error) => return Err(once.fail(error).await),
    };
    let mut tx = once.begin().await?;
    match state.core.create_endpoint(&mut tx, &caller, NewEndpoint { url: body.value.url, events }).await {
        Ok((made, secret)) => {
            let kept = EndpointView::from(made);
            let shown = EndpointView { signing_secret: Some(secret), ..kept.clone() };
            once.finish(tx, StatusCode::CREATED, &shown, &kept).await
        }
        Err(error) => {
            drop(tx);
            Err(once.fail(error).await)
        }
    }
}

fn kinds(names: &[String]) -> Result<Vec<EventKind>, CoreError> {
    let unknown = |index: usize| CoreError::Invalid {
        pointer: format!("/events/{index}"),
        detail: format!("an event is one of {}", event_names().join(", ")),
    };
    names.iter().enumerate().map(|(index, name)| event_kind(name).ok_or_else(|| unknown(index))).collect()
}

/// Your endpoints, the newest first. Needs `webhooks:write` or `apps:admin`.
#[utoipa::path(get, path = "/v1/webhook-endpoints", tag = "webhooks", params(Paging),
    responses((status = 200, body = Page<EndpointView>), (status = "4XX", body = Problem)))]
pub(crate) async fn list_endpoints(
    State(state): State<AppState>,
    Key(caller): Key,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<EndpointView>>, ApiError> {
    let rows = state.core.endpoints(&caller, paging.after()?, paging.read_limit()?).await?;
    Ok(Json(paging.page(rows, |row| &row.id, Into::into)))
}

/// One endpoint. Needs `webhooks:write` or `apps:admin`.
#[utoipa::path(get, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 200, body = EndpointView), (status = "4XX", body = Problem)))]
pub(crate) async fn get_endpoint(
    State(state): State<AppState>,
    Key(caller): Key,
    Path(id): Path<String>,
) -> Result<Json<EndpointView>, ApiError> {
    Ok(Json(state.core.endpoint(&caller, &id).await?.into()))
}

/// What shall change; what is missing stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateEndpoint {
    #[schema(example = "https://hooks.acme.example/namegate")]
    url: Option<String>,
    /// Empty: all.
    events: Option<Vec<String>>,
    /// False gives up what it was not told yet.
    enabled: Option<bool>,
}

/// Change an endpoint, or switch it off and on. What happened while it was off is not sent afterwards; read it with
/// `GET /v1/events`. Needs `webhooks:write` or `apps:admin`.
#[utoipa::path(patch, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", request_body = UpdateEndpoint,
    params(("id" = String, Path)),
    responses((status = 200, body = EndpointView), (status = "4XX", body = Problem)))]
pub(crate) async fn update_endpoint(
    State(state): State<AppState>,
    Key(caller): Key,
    Path(id): Path<String>,
    body: Body<UpdateEndpoint>,
) -> Result<Json<EndpointView>, ApiError> {
    let UpdateEndpoint { url, events, enabled } = body.value;
    let events = events.as_deref().map(kinds).transpose()?;
    let patch = EndpointPatch { url, events, enabled };
    Ok(Json(state.core.update_endpoint(&caller, &id, patch).await?.into()))
}

/// Make a new signing secret. The one before signs beside it for a day. Needs `webhooks:write` or `apps:admin`.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{id}/secret:rotate", tag = "webhooks",
    params(("id" = String, Path)),
    responses((status = 200, body = EndpointView), (status = "4XX", body = Problem)))]
pub(crate) async fn rotate_secret(
    State(state): State<AppState>,
    Key(caller): Key,
    Path(id): Path<String>,
) -> Result<Json<EndpointView>, ApiError> {
    let (endpoint, secret) = state.core.rotate_signing_secret(&caller, &id).await?;
    Ok(Json(EndpointView { signing_secret: Some(secret), ..endpoint.into() }))
}

/// End an endpoint. Needs `webhooks:write` or `apps:admin`.
#[utoipa::path(delete, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", params(("id" = String, Path, format = "uuid")),
    responses((status = 204), (status = "4XX", body = Problem)))]
pub(crate) async fn delete_endpoint(
    State(state): State<AppState>,
    Key(caller): Key,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.core.delete_endpoint(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An event on its way to an endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub(crate) struct DeliveryView {
    id: String,
    endpoint_id: String,
    event_id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "jobId")]
    job_id: Option<String>,
    hostname: Option<String>,
    /// The delivery that this one repeats.
    replay_of: Option<String>,
    /// `pending`, `delivered` or `failed`.
    status: &'static str,
    /// How often it was tried.
    attempts: i64,
    /// Null at the end, and while it waits for an earlier event of its hostname.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_retry_at: Option<Moment>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Moment,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Moment>,
    /// Every try; in the answer for one delivery alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<Vec<TryView>>,
}

/// One try.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TryView {
    n: i64,
    #[schema(value_type = String, format = DateTime)]
    at: Moment,
    status_code: Option<i64>,
    error: Option<String>,
    duration_ms: i64,
    /// The start of the answer.
    response: Option<String>,
}

impl From<DeliveryAttempt> for TryView {
    fn from(from: DeliveryAttempt) -> Self {
        let DeliveryAttempt { n, at, status_code, error, duration_ms, response } = from;
        Self { n, at, status_code, error, duration_ms, response }
    }
}

impl From<(Delivery, Event)> for DeliveryView {
    fn from((from, event): (Delivery, Event)) -> Self {
        Self {
            id: from.id,
            endpoint_id: from.endpoint_id,
            event_id: from.event_id,
            kind: event_name(event.kind),
            job_id: event.claim_id,
            hostname: from.hostname,
            replay_of: from.replay_of,
            status: from.status.as_str(),
            attempts: from.attempts,
            next_retry_at: from.next_retry_at,
            created_at: from.created_at,
            finished_at: from.finished_at,
            log: None,
        }
    }
}

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveryFilter {
    /// `pending`, `delivered` or `failed`.
    status: Option<String>,
}

/// Deliveries, the newest first. Needs `webhooks:write` or `apps:admin`.
#[utoipa::path(get, path = "/v1/webhook-deliveries", tag = "webhooks", params(DeliveryFilter, Paging),
    responses((status = 200, body = Page<DeliveryView>), (status = "4XX", body = Problem)))]
pub(crate) async fn list_deliveries(
    State(state): State<AppState>,
    Key(caller): Key,
    Query(filter): Query<DeliveryFilter>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<DeliveryView>>, ApiError> {
    let status = filter.status.as_deref().map(str::parse::<DeliveryStatus>).transpose();
    let status = status.map_err(|_| ApiError::invalid("/status", "status is pending, delivered or failed"))?;
    let rows = state.core.deliveries(&caller, status, paging.after()?, paging.read_limit()?).await?;
    Ok(Json(paging.page(rows, |(row, _)| &row.id, Into::into)))
}

/// One delivery with every try. Needs `webhooks:write` or `apps:admin`.
#[utoipa::path(get, path = "/v1/webhook-deliveries/{id}", tag = "webhooks", params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = DeliveryView), (status = "4XX", body = Problem)))]
pub(crate) async fn get_delivery(
    State(state): State<AppState>,
    Key(caller): Key,
    Path(id): Path<String>,
) -> Result<Json<DeliveryView>, ApiError> {
    let (delivery, event, log) = state.core.delivery(&caller, &id).await?;
    let log = Some(log.into_iter().map(Into::into).collect());
    Ok(Json(DeliveryView { log, ..DeliveryView::from((delivery, event)) }))
}

/// Send an event again, as a delivery of its own. Needs `webhooks:write` or `apps:admin`.
#[utoipa::path(post, path = "/v1/webhook-deliveries/{id}/replay", tag = "webhooks", params(("id" = String, Path, format = "uuid")),
    responses((status = 202, body = DeliveryView), (status = "4XX", body = Problem)))]
pub(crate) async fn replay(
    State(state): State<AppState>,
    Key(caller): Key,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<DeliveryView>), ApiError> {
    let replay = state.core.replay_delivery(&caller, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(replay.into())))
}
