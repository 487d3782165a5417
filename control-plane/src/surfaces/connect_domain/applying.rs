//! `records:apply`: writes a connection's web records at the DNS provider with a stored credential.
//!
//! What would be done is shown first. Records that were not ours are removed only when the caller repeats the mark of the
//! plan that announced them; a zone that changed meanwhile has another mark. Records for mail are never written.

use axum::{Json, extract::State};
use dns::{
    OwnerName,
    check::{DesiredRecord, RecordKind, RecordValue},
    provider::{
        Change, Conflict, Pace, Plan, Problem as ProviderProblem, Provider, ProviderError, Request, Stored, Zone,
        connect,
    },
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiError, AppState, auth::Key, body::Body, connections::standing, error::Problem, parts::Path};
use crate::core::{Connection, CoreError, Record, sha256};

/// Characters of a mark, as the document says; ours have half of it.
const MAX_MARK: usize = 64;

/// How records shall be written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplyRecords {
    /// Only show what would be done.
    #[serde(default)]
    dry_run: bool,
    /// The `confirm` of an earlier answer, when records that are not ours would be removed.
    #[serde(default)]
    #[schema(max_length = 64)]
    confirm: Option<String>,
}

/// What was done, or would be.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct AppliedRecords {
    /// Whether the zone holds the records now.
    applied: bool,
    /// Which provider.
    #[schema(example = "cloudflare")]
    provider: Option<&'static str>,
    /// Which zone.
    zone: Option<String>,
    /// What changes there; empty when everything is as it should be.
    changes: Vec<SetChanged>,
    /// Send this to remove records that are not ours.
    confirm: Option<String>,
    /// Why it cannot be done.
    conflicts: Vec<String>,
    /// What went wrong, for programs.
    #[schema(example = "auth")]
    code: Option<&'static str>,
    /// The same for the customer.
    message: Option<String>,
    /// The provider's own words.
    said: Option<String>,
}

/// One record set's change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SetChanged {
    host: String,
    #[serde(rename = "type")]
    #[schema(example = "CNAME")]
    kind: &'static str,
    add: Vec<String>,
    remove: Vec<String>,
    keep: Vec<String>,
}

impl From<&Change> for SetChanged {
    fn from(change: &Change) -> Self {
        let values = |set: &[Stored]| set.iter().map(|record| record.data.clone()).collect();
        Self {
            host: change.name.clone(),
            kind: change.kind.as_str(),
            add: change.add.iter().map(|record| record.data.clone()).collect(),
            remove: values(&change.remove),
            keep: values(&change.keep),
        }
    }
}

/// Write the connection's web records at its DNS provider with a stored credential; show them first with `dry_run`.
/// Nothing else in the zone is touched, and mail records are never written. Needs `connections:write`.
#[utoipa::path(post, path = "/v1/connections/{id}/records:apply", tag = "connections", request_body = ApplyRecords,
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = AppliedRecords), (status = "4XX", body = Problem)))]
pub(crate) async fn apply(
    State(state): State<AppState>,
    Key(caller): Key,
    Path(id): Path<String>,
    body: Body<ApplyRecords>,
) -> Result<Json<AppliedRecords>, ApiError> {
    if body.value.confirm.as_ref().is_some_and(|mark| mark.chars().count() > MAX_MARK) {
        return Err(ApiError::invalid("/confirm", format!("at most {MAX_MARK} characters")));
    }
    let connection = standing(&state, &caller, &id).await?;
    let request = Request { desired: web_records(&connection), written: Vec::new() };
    let found = match provider_of(&state, &connection).await? {
        Ok(found) => found,
        Err(error) => return Ok(Json(AppliedRecords::default().failed(error))),
    };
    Ok(Json(run(&found, &request, &body.value).await))
}

/// A provider with the zone that holds the name.
struct Found {
    provider: Provider,
    zone: Zone,
}

async fn run(found: &Found, request: &Request, wish: &ApplyRecords) -> AppliedRecords {
    let Found { provider, zone } = found;
    let answer = AppliedRecords {
        provider: Some(provider.facts().key),
        zone: Some(zone.name.clone()),
        ..AppliedRecords::default()
    };
    let plan = match provider.preview(zone, request).await {
        Ok(plan) => plan,
        Err(error) => return answer.failed(error),
    };
    let mark = mark(&plan);
    let answer = AppliedRecords {
        changes: plan.changes.iter().map(Into::into).collect(),
        conflicts: plan.conflicts.iter().map(Conflict::explain).collect(),
        confirm: mark.clone(),
        ..answer
    };
    if !plan.conflicts.is_empty() || wish.dry_run || mark != wish.confirm {
        return AppliedRecords { applied: plan.changes.is_empty() && plan.conflicts.is_empty(), ..answer };
    }
    match provider.apply(zone, &plan).await {
        Ok(_) => AppliedRecords { applied: true, confirm: None, ..answer },
        Err(failed) => answer.failed(failed.error),
    }
}

impl AppliedRecords {
    fn failed(self, error: ProviderError) -> Self {
        let (code, message) = (Some(error.problem.code()), Some(error.advice()));
        Self { applied: false, code, message, said: error.said, ..self }
    }
}

/// Stands for exactly these records that are not ours; `None` when there are none.
fn mark(plan: &Plan) -> Option<String> {
    let mut all: Vec<_> = plan.displaced().map(|old| format!("{} {} {}\n", old.name, old.kind, old.data)).collect();
    all.sort();
    let hash = (!all.is_empty()).then(|| sha256(&all.concat()))?;
    Some(hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

/// The records that lead visitors, and texts; mail is no business of ours.
fn web_records(connection: &Connection) -> Vec<DesiredRecord> {
    connection.records.iter().filter_map(web_record).collect()
}

fn web_record(record: &Record) -> Option<DesiredRecord> {
    let kind = [RecordKind::A, RecordKind::Aaaa, RecordKind::Cname, RecordKind::Txt];
    let kind = kind.into_iter().find(|kind| kind.as_str() == record.record_type)?;
    let value = RecordValue::parse(kind, &record.value).ok()?;
    Some(DesiredRecord { host: record.host.parse().ok()?, value, ttl: record.ttl.try_into().unwrap_or(300) })
}

/// The first of the application's credentials whose account has a zone for the name.
async fn provider_of(state: &AppState, connection: &Connection) -> Result<Result<Found, ProviderError>, ApiError> {
    let mut last = None;
    for credential in state.core.usable_credentials(&connection.claim.application_id).await? {
        let token = state.core.open_credential(&credential)?;
        let found = async {
            let adapter = connect(&state.providers, &credential.provider, &token, credential.zone_id.as_deref())?;
            let provider = Provider::new(adapter, state.zone_locks.clone(), Pace::default());
            let zone = provider.find_zone(&OwnerName::from(&connection.claim.hostname)).await?;
            Ok(Found { provider, zone })
        };
        match found.await {
            Ok(found) => return Ok(Ok(found)),
            // Another customer's credential says nothing of this name; a broken one of this customer's does.
            Err(error) if last.as_ref().is_none_or(says_little) => last = Some(error),
            Err(_) => {}
        }
    }
    let missing = CoreError::NotFound { what: "credential of this application for the name's DNS provider" };
    last.map(Err).ok_or_else(|| missing.into())
}

fn says_little(error: &ProviderError) -> bool {
    error.problem == ProviderProblem::ZoneNotFound
}
