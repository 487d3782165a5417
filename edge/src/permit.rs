//! The gate's word on renewals.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use certs::{Permission, Permit};
use control_client::{Freshness, Refusal};
use names::Hostname;

use crate::policy::Policy;

/// Asks the gate whether a name is still wanted before its certificate is renewed.
pub struct GatePermit(Arc<ArcSwap<Policy>>);

impl GatePermit {
    /// Asks the gate of whatever policy stands at the time.
    pub fn new(policy: Arc<ArcSwap<Policy>>) -> Self {
        Self(policy)
    }
}

#[async_trait]
impl Permit for GatePermit {
    /// Only a plain "no" stops a renewal: an outage of the gate never takes a certificate away.
    async fn may_renew(&self, name: &Hostname) -> Permission {
        match self.0.load_full().gate.admit(name).await {
            Ok(admitted) if admitted.freshness == Freshness::Fresh => Permission::Renew,
            Ok(_) | Err(Refusal::Unavailable) => Permission::Unknown,
            Err(Refusal::Denied) => Permission::Stop,
        }
    }
}
