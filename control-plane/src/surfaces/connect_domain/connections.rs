//! Connections and their verbs.

#![expect(unused_qualifications, reason = "what utoipa makes of `params` names them anew")]

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use names::Hostname;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    ApiError, AppState,
    applying::AppliedRecords,
    auth::KeyOrToken,
    body::{Body, some_null, some_objects},
    cursor::{Page, Paging},
    error::Problem,
    once::{Once, Start},
    parts::{Path, Query},
    state_word::{self, facets_of, state_word},
    views::{ConnectionView, ObservedView},
};
use crate::{
    checks::Look,
    core::{
        Caller, ChallengeForm, Connection, ConnectionFilter, ConnectionPatch, CoreError, DesiredRecord, Job, Lifecycle,
        Looker, NewConnection, Ownership, Reason, ReasonCode, Scope, SetupType,
    },
    db::Session,
    surfaces::review::Review,
};

/// How this API writes the challenge.
pub const CHALLENGE: ChallengeForm = ChallengeForm { label: "_customdomain-challenge", prefix: "cd-verify-" };

/// A new connection.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateConnection {
    application_id: String,
    /// In any spelling, Unicode too. Of one that is refused (400, `invalid`) `details.rule` says why: it is no hostname
    /// (`empty`, `bad_label`, `too_long`, `single_label`, `underscore`, `wildcard`, `ip_address`, `idna`), nobody may own it
    /// (`public_suffix`, `reserved`), or no public authority would certify it (`not_public`, `reserved_label`,
    /// `too_many_labels`).
    #[schema(example = "app.customer.com")]
    hostname: String,
    /// `automatic` needs a stored DNS credential: the records are written, and the answer waits for that for some
    /// seconds. When missing, automatic if the application has a credential. A connection for whose name there is none
    /// becomes `manual`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    setup_type: Option<SetupType>,
    /// The records of this connection instead of the template's.
    #[serde(default, deserialize_with = "some_objects")]
    dns_records: Option<Vec<DesiredRecord>>,
    /// Your own grouping.
    #[serde(default)]
    batch_id: Option<String>,
    /// Where requests go; the application's default when missing.
    #[serde(default)]
    #[schema(example = "https://tenant-7.acme.example")]
    origin: Option<String>,
    /// Send the customer's Host to the origin.
    #[serde(default)]
    keep_host: Option<bool>,
    /// Ask for a challenge although another account has the name: its owner can then show by TXT that it moved.
    #[serde(default)]
    takeover: bool,
    /// Only show what would be written at the DNS provider: nothing is made, nothing is written.
    #[serde(default)]
    dry_run: bool,
}

/// Start a connection. Nothing is served until ownership is shown. With a stored DNS credential the records are written
/// at once; `dry_run` shows them first. Needs `connections:write`.
#[utoipa::path(post, path = "/v1/connections", tag = "connections", request_body = CreateConnection,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    responses((status = 200, body = AppliedRecords, description = "What `dry_run` shows"),
        (status = 201, body = ConnectionView), (status = 402, body = Problem), (status = 409, body = Problem),
        (status = "4XX", body = Problem)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    KeyOrToken(caller): KeyOrToken,
    headers: HeaderMap,
    body: Body<CreateConnection>,
) -> Result<Response, ApiError> {
    caller.require(Scope::ConnectionsWrite)?;
    let is_dry = body.value.dry_run;
    let new = NewConnection::from(body.value);
    if is_dry {
        return show(&state, &caller, new).await.map(IntoResponse::into_response);
    }
    let mut once = match Once::start(&state.core, &caller, &headers, "POST /v1/connections", &body.bytes).await? {
        Start::Do(once) => once,
        Start::Answer(answer) => return Ok(answer),
    };
    let mut tx = once.begin().await?;
    match make(&state, &mut tx, &caller, new).await {
        Ok((made, None)) => {
            let review = Review::of(&made);
            let view = ConnectionView::from(made);
            let answer = once.finish(tx, StatusCode::CREATED, &view, &view).await?;
            review.tell(&state.metrics);
            Ok(answer)
        }
        Ok((made, Some(job))) => {
            let review = Review::of(&made);
            let begun = ConnectionView::from(made);
            let kept = once.commit(tx, StatusCode::CREATED, &begun).await?;
            review.tell(&state.metrics);
            let view = written(&state, job).await.unwrap_or(begun);
            Ok(kept.finish(&view).await)
        }
        Err(error) => {
            drop(tx);
            Err(once.fail(error).await)
        }
    }
}

