//! What a preflight means for a claim: whether a certificate order could succeed.
//!
//! Before there was a certificate, a record that is in the way keeps the gate closed, so that no visitor causes an order
//! that the authority must refuse. After that no finding closes anything: it is told, and the name is served on. What
//! could not be told changes neither.

use super::{Claim, CoreSettings, Deadline, Document, Moment, Ownership, Preflight, Reason, Routing, RoutingSight};

/// What a preflight found: the worst of it, and what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PreflightSight {
    /// Nothing is in the way.
    Clear,
    /// The name does not lead here yet; nothing that is there is in the way.
    Pending(Reason),
    /// It could not be told.
    Unclear(Reason),
    /// A record has to be changed first.
    Blocked(Reason),
}

impl PreflightSight {
    /// What is told of it; what could not be told is no news.
    fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Blocked(reason) | Self::Pending(reason) => Some(reason),
            Self::Clear | Self::Unclear(_) => None,
        }
    }
}

/// Notes what a preflight found. Called before the records are judged, which [`through`] has been applied to.
pub(super) fn judge_preflight(claim: &mut Claim, sight: &PreflightSight, now: Moment, s: &CoreSettings) {
    let before = claim.preflight;
    claim.preflight = match sight {
        PreflightSight::Blocked(_) => Preflight::Blocked,
        PreflightSight::Clear | PreflightSight::Pending(_) => Preflight::Clear,
        PreflightSight::Unclear(_) => before,
    };
    if claim.ownership == Ownership::Proven {
        match sight {
            PreflightSight::Blocked(reason) => claim.reason = Some(Document(reason.clone())),
            PreflightSight::Unclear(_) => {}
            PreflightSight::Clear | PreflightSight::Pending(_) => {
                claim.reason.take_if(|_| before == Preflight::Blocked);
            }
        }
    }
    if claim.preflight == Preflight::Blocked && !claim.had_certificate() {
        if claim.routing == Routing::Pointing {
            claim.routing = Routing::Wrong;
            (claim.absent_streak, claim.drift_since) = (0, None);
        }
        if claim.deadline == Deadline::None {
            (claim.deadline, claim.deadline_at) =
                (Deadline::Running, Some(now.after(s.policy(claim.surface).deadline)));
        }
    }
}

/// What is seen of the records in the light of a preflight. Until there is a certificate, a name points here only if an
/// order could succeed; what is in the way explains more than a record that differs.
pub(super) fn through(claim: &Claim, records: &RoutingSight, sight: Option<&PreflightSight>) -> RoutingSight {
    let mut seen = records.clone();
    let found = sight.and_then(PreflightSight::reason);
    let stays_blocked = claim.preflight == Preflight::Blocked && found.is_none();
    match seen.verdict {
        Some(Routing::Pointing) if claim.had_certificate() => {
            seen.reason = seen.reason.or_else(|| found.cloned());
        }
        Some(Routing::Pointing) if found.is_some() || stays_blocked => {
            seen.verdict = Some(Routing::Wrong);
            seen.reason = found.cloned().or(seen.reason);
        }
        Some(Routing::Wrong) => seen.reason = found.cloned().or(seen.reason),
        _ if matches!(sight, Some(PreflightSight::Blocked(_))) => seen.reason = found.cloned(),
        _ => {}
    }
    seen
}
