//! `records:apply`: writes a connection's web records at the DNS provider with a stored credential.
//!
//! What would be done is shown first. Records that were not ours are removed only when the caller repeats the mark of the
//! plan that announced them; a zone that changed meanwhile has another mark. Records for mail are never written.

use axum::{Json, extract::State};
use dns::provider::{Change, Conflict, ProviderError, Stored};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiError, AppState, auth::Key, body::Body, connections::standing, error::Problem, parts::Path};
use crate::{
    core::CoreError,
    writer::{Outcome, Report, mark},
};

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
    let ApplyRecords { dry_run, confirm } = body.value;
    if dry_run {
        standing(&state, &caller, &id).await?;
        return answer(state.writer.preview(&id).await?);
    }
    let limits = *state.writer.limits();
    let job = state.core.begin_apply(&caller, &id, confirm.as_deref(), limits.lease).await?;
    answer(state.writer.run_and_wait(job, limits.apply_wait).await?)
}

pub(super) fn answer(report: Report) -> Result<Json<AppliedRecords>, ApiError> {
    let Report { provider, zone, plan, outcome, connection: _ } = report;
    let plan = plan.unwrap_or_default();
    let answer = AppliedRecords {
        provider,
        zone,
        changes: plan.changes.iter().map(Into::into).collect(),
        conflicts: plan.conflicts.iter().map(Conflict::explain).collect(),
        confirm: mark(&plan),
        ..AppliedRecords::default()
    };
    Ok(Json(match outcome {
        Outcome::Written => AppliedRecords { applied: true, confirm: None, ..answer },
        // Nothing would be done: everything is there.
        Outcome::Shown => AppliedRecords { applied: plan.changes.is_empty(), ..answer },
        Outcome::Unconfirmed | Outcome::Conflicts => answer,
        Outcome::Failed(error) => answer.failed(error),
        Outcome::NoZone => {
            let what = "credential of this application for the name's DNS provider";
            return Err(CoreError::NotFound { what }.into());
        }
        Outcome::Busy => answer.not_yet("Other changes of this zone are under way. Yours follows by itself."),
        Outcome::UnderWay => answer.not_yet("The provider takes its time. The change goes on by itself."),
        Outcome::Slow => answer.not_yet("The provider takes its time. Ask again."),
    }))
}

impl AppliedRecords {
    fn failed(self, error: ProviderError) -> Self {
        let (code, message) = (Some(error.problem.code()), Some(error.advice()));
        Self { applied: false, code, message, said: error.said, ..self }
    }

    fn not_yet(self, message: &str) -> Self {
        Self { applied: false, code: Some("under_way"), message: Some(message.to_owned()), ..self }
    }
}