impl From<CreateConnection> for NewConnection {
    fn from(wish: CreateConnection) -> Self {
        Self {
            application_id: wish.application_id,
            hostname: wish.hostname,
            records: wish.dns_records,
            batch_id: wish.batch_id,
            origin: wish.origin,
            keep_host: wish.keep_host,
            takeover: wish.takeover,
            challenge: CHALLENGE,
            setup_type: wish.setup_type,
        }
    }
}

/// What a connection would be made of, and what of it would be written. The transaction that makes it is left.
async fn show(state: &AppState, caller: &Caller, new: NewConnection) -> Result<Json<AppliedRecords>, ApiError> {
    let mut tx = state.core.begin().await.map_err(CoreError::from)?;
    let made = state.core.create_connection(&mut tx, caller, new).await?;
    drop(tx);
    super::applying::answer(state.writer.preview_new(made).await?)
}

async fn make(
    state: &AppState,
    tx: &mut Session,
    caller: &Caller,
    new: NewConnection,
) -> Result<(Connection, Option<Job>), CoreError> {
    let made = state.core.create_connection(tx, caller, new).await?;
    let job = state.core.take_first_write(tx, &made, state.writer.limits().lease).await?;
    Ok((made, job))
}

/// The connection with what became of its first write. `None` when that goes on for longer than a client is made to
/// wait, or was not written down: the connection was made in any case.
async fn written(state: &AppState, job: Job) -> Option<ConnectionView> {
    match state.writer.run_and_wait(job, state.writer.limits().create_wait).await {
        Ok(report) => report.connection.map(|connection| ConnectionView::from(*connection)),
        Err(error) => {
            tracing::warn!(error = %telemetry::chain(&error), "a first write did not end and will be tried again");
            None
        }
    }
}

/// Which connections.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// In this state.
    state: Option<String>,
    /// Of this name.
    hostname: Option<String>,
    /// Of this application.
    application_id: Option<String>,
    /// Of this batch.
    batch_id: Option<String>,
}

/// Your connections, the newest first. Needs `connections:read`.
#[utoipa::path(get, path = "/v1/connections", tag = "connections", params(Filter, Paging),
    responses((status = 200, body = Page<ConnectionView>), (status = "4XX", body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    KeyOrToken(caller): KeyOrToken,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<ConnectionView>>, ApiError> {
    let filter = filter_of(filter)?;
    let rows = state.core.connections(&caller, &filter, paging.after()?, paging.read_limit()?).await?;
    Ok(Json(paging.page(rows, |row| &row.claim.id, Into::into)))
}

fn filter_of(filter: Filter) -> Result<ConnectionFilter, ApiError> {
    let facets = match filter.state.as_deref() {
        None => Vec::new(),
        Some(word) => facets_of(word)
            .ok_or_else(|| ApiError::invalid("/state", format!("state is one of {}", state_word::WORDS.join(", "))))?,
    };
    let hostname = filter.hostname.as_deref().map(Hostname::parse).transpose().map_err(CoreError::BadHostname)?;
    Ok(ConnectionFilter { hostname, application_id: filter.application_id, batch_id: filter.batch_id, facets })
}

/// One connection with everything that is known. Needs `connections:read`.
#[utoipa::path(get, path = "/v1/connections/{id}", tag = "connections", params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = ConnectionView), (status = "4XX", body = Problem)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    KeyOrToken(caller): KeyOrToken,
    Path(id): Path<String>,
) -> Result<Json<ConnectionView>, ApiError> {
    caller.require(Scope::ConnectionsRead)?;
    Ok(Json(state.core.connection(&caller, &id).await?.into()))
}

/// What shall be changed; what is missing stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateConnection {
    /// Where requests go; null takes the application's default.
    #[serde(default, deserialize_with = "some_null")]
    #[schema(value_type = Option<String>)]
    origin: Option<Option<String>>,
    keep_host: Option<bool>,
}

/// Change where requests go. Live at every edge within seconds. Needs `connections:write`.
#[utoipa::path(patch, path = "/v1/connections/{id}", tag = "connections", params(("id" = String, Path, format = "uuid")),
    request_body = UpdateConnection,
    responses((status = 200, body = ConnectionView), (status = "4XX", body = Problem)))]
pub(crate) async fn update(
    State(state): State<AppState>,
    KeyOrToken(caller): KeyOrToken,
    Path(id): Path<String>,
    body: Body<UpdateConnection>,
) -> Result<Json<ConnectionView>, ApiError> {
    let patch = ConnectionPatch { origin: body.value.origin, keep_host: body.value.keep_host };
    Ok(Json(state.core.update_connection(&caller, &id, patch).await?.into()))
}

