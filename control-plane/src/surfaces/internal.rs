//! What edges use. `ask` needs no token, so that any proxy can ask; it must be reachable from the edges alone. The rest
//! needs the shared token.

use std::time::Duration;

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use control_api::{
    AskAnswer, Change, ChangeKind, Changes, Reports, Route, SNAPSHOT_TYPE, SnapshotEnd, SnapshotHeader, SnapshotLine,
    SnapshotName,
};
use futures::stream;
use names::Hostname;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::AppState;
use crate::{
    core::{Allowed, Core, CoreError, GateRow, Standing},
    metrics::Counted,
};

/// Changes of other processes are seen by looking; those of this one ring a bell.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Rows of the snapshot that are held at a time.
const SNAPSHOT_PAGE: i64 = 1000;
/// A hundred reports with long problem documents.
const MAX_REPORTS_BODY: usize = 1024 * 1024;
/// When to ask again while the database is away.
const RETRY_AFTER: &str = "2";

pub(crate) fn router() -> Router<AppState> {
    Router::new()
        .route("/internal/ask", get(ask))
        .route("/internal/changes", get(changes))
        .route("/internal/snapshot", get(snapshot))
        .route("/internal/certificates", post(certificates).layer(DefaultBodyLimit::max(MAX_REPORTS_BODY)))
}

#[derive(Deserialize)]
struct AskQuery {
    domain: Option<String>,
}

async fn ask(State(state): State<AppState>, Query(query): Query<AskQuery>) -> Response {
    let start = Instant::now();
    let Some(Ok(hostname)) = query.domain.as_deref().map(Hostname::parse) else {
        return (StatusCode::BAD_REQUEST, "domain is missing or not a hostname").into_response();
    };
    let waiting = Counted::on(&state.metrics.asks_waiting);
    let answer = state.core.ask(&hostname).await;
    drop(waiting);
    state.metrics.ask_seconds.observe(start.elapsed().as_secs_f64());
    match answer {
        Ok(Some(row)) => {
            state.metrics.ask_allowed.inc();
            Json(answer_of(row)).into_response()
        }
        Ok(None) => {
            state.metrics.ask_denied.inc();
            StatusCode::FORBIDDEN.into_response()
        }
        Err(error) => {
            state.metrics.ask_failed.inc();
            unavailable(&error)
        }
    }
}

fn answer_of(row: Allowed) -> AskAnswer {
    AskAnswer {
        tenant: row.tenant(),
        hostname: Some(row.hostname),
        origin: row.origin,
        keep_host: row.keep_host.0,
        generation: u64::try_from(row.generation).unwrap_or(0),
        ttl_seconds: None,
        connection_id: Some(row.connection_id),
        redirect: row.redirect,
    }
}

fn unavailable(error: &CoreError) -> Response {
    tracing::warn!(error = %telemetry::chain(error), "an edge could not be answered");
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER)]).into_response()
}

/// Compares in constant time: the digests are, whatever the texts.
fn is_edge(state: &AppState, headers: &HeaderMap) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer "));
    match (&state.internal_token, given) {
        (Some(token), Some(given)) => aws_lc_rs::constant_time::verify_slices_are_equal(
            &crate::core::sha256(token),
            &crate::core::sha256(given.trim()),
        )
        .is_ok(),
        _ => false,
    }
}

#[derive(Deserialize)]
struct ChangesQuery {
    after: u64,
    #[serde(default)]
    wait: u64,
}

