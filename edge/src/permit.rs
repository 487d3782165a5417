//! The gate's word on renewals.

use std::{collections::HashSet, sync::Arc};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use certs::{Permission, Permit, Tenancy};
use control_client::{Freshness, Refusal, Whose};
use names::Subject;

use crate::policy::Policy;

/// Asks the gate whether a name is still wanted before its certificate is renewed.
pub struct GatePermit {
    policy: Arc<ArcSwap<Policy>>,
    listed: HashSet<Subject>,
}

impl GatePermit {
    /// Asks the gate of whatever policy stands at the time, but for names that the configuration lists: those are wanted.
    pub fn new(policy: Arc<ArcSwap<Policy>>, listed: HashSet<Subject>) -> Self {
        Self { policy, listed }
    }
}

#[async_trait]
impl Permit for GatePermit {
    /// Only a plain "no" stops a renewal: an outage of the gate never takes a certificate away.
    async fn may_renew(&self, name: &Subject) -> Permission {
        if self.listed.contains(name) {
            return Permission::Renew;
        }
        // No gate knows of a wildcard; one that is not listed any more is not wanted.
        let Some(name) = name.hostname() else { return Permission::Stop };
        match self.policy.load_full().gate.admit(&name).await {
            Ok(admitted) if admitted.freshness == Freshness::Fresh => Permission::Renew,
            Ok(_) | Err(Refusal::Unavailable) => Permission::Unknown,
            Err(Refusal::Denied) => Permission::Stop,
        }
    }

    fn tenancy(&self, name: &Subject) -> Tenancy {
        let Some(hostname) = name.hostname().filter(|_| !self.listed.contains(name)) else { return Tenancy::Nobodys };
        match self.policy.load().gate.whose(&hostname) {
            Whose::Gone => Tenancy::Gone,
            Whose::Of(tenant) => Tenancy::Of(tenant),
            Whose::Unknown => Tenancy::Unknown,
        }
    }
}
