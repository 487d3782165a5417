//! [`Policy`]: what a surface decides about its claims, as data. The core looks it up by the claim's surface.

use std::{borrow::Cow, time::Duration};

use super::ProofKind;

/// The rules of one surface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What shows ownership by itself, and so opens the gate; whichever is seen first.
    pub proofs: Cow<'static, [ProofKind]>,
    /// How long an owner has to show ownership, and then to point the name here.
    pub deadline: Duration,
    /// What stands before the environment in the keys that speak it.
    pub key_prefix: Cow<'static, str>,
    /// The key that its documents use, for development alone.
    pub demo_key: Option<Cow<'static, str>>,
}

/// What holds for a surface that says nothing else: a TXT record, and as long as DNS may take by common advice.
pub(super) static PLAIN: Policy = Policy {
    proofs: Cow::Borrowed(&[ProofKind::Txt]),
    deadline: Duration::from_hours(48),
    key_prefix: Cow::Borrowed("ng"),
    demo_key: None,
};

impl Policy {
    pub(crate) fn accepts(&self, proof: ProofKind) -> bool {
        self.proofs.contains(&proof)
    }

    /// What it proves that a name points here, if that proves anything.
    pub(crate) fn proof_by_pointing(&self) -> Option<ProofKind> {
        let of_target = |kind: &&ProofKind| matches!(kind, ProofKind::SharedTarget | ProofKind::UniqueTarget);
        self.proofs.iter().filter(of_target).max().copied()
    }
}

impl Default for Policy {
    fn default() -> Self {
        PLAIN.clone()
    }
}
