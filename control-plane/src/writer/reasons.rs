//! Why a write did not happen, for the connection: to programs, to the SaaS, to its customer.

use std::time::Duration;

use dns::provider::{Conflict, Plan, Problem, ProviderError};

use crate::core::{Claim, Moment, Reason, ReasonCode, WriteEnd};

/// The shortest and the longest wait before the next run, when the provider says nothing of it.
const WAITS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(5));
/// The longest that a provider may make us wait at once.
const LONGEST: Duration = Duration::from_hours(1);
/// Records that are named to people.
const NAMED: usize = 5;

/// The provider may take it later. Without its word: after half of the time that it has taken already.
pub(super) fn later(claim: &Claim, error: &ProviderError, now: Moment) -> WriteEnd {
    let since = claim.write_since.map_or(Duration::ZERO, |since| now.since(since));
    let after = match error.problem {
        Problem::RateLimited { retry_after: Some(after) } => after.max(WAITS.0),
        _ => (since / 2).clamp(WAITS.0, WAITS.1),
    };
    WriteEnd::Later { after: after.min(LONGEST), reason: told(ReasonCode::RecordsBeingWritten, error) }
}

/// The provider will not take it.
pub(super) fn of_problem(error: &ProviderError) -> Reason {
    told(ReasonCode::WriteRefused, error)
}

fn told(code: ReasonCode, error: &ProviderError) -> Reason {
    let said = error.said.as_ref().map(|said| format!(" It says: {said}")).unwrap_or_default();
    Reason {
        detail: Some(error.problem.code().to_owned()),
        told: Some(format!("{error}.{said}")),
        user_told: Some(error.advice()),
        ..Reason::new(code)
    }
}

/// Records stand in the way.
pub(super) fn of_conflicts(plan: &Plan) -> Reason {
    let words = plan.conflicts.iter().take(NAMED).map(Conflict::explain).collect::<Vec<_>>().join(" ");
    Reason {
        detail: Some(Problem::Conflict.code().to_owned()),
        told: Some(words.clone()),
        user_told: Some(words),
        ..Reason::new(ReasonCode::WriteRefused)
    }
}

/// Somebody has to agree first.
pub(super) fn of_consent(plan: &Plan) -> Reason {
    let records: Vec<_> =
        plan.displaced().take(NAMED).map(|old| format!("{} {} {}", old.name, old.kind, old.data)).collect();
    let records = records.join(", ");
    Reason {
        detail: Some("confirm".to_owned()),
        told: Some(format!(
            "records that are not ours would be removed: {records}; show them to their owner with records:apply and \
             its dry_run, and send back its confirm"
        )),
        user_told: Some(format!("Your domain has records that would be replaced: {records}. Confirm that first.")),
        ..Reason::new(ReasonCode::WriteRefused)
    }
}