/// Archive a connection: the gate closes at once, the customer's DNS is left alone. Needs `connections:write`.
#[utoipa::path(delete, path = "/v1/connections/{id}", tag = "connections", params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = ConnectionView), (status = "4XX", body = Problem)))]
pub(crate) async fn archive(
    State(state): State<AppState>,
    KeyOrToken(caller): KeyOrToken,
    Path(id): Path<String>,
) -> Result<Json<ConnectionView>, ApiError> {
    Ok(Json(state.core.archive_connection(&caller, &id).await?.into()))
}

/// Look for the challenge now. Found: `verified`, and the gate is open, unless a record would make every order of a
/// certificate fail (`reason_code`, `fix`): then it opens with the look that finds the record changed. Needs
/// `connections:write`.
#[utoipa::path(post, path = "/v1/connections/{id}/verify", tag = "connections", params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = ConnectionView),
        (status = 409, body = Problem, description = "`ownership_not_found`: the challenge is not there; the details \
            say what was seen"),
        (status = 429, body = Problem, description = "`rate_limited`: asked too often", headers(("Retry-After" = u64,
            description = "Seconds until the next look"))),
        (status = "4XX", body = Problem)))]
pub(crate) async fn verify(
    State(state): State<AppState>,
    KeyOrToken(caller): KeyOrToken,
    Path(id): Path<String>,
) -> Result<Json<ConnectionView>, ApiError> {
    let connection = standing(&state, &caller, &id).await?;
    if connection.claim.is_open() {
        return Ok(Json(connection.into()));
    }
    let looked = look(&state, &connection, Look::Ownership).await?;
    if looked.claim.ownership == Ownership::Proven {
        return Ok(Json(looked.into()));
    }
    let reason = looked.reason().cloned().unwrap_or_else(|| Reason::new(ReasonCode::ChallengeMissing));
    Err(CoreError::OwnershipNotFound { reason: Box::new(reason) }.into())
}

/// What was seen of the records.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckedRecords {
    records: Vec<ObservedView>,
    /// The connection's state after this look.
    state: &'static str,
    /// Why it is not live.
    reason_code: Option<String>,
    /// The same for people.
    message: Option<String>,
}

/// Look at the records now. When all are right, the certificate is ordered and the name goes live. Needs
/// `connections:write`.
#[utoipa::path(post, path = "/v1/connections/{id}/records:check", tag = "connections", params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = CheckedRecords),
        (status = 429, body = Problem, description = "`rate_limited`: asked too often", headers(("Retry-After" = u64,
            description = "Seconds until the next look"))),
        (status = "4XX", body = Problem)))]
pub(crate) async fn check_records(
    State(state): State<AppState>,
    KeyOrToken(caller): KeyOrToken,
    Path(id): Path<String>,
) -> Result<Json<CheckedRecords>, ApiError> {
    let connection = standing(&state, &caller, &id).await?;
    let looked = look(&state, &connection, Look::Routing).await?;
    Ok(Json(CheckedRecords {
        records: looked.records.iter().map(Into::into).collect(),
        state: state_word(&looked.claim),
        reason_code: looked.reason().map(|reason| reason.code.clone()),
        message: looked.reason().map(Reason::message),
    }))
}

/// The caller's connection, if it still stands.
pub(super) async fn standing(state: &AppState, caller: &Caller, id: &str) -> Result<Connection, ApiError> {
    caller.require(Scope::ConnectionsWrite)?;
    let connection = state.core.connection(caller, id).await?;
    match connection.claim.lifecycle {
        Lifecycle::Active => Ok(connection),
        lifecycle => Err(CoreError::WrongState { lifecycle }.into()),
    }
}

async fn look(state: &AppState, connection: &Connection, look: Look) -> Result<Connection, ApiError> {
    let id = &connection.claim.id;
    let claim = &connection.claim;
    state.take_look(&claim.id, &claim.application_id).inspect_err(|_| state.metrics.checks_refused.inc())?;
    let missing = CoreError::NotFound { what: "connection" };
    let inquiry = state.core.inquire(id).await?.ok_or(missing)?;
    // No transaction is open while the DNS takes its time.
    let seen = state.checks.look(&inquiry, look).await;
    Ok(state.core.apply_check(id, &seen, Looker::Verb).await?)
}
