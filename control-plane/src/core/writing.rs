//! What became of writing a claim's records at its DNS provider, and what that means for the claim.
//!
//! **A write proves nothing.** Anybody can make a zone of any name in an account of their own and give us a credential of
//! it; the provider takes our records gladly and the world never asks it. So the challenge is written with the other
//! records, and ownership is shown when it is *seen*, at the servers that the name is delegated to, by the same look that
//! finds a challenge published by hand ([`judge`](super::checking::judge)). Until then the gate stays closed, whatever
//! the state word says. `docs/decisions/0005` has the whole of it.

use std::time::Duration;

use serde_json::json;

use super::{
    Claim, Deadline, DnsWrite, Document, EventKind, Fix, Moment, Ownership, Reason, ReasonCode, SetupType,
    checking::Verdict,
};

/// Between a write and the first look at it: providers answer before their servers do.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// Between a refusal and the first look for records made by hand.
const LOOK_BY_HAND: Duration = Duration::from_secs(5);
/// How long a provider that cannot be reached, or takes no more requests, is put up with.
const GIVE_UP: Duration = Duration::from_hours(6);
/// After this without a trace of our records the zone is somebody else's idea.
const UNSEEN: Duration = Duration::from_mins(15);

/// How a write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteEnd {
    /// The zone holds the records.
    Written {
        /// Where.
        provider: &'static str,
    },
    /// Not now; it is tried again.
    Later {
        /// After this.
        after: Duration,
        /// Why.
        reason: Reason,
    },
    /// It will not be done without somebody changing something.
    Refused {
        /// What.
        reason: Reason,
    },
    /// No credential's account has a zone for the name: its owner does everything by hand.
    NotOurs,
}

impl WriteEnd {
    /// A word for metrics and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Written { .. } => "written",
            Self::Later { .. } => "later",
            Self::Refused { .. } => "refused",
            Self::NotOurs => "no_zone",
        }
    }
}

/// Judges how a write ended. A claim whose records are not being written (an `apply` of one that is live) changes only
/// when they were.
pub(crate) fn judge_write(before: &Claim, end: &WriteEnd, challenge: Option<&Fix>, now: Moment) -> Verdict {
    let mut claim = before.clone();
    let mut events = Vec::new();
    let waits = before.dns_write == DnsWrite::Writing;
    match end {
        WriteEnd::Written { provider } => {
            (claim.setup_type, claim.dns_write) = (SetupType::Automatic, DnsWrite::Done);
            claim.provider = Some((*provider).to_owned());
            (claim.write_since, claim.written_at) = (None, Some(now));
            claim.next_check_at = Some(now.after(FIRST_LOOK));
            if claim.ownership != Ownership::Proven {
                claim.reason = Some(Document(Reason::new(ReasonCode::RecordsWritten)));
            }
            if before.dns_write != DnsWrite::Done {
                let data = json!({ "hostname": claim.hostname.as_str(), "setup_type": claim.setup_type.as_str() });
                events.push((EventKind::RecordsWritten, data));
            }
        }
        WriteEnd::Later { reason, .. } if waits && !is_hopeless(before, now) => {
            claim.reason = Some(Document(reason.clone()));
        }
        WriteEnd::Later { reason, .. } | WriteEnd::Refused { reason } if waits => {
            by_hand(&mut claim, DnsWrite::Failed, now);
            claim.reason = Some(Document(Reason { fix: challenge.cloned(), ..reason.clone() }));
        }
        WriteEnd::NotOurs if waits => {
            by_hand(&mut claim, DnsWrite::None, now);
            claim.reason =
                Some(Document(Reason { fix: challenge.cloned(), ..Reason::new(ReasonCode::ChallengeMissing) }));
        }
        WriteEnd::Later { .. } | WriteEnd::Refused { .. } | WriteEnd::NotOurs => {}
    }
    Verdict { claim, events }
}

/// Whether we have tried for long enough, or for longer than the claim has.
pub(crate) fn is_hopeless(claim: &Claim, now: Moment) -> bool {
    claim.deadline == Deadline::Passed || claim.write_since.is_none_or(|since| now.since(since) >= GIVE_UP)
}

/// The owner does it.
fn by_hand(claim: &mut Claim, outcome: DnsWrite, now: Moment) {
    (claim.setup_type, claim.dns_write, claim.write_since) = (SetupType::Manual, outcome, None);
    claim.next_check_at = Some(now.after(LOOK_BY_HAND));
}

/// Why a challenge that we wrote is not there; `None` when its owner has to publish it.
pub(crate) fn explain_unseen(claim: &Claim, seen: &[String], now: Moment) -> Option<Reason> {
    match claim.dns_write {
        // It is on its way, and this look too early.
        DnsWrite::Writing => claim.reason.as_ref().map(|reason| reason.0.clone()),
        DnsWrite::Done => {
            let is_late = claim.written_at.is_some_and(|at| now.since(at) >= UNSEEN);
            let code = if is_late { ReasonCode::RecordsNotServed } else { ReasonCode::RecordsWritten };
            Some(Reason { detail: claim.provider.clone(), ..Reason::new(code) })
        }
        // What the provider had against it says more than that nobody has done it by hand yet.
        DnsWrite::Failed if seen.is_empty() => {
            claim.reason.as_ref().map(|reason| &reason.0).filter(|reason| reason.is(ReasonCode::WriteRefused)).cloned()
        }
        DnsWrite::Failed | DnsWrite::None => None,
    }
}
