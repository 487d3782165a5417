//! [`Domains`]: customers' domains as they stand: whose servers they are at, what is there now, and by which ways our
//! records can get there.
//!
//! Everything is asked of other people's servers, so everything has a deadline, and each answer is one of three: it is
//! so, it is not so, or it could not be told.

mod domain_connect;
mod sight;

use std::net::IpAddr;

use dns::{
    Answer, OwnerName, Resolvers,
    check::{self, DesiredRecord, EdgeTargets, Expectation, Finding},
    provider::{Operator, operator_of},
};
use names::Hostname;

use crate::checks::DnsChecks;

pub(crate) use domain_connect::{CALLBACK, DomainConnect, Offer, Trip};
pub use domain_connect::{DomainConnectError, signing_key, template_of};
pub(crate) use sight::{Sight, Standing};

/// Looks at customers' domains; clones share everything.
#[derive(Debug, Clone)]
pub struct Domains {
    checks: DnsChecks,
    domain_connect: Option<DomainConnect>,
}

/// A zone, and who runs it.
#[derive(Debug, Clone)]
pub(crate) struct Delegation {
    /// The zone, or what is most likely to be it.
    pub(crate) zone: OwnerName,
    /// The names of its servers, as the DNS says.
    pub(crate) servers: Sight<OwnerName>,
    /// Who runs them.
    pub(crate) operator: Option<&'static Operator>,
}

impl Domains {
    pub(crate) fn new(checks: DnsChecks, domain_connect: Option<DomainConnect>) -> Self {
        Self { checks, domain_connect }
    }

    fn resolvers(&self) -> &Resolvers {
        self.checks.resolvers()
    }

    /// The edge that names shall lead to.
    pub(crate) fn edge(&self) -> &EdgeTargets {
        self.checks.edge()
    }

    /// The edge's addresses; none while its name cannot be resolved.
    pub(crate) async fn edge_addresses(&self) -> Vec<IpAddr> {
        let EdgeTargets { name, addresses } = self.edge();
        match addresses.as_slice() {
            [] => match self.resolvers().addresses(name).await {
                Answer::Present(found) => found.addresses,
                Answer::Absent(_) | Answer::Indeterminate(_) => Vec::new(),
            },
            fixed => fixed.to_vec(),
        }
    }

    /// Who runs the zone that holds a name.
    pub(crate) async fn delegation(&self, hostname: &Hostname) -> Delegation {
        let registered = registrable(hostname);
        // Whoever looks for the zone of a domain that nobody registered ends at the registry's.
        let (zone, servers) = match self.resolvers().ns(&hostname.into()).await {
            Answer::Present((zone, servers)) if registered.holds(&zone) => (zone, Sight::Present(servers)),
            Answer::Present(_) | Answer::Absent(_) => (registered, Sight::Absent),
            // The registrable domain is a zone of its own in nearly every case.
            Answer::Indeterminate(reason) => (registered, Sight::Unknown(reason.code())),
        };
        Delegation { operator: operator_of(servers.values()), zone, servers }
    }

    /// What stands at a name.
    pub(crate) async fn standing(&self, hostname: &Hostname) -> Standing {
        Standing::of(self.resolvers(), &hostname.into()).await
    }

    /// What would keep a name with these records from working.
    pub(crate) async fn findings(&self, hostname: &Hostname, desired: &[DesiredRecord]) -> Vec<Finding> {
        let expected = Expectation { edge: self.edge(), desired, ca: self.checks.ca() };
        check::preflight(self.resolvers(), hostname, &expected).await
    }

    /// Whether the zone's provider would write these records itself; `None` stands for records of which some are of types
    /// that no template of ours has.
    pub(crate) async fn offer(&self, hostname: &Hostname, zone: &OwnerName, all: Option<&[DesiredRecord]>) -> Offer {
        match (&self.domain_connect, all) {
            (None, _) => Offer::Off,
            (Some(_), None) => Offer::OtherRecords,
            (Some(way), Some(all)) => way.offer(&hostname.into(), zone, all, self.edge()).await,
        }
    }

    /// Domain Connect, where it is set up.
    pub(crate) fn domain_connect(&self) -> Option<&DomainConnect> {
        self.domain_connect.as_ref()
    }
}

fn registrable(hostname: &Hostname) -> OwnerName {
    let apex = names::registrable(hostname).and_then(|apex| apex.parse().ok());
    apex.unwrap_or_else(|| hostname.into())
}
