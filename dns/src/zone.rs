//! [`Zones`]: which servers are responsible for a name.
//!
//! The zone's name servers are the customer's choice, so their addresses are too: without leave to do otherwise only
//! public addresses are asked.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use futures::future::join_all;
use hickory_proto::rr::{RData, RecordType};
use moka::sync::Cache;
use names::is_public;
use tokio::time::Instant;

use crate::{
    Answer, Limits, Metrics, OwnerName, Reason,
    limits::{MAX_ADDRESSES_OF_SERVER, MAX_CLIMB, MAX_NAME_SERVERS, MAX_SERVER_ADDRESSES},
    reply::{self, Reply},
    resolvers::Authority,
    values::ip_of,
    world::World,
};

/// A zone and the addresses of its servers, as far as they may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Zone {
    pub(crate) name: OwnerName,
    pub(crate) names: Vec<OwnerName>,
    pub(crate) servers: Vec<SocketAddr>,
}

/// Zones by the name that was asked for, remembered for a while.
#[derive(Debug)]
pub(crate) struct Zones {
    authority: Authority,
    known: Cache<OwnerName, Arc<Zone>>,
    metrics: Metrics,
}

impl Zones {
    pub(crate) fn new(authority: Authority, limits: &Limits, metrics: Metrics) -> Self {
        let known = Cache::builder().max_capacity(limits.zones_remembered).time_to_live(limits.zone_memory).build();
        Self { authority, known, metrics }
    }

    /// The zone that holds `name`, from memory or from the resolvers.
    pub(crate) async fn find(
        &self,
        world: &World<'_>,
        name: &OwnerName,
        deadline: Instant,
    ) -> Result<Arc<Zone>, Reason> {
        if let Some(zone) = self.known.get(name) {
            return Ok(zone);
        }
        let zone = self.discover(world, name, deadline).await?;
        self.remember(name.clone(), &zone);
        self.metrics.zones.set(i64::try_from(self.known.entry_count()).unwrap_or(i64::MAX));
        Ok(zone)
    }

    async fn discover(&self, world: &World<'_>, name: &OwnerName, deadline: Instant) -> Result<Arc<Zone>, Reason> {
        let mut level = name.clone();
        for _ in 0..MAX_CLIMB {
            match step(world, &level, deadline).await? {
                Step::Cut(names) => return self.complete(world, level, names, deadline).await,
                Step::Up(next) if next == level => return Err(Reason::NotResponsible),
                Step::Up(next) => level = next,
            }
            if let Some(zone) = self.known.get(&level).filter(|zone| zone.name == level) {
                return Ok(zone);
            }
        }
        Err(Reason::ChainTooLong)
    }

    async fn complete(
        &self,
        world: &World<'_>,
        name: OwnerName,
        names: Vec<OwnerName>,
        deadline: Instant,
    ) -> Result<Arc<Zone>, Reason> {
        let servers = match self.authority {
            Authority::Skip => Vec::new(),
            Authority::Ask { port, .. } => {
                let found = join_all(names.iter().map(|server| addresses(world, server, deadline))).await;
                let usable: BTreeSet<IpAddr> = found.into_iter().flatten().filter(|ip| self.may_ask(*ip)).collect();
                usable.into_iter().take(MAX_SERVER_ADDRESSES).map(|ip| SocketAddr::new(ip, port)).collect()
            }
        };
        let zone = Arc::new(Zone { name: name.clone(), names, servers });
        self.remember(name, &zone);
        Ok(zone)
    }

    /// A zone whose servers could not be found is looked for anew: it may have been our fault.
    fn remember(&self, name: OwnerName, zone: &Arc<Zone>) {
        if self.authority == Authority::Skip || !zone.servers.is_empty() {
            self.known.insert(name, Arc::clone(zone));
        }
    }

    fn may_ask(&self, ip: IpAddr) -> bool {
        matches!(self.authority, Authority::Ask { private: true, .. }) || is_public(ip)
    }
}

enum Step {
    /// The level is the top of a zone with these servers.
    Cut(Vec<OwnerName>),
    /// Look there.
    Up(OwnerName),
}

async fn step(world: &World<'_>, level: &OwnerName, deadline: Instant) -> Result<Step, Reason> {
    let (message, question) = world.message(level, RecordType::NS, deadline).await?;
    let above = || level.parent().map(Step::Up).ok_or(Reason::NotResponsible);
    match reply::read(&message, &question, world.limits) {
        Answer::Indeterminate(reason) => Err(reason),
        Answer::Present(Reply { chain, records, .. }) if chain.is_empty() => Ok(Step::Cut(servers(&records))),
        // An alias: the answer speaks of the target's zone, not of this one.
        Answer::Present(_) => above(),
        // The SOA of a negative answer names the zone, which saves the levels between.
        Answer::Absent(_) => match reply::zone_of(&message) {
            Some(zone) if zone.holds(level) && zone != *level => Ok(Step::Up(zone)),
            _ => above(),
        },
    }
}

fn servers(records: &[RData]) -> Vec<OwnerName> {
    let names = records.iter().filter_map(|record| match record {
        RData::NS(name) => Some(OwnerName::from_answer(name)),
        _ => None,
    });
    names.take(MAX_NAME_SERVERS).collect()
}

/// The IPv4 addresses of a name server, or its IPv6 addresses when it has no others.
async fn addresses(world: &World<'_>, name: &OwnerName, deadline: Instant) -> Vec<IpAddr> {
    for kind in [RecordType::A, RecordType::AAAA] {
        let answer = world.ask(name, kind, deadline).await;
        let records = answer.present().map(|reply| reply.records.as_slice()).unwrap_or_default();
        let found: Vec<IpAddr> = records.iter().filter_map(ip_of).take(MAX_ADDRESSES_OF_SERVER).collect();
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}
