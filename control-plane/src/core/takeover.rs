//! Who may open the gate of a hostname: the guard against taking over a name, by accident or not.
//!
//! The target that customers point at is shared, so a CNAME that was left behind proves nothing about *which* account
//! its owner wants. Only the zone's owner can write a TXT record.

use std::time::Duration;

use super::{Moment, ProofKind};

/// Whose the open gate is, if it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    /// How the holder showed ownership.
    pub(crate) proof: ProofKind,
    /// Whether that proof still stands: its record is there, or the name still points here without anybody having
    /// shown anything else.
    pub(crate) stands: bool,
}

/// A name that was let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Released {
    /// Whether it was the newcomer's own account that had it.
    pub(crate) by_newcomer: bool,
    /// When.
    pub(crate) at: Moment,
}

/// What the guard says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The name is free.
    Open,
    /// The holder loses it.
    TakeOver,
    /// The holder keeps it.
    Held,
    /// It cools off: only a challenge in the zone opens it for another account.
    CoolingOff,
}

/// Decides for a newcomer who has shown `proof` just now.
pub(crate) fn admit(
    proof: ProofKind,
    holder: Option<Holder>,
    released: Option<Released>,
    now: Moment,
    cool_off: Duration,
) -> Admission {
    if let Some(holder) = holder {
        // Equal strength takes over only what does not stand any more, and never without a record in the zone.
        let is_stronger = proof > holder.proof;
        let is_fresher = !holder.stands && proof.is_of_the_zone();
        return if is_stronger || is_fresher { Admission::TakeOver } else { Admission::Held };
    }
    let cools = released.is_some_and(|released| !released.by_newcomer && now.since(released.at) < cool_off);
    if cools && !proof.is_of_the_zone() { Admission::CoolingOff } else { Admission::Open }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_millis(1_000_000);
    const COOL_OFF: Duration = Duration::from_secs(100);

    fn held(proof: ProofKind, by: ProofKind, stands: bool) -> Admission {
        admit(proof, Some(Holder { proof: by, stands }), None, NOW, COOL_OFF)
    }

    #[test]
    fn a_stronger_proof_takes_over_and_an_equal_one_never_silently() {
        use ProofKind::{Credential, SharedTarget, Txt, UniqueTarget};
        assert_eq!(held(Txt, SharedTarget, true), Admission::TakeOver);
        assert_eq!(held(Txt, Credential, true), Admission::TakeOver);
        assert_eq!(held(UniqueTarget, SharedTarget, true), Admission::TakeOver);
        assert_eq!(held(Txt, Txt, true), Admission::Held);
        assert_eq!(held(SharedTarget, SharedTarget, true), Admission::Held);
        assert_eq!(held(SharedTarget, Txt, false), Admission::Held);
        assert_eq!(held(SharedTarget, SharedTarget, false), Admission::Held);
        assert_eq!(held(Txt, Txt, false), Admission::TakeOver);
        // What a machine wrote yields to what the owner did by hand, and never the other way round.
        assert_eq!(held(Credential, Txt, true), Admission::Held);
        assert_eq!(held(Credential, Credential, true), Admission::Held);
        assert_eq!(held(Credential, Txt, false), Admission::TakeOver);
    }

    #[test]
    fn a_name_that_was_let_go_cools_off_for_others() {
        let released = |by_newcomer, secs| Some(Released { by_newcomer, at: NOW.before(Duration::from_secs(secs)) });
        let decide = |proof, released| admit(proof, None, released, NOW, COOL_OFF);
        assert_eq!(decide(ProofKind::SharedTarget, released(false, 99)), Admission::CoolingOff);
        assert_eq!(decide(ProofKind::SharedTarget, released(false, 100)), Admission::Open);
        assert_eq!(decide(ProofKind::SharedTarget, released(true, 1)), Admission::Open);
        assert_eq!(decide(ProofKind::Txt, released(false, 1)), Admission::Open);
        assert_eq!(decide(ProofKind::Credential, released(false, 1)), Admission::Open);
        assert_eq!(decide(ProofKind::SharedTarget, None), Admission::Open);
    }
}