async fn changes(State(state): State<AppState>, headers: HeaderMap, Query(query): Query<ChangesQuery>) -> Response {
    if !is_edge(&state, &headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let waiting = Counted::on(&state.metrics.feed_waiting);
    let answer = wait_for_changes(&state, &query).await;
    drop(waiting);
    match answer {
        Ok(Some(changes)) => Json(changes).into_response(),
        Ok(None) => StatusCode::GONE.into_response(),
        Err(error) => unavailable(&error),
    }
}

async fn wait_for_changes(state: &AppState, query: &ChangesQuery) -> Result<Option<Changes>, CoreError> {
    let deadline = Instant::now() + Duration::from_secs(query.wait.min(Changes::LONGEST_WAIT));
    let mut bell = state.core.gate_bell();
    loop {
        bell.mark_unchanged();
        let Some(found) = changes_after(&state.core, query.after).await? else { return Ok(None) };
        if !found.changes.is_empty() || Instant::now() >= deadline || state.stopping.is_cancelled() {
            return Ok(Some(found));
        }
        let look_again = deadline.min(Instant::now() + LOOK_AGAIN);
        // Rung, timed out or stopping: look again in each case.
        tokio::select! {
            _ = timeout_at(look_again, bell.changed()) => {}
            () = state.stopping.cancelled() => {}
        }
    }
}

async fn changes_after(core: &Core, after: u64) -> Result<Option<Changes>, CoreError> {
    let standing = core.feed_standing().await?;
    let Ok(after_seq) = i64::try_from(after) else { return Ok(None) };
    // Below the floor something may be missing; above the head it is another database's number. A reader at zero knows
    // nothing, so only tombstones could be missing, which it need not see.
    if after_seq > standing.head || (after_seq != 0 && after_seq < standing.floor) {
        return Ok(None);
    }
    let rows = match after_seq == standing.head {
        true => Vec::new(),
        false => core.gate_changes(after_seq, i64::try_from(Changes::MOST).unwrap_or(i64::MAX)).await?,
    };
    let next_after = rows.last().map_or(after, |row| number(row.seq));
    let head = number(standing.head).max(next_after);
    Ok(Some(Changes { epoch: standing.epoch, changes: rows.into_iter().map(change_of).collect(), next_after, head }))
}

fn number(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn change_of(row: GateRow) -> Change {
    Change {
        seq: number(row.seq),
        hostname: row.hostname.clone(),
        generation: number(row.generation),
        at_ms: number(row.changed_at.as_millis()),
        kind: if row.is_open.0 { ChangeKind::Upsert(route_of(row)) } else { ChangeKind::Delete },
    }
}

fn route_of(row: GateRow) -> Route {
    Route {
        tenant: row.tenant(),
        origin: row.origin,
        keep_host: row.keep_host.0,
        redirect: row.redirect,
        connection_id: Some(row.connection_id),
        pointing: row.is_pointing.0,
    }
}

/// Streams every open name. Rows that change meanwhile come with a number above the header's, so the feed repeats them.
async fn snapshot(State(state): State<AppState>, headers: HeaderMap) -> Response {
    if !is_edge(&state, &headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let begun = async { Ok::<_, CoreError>((state.core.feed_standing().await?, state.core.gate_count().await?)) };
    let (standing, count) = match begun.await {
        Ok(begun) => begun,
        Err(error) => return unavailable(&error),
    };
    let writer = SnapshotWriter {
        core: state.core,
        digest: aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256),
        count: 0,
        next: Piece::Header(standing, number(count)),
    };
    let body = Body::from_stream(stream::try_unfold(writer, SnapshotWriter::step));
    ([(header::CONTENT_TYPE, SNAPSHOT_TYPE)], body).into_response()
}

enum Piece {
    Header(Standing, u64),
    After(String),
    Nothing,
}

struct SnapshotWriter {
    core: Core,
    digest: aws_lc_rs::digest::Context,
    count: u64,
    next: Piece,
}

impl SnapshotWriter {
    /// One piece of the body. An error ends it without its last line, and the edge refuses it.
    async fn step(mut self) -> Result<Option<(Bytes, Self)>, CoreError> {
        let (text, next) = match std::mem::replace(&mut self.next, Piece::Nothing) {
            Piece::Nothing => return Ok(None),
            Piece::Header(standing, count) => (header_line(standing, count), Piece::After(String::new())),
            Piece::After(after) => {
                let rows = self.core.gate_page(&after, SNAPSHOT_PAGE).await?;
                match rows.last().map(|row| row.hostname.as_str().to_owned()) {
                    Some(last) => {
                        self.count += rows.len() as u64;
                        (rows.into_iter().map(name_line).collect::<String>(), Piece::After(last))
                    }
                    None => (self.end_line(), Piece::Nothing),
                }
            }
        };
        self.digest.update(text.as_bytes());
        self.next = next;
        Ok(Some((Bytes::from(text), self)))
    }

    fn end_line(&self) -> String {
        let digest = self.digest.clone().finish();
        let checksum = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        line(&SnapshotLine::End(SnapshotEnd { count: self.count, checksum }))
    }
}

fn header_line(standing: Standing, count: u64) -> String {
    line(&SnapshotLine::Header(SnapshotHeader {
        epoch: standing.epoch,
        seq: number(standing.head),
        count,
        confirmed: standing.confirmed,
    }))
}

fn name_line(row: GateRow) -> String {
    let (hostname, generation) = (row.hostname.clone(), number(row.generation));
    line(&SnapshotLine::Name(SnapshotName { hostname, generation, route: route_of(row) }))
}

fn line(line: &SnapshotLine) -> String {
    // Our own types: nothing in them that JSON cannot hold.
    let mut text = serde_json::to_string(line).unwrap_or_default();
    text.push('\n');
    text
}

async fn certificates(State(state): State<AppState>, headers: HeaderMap, body: Bytes) -> Response {
    if !is_edge(&state, &headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let reports = match serde_json::from_slice::<Reports>(&body) {
        Ok(reports) if reports.reports.len() <= Reports::MOST => reports.reports,
        Ok(_) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(error) => return (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
    };
    match state.core.take_reports(&reports).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => unavailable(&error),
    }
}
