//! Events under this API's names.

#![expect(unused_qualifications, reason = "what utoipa makes of `params` names them anew")]

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{ApiError, AppState, auth::Key, error::Problem, parts::Query};
use crate::core::{Event, EventKind, Moment};

const DEFAULT: i64 = 20;
const MOST: i64 = 100;

/// What this API calls an event of the core.
pub fn event_name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::CertificateFailed => "ssl.failed",
        EventKind::CertificateIssued => "ssl.issued",
        EventKind::CertificateRenewed => "ssl.renewed",
        EventKind::ClaimArchived => "domain.archived",
        EventKind::ClaimDrifted => "domain.drift",
        EventKind::ClaimLive => "domain.flow.completed",
        EventKind::ClaimLost => "domain.lost",
        EventKind::ClaimRecovered => "domain.recovered",
        EventKind::ClaimStalled => "domain.stalled",
        EventKind::EndpointDisabled => "webhook_endpoint.disabled",
        EventKind::OwnershipProven => "domain.verified",
        EventKind::RecordsWritten => "domain.added",
    }
}

/// The core's event of a name of ours.
pub(crate) fn event_kind(name: &str) -> Option<EventKind> {
    EventKind::ALL.iter().copied().find(|kind| event_name(*kind) == name)
}

/// Every name.
pub(crate) fn event_names() -> Vec<&'static str> {
    EventKind::ALL.iter().map(|kind| event_name(*kind)).collect()
}

/// An event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventView {
    id: String,
    /// Its number: read on with `after`.
    seq: i64,
    #[serde(rename = "type")]
    #[schema(example = "domain.verified")]
    kind: &'static str,
    /// The connection. This and the hostname are null when the event is about the account.
    #[serde(rename = "jobId")]
    job_id: Option<String>,
    hostname: Option<String>,
    /// Its number among the events of this hostname.
    hostname_seq: Option<i64>,
    data: Value,
    #[schema(value_type = String, format = DateTime)]
    created_at: Moment,
}

impl From<Event> for EventView {
    fn from(from: Event) -> Self {
        Self {
            id: from.id,
            seq: from.seq,
            kind: event_name(from.kind),
            job_id: from.claim_id,
            hostname: from.hostname,
            hostname_seq: from.hostname_seq,
            data: from.data.0,
            created_at: from.created_at,
        }
    }
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct After {
    /// The number of the last event that you have; 0 from the start.
    #[serde(default)]
    #[param(minimum = 0)]
    after: i64,
    /// Between 1 and 100; 20 when missing.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
}

/// Events in order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventList {
    data: Vec<EventView>,
    /// What to ask for next.
    next_after: i64,
}

/// Events after a number, in order: for those who read instead of being called. Needs `connections:read`,
/// `webhooks:write` or `apps:admin`.
#[utoipa::path(get, path = "/v1/events", tag = "webhooks", params(After),
    responses((status = 200, body = EventList), (status = "4XX", body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Key(caller): Key,
    Query(query): Query<After>,
) -> Result<Json<EventList>, ApiError> {
    let limit = query.limit.unwrap_or(DEFAULT);
    if !(1..=MOST).contains(&limit) {
        return Err(ApiError::invalid("/limit", format!("limit is between 1 and {MOST}")));
    }
    if query.after < 0 {
        return Err(ApiError::invalid("/after", "after is 0 or the number of an event"));
    }
    let events = state.core.events(&caller, query.after, limit).await?;
    let next_after = events.last().map_or(query.after, |event| event.seq);
    Ok(Json(EventList { data: events.into_iter().map(Into::into).collect(), next_after }))
}
