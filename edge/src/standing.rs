//! What is served on a connection, for as long as the gate says so.
//!
//! A connection may stand for hours while its name is deleted or its origin moves. The control plane's feed counts every
//! change; a request compares that count with the one that its connection was last admitted under, which is one load,
//! and asks the gate again only when they differ.

use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, ArcSwapOption};
use control_client::{Gate, Refusal, Site};
use names::Tenant;

use crate::{
    fair::{Lane, Lanes, OnLane},
    http::answer::Fault,
    origin::{Origins, Target},
};

/// A site as it was admitted, with its origin's addresses. Swapped whole when the site is another one.
#[derive(Debug)]
pub struct Admission {
    /// What the gate said.
    pub site: Arc<Site>,
    /// The count of changes that it was said under.
    version: u64,
    /// The origin's addresses, resolved at the first request.
    target: ArcSwapOption<Target>,
    /// Where the hostname's requests are counted, found at the first one.
    lane: OnceLock<Arc<Lane>>,
}

impl Admission {
    /// What the gate said when the count of changes was `version`.
    pub fn new(site: Arc<Site>, version: u64) -> Self {
        Self { site, version, target: ArcSwapOption::empty(), lane: OnceLock::new() }
    }

    /// Counts a request of the hostname, unless `most` are in flight.
    pub fn enter_lane(&self, lanes: &Arc<Lanes>, most: usize) -> Option<OnLane> {
        self.lane.get_or_init(|| lanes.find(&self.site.hostname)).enter(most)
    }

    /// The origin's addresses: kept here, so that nothing is looked up while they are fresh.
    ///
    /// # Errors
    /// Why there is none to dial.
    pub async fn target(&self, origins: &Origins) -> Result<Arc<Target>, Fault> {
        if let Some(target) = self.target.load_full().filter(|target| target.is_fresh()) {
            return Ok(target);
        }
        let origin = self.site.origin.as_ref().ok_or(Fault::NoOrigin)?;
        // Boxed: it is large and rare, and every request's future would have room for it.
        let target = Box::pin(origins.find(origin)).await?;
        self.target.store(Some(target.clone()));
        Ok(target)
    }
}

/// The admission of a connection's own name.
#[derive(Debug)]
pub struct Standing(ArcSwap<Admission>);

impl Standing {
    /// As the connection was admitted.
    pub fn new(admission: Admission) -> Self {
        Self(ArcSwap::from_pointee(admission))
    }

    /// What is served now.
    ///
    /// # Errors
    /// [`Fault::Gone`] when the name is not served any more, or for another tenant: the connection was secured with the
    /// former one's key. While nobody can say, what was admitted goes on.
    pub async fn find(&self, gate: &Gate) -> Result<Arc<Admission>, Fault> {
        let standing = self.0.load_full();
        // Taken before the gate is asked: a change that comes meanwhile is noticed by the next request.
        let version = gate.version();
        match standing.version == version {
            true => Ok(standing),
            false => self.admit_again(standing, version, gate).await,
        }
    }

    async fn admit_again(&self, standing: Arc<Admission>, version: u64, gate: &Gate) -> Result<Arc<Admission>, Fault> {
        let site = match gate.admit(&standing.site.hostname).await {
            Ok(admitted) if !Tenant::may_share(admitted.site.tenant.as_ref(), standing.site.tenant.as_ref()) => {
                return Err(Fault::Gone);
            }
            Ok(admitted) => admitted.site,
            Err(Refusal::Denied) => return Err(Fault::Gone),
            Err(Refusal::Unavailable) => return Ok(standing),
        };
        let same = *site == *standing.site;
        let admission = match same {
            // Most changes are about other names: this one's addresses stay.
            true => Admission {
                site: standing.site.clone(),
                version,
                target: ArcSwapOption::new(standing.target.load_full()),
                lane: standing.lane.clone(),
            },
            false => Admission::new(site, version),
        };
        let admission = Arc::new(admission);
        self.0.store(admission.clone());
        Ok(admission)
    }
}
