//! [`Resolvers`]: whom we ask, and the plain look-ups.

use std::{net::IpAddr, sync::Arc, time::Duration};

use futures::future::join_all;
use hickory_proto::rr::{RData, RecordType};
use moka::sync::Cache;
use tokio::time::Instant;

use crate::{
    Absence, Addresses, Answer, CaaRecord, Limits, Metrics, OwnerName, Reason, Role, Server,
    exchange::{Exchange, Validation},
    limits::MAX_CLIMB,
    reply::Reply,
    server,
    values::{addresses_of, caa_of, mail_of, txt_of},
    world::{Voter, World},
    zone::{Zone, Zones},
};

/// How long the addresses of our own targets are believed: shorter than any sensible TTL of an edge's name.
const TARGET_MEMORY: Duration = Duration::from_secs(30);

/// Whom to ask.
#[derive(Debug, Clone)]
pub struct ResolversConfig {
    /// Resolvers; at least one. Several that are run by different people see more of the truth.
    pub servers: Vec<Server>,
    /// Whether the zone's own servers are asked too.
    pub authority: Authority,
    /// All bounds.
    pub limits: Limits,
}

/// Whether and how the zone's own servers are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// They are asked at this port.
    Ask {
        /// 53 on the Internet.
        port: u16,
        /// Whether private and loopback addresses may be asked: in development and in split networks. A customer
        /// chooses these addresses, so never where tenants are strangers.
        private: bool,
    },
    /// They are not; the resolvers' word is all there is.
    Skip,
}

/// No resolver is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at least one DNS resolver must be configured")]
pub struct ResolversError;

/// Resolvers and, when configured, every zone's own servers. Cheap to clone; clones share limits and memory.
#[derive(Debug, Clone)]
pub struct Resolvers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    servers: Vec<Server>,
    authority: Authority,
    limits: Arc<Limits>,
    exchange: Exchange,
    zones: Zones,
    targets: Cache<OwnerName, Arc<Vec<IpAddr>>>,
    metrics: Metrics,
}

impl ResolversConfig {
    /// Resolvers of three operators on three networks: Cloudflare, Google, Quad9.
    pub const PUBLIC: [&'static str; 3] = ["1.1.1.1", "8.8.8.8", "9.9.9.9"];

    /// These resolvers and the zone's servers, with the usual limits.
    pub fn new(servers: Vec<Server>) -> Self {
        let authority = Authority::Ask { port: server::PORT, private: false };
        Self { servers, authority, limits: Limits::default() }
    }
}

impl Resolvers {
    /// Builds it; nothing is asked yet.
    ///
    /// # Errors
    /// [`ResolversError`] without a single resolver.
    pub fn new(config: ResolversConfig, metrics: Metrics) -> Result<Self, ResolversError> {
        let ResolversConfig { servers, authority, limits } = config;
        if servers.is_empty() {
            return Err(ResolversError);
        }
        let zones = Zones::new(authority, &limits, metrics.clone());
        // The targets are the edge's own names: a few, however many customers point there.
        let targets = Cache::builder().max_capacity(1024).time_to_live(TARGET_MEMORY).build();
        let limits = Arc::new(limits);
        let exchange = Exchange::new(Arc::clone(&limits), metrics.clone());
        Ok(Self(Arc::new(Inner { servers, authority, limits, exchange, zones, targets, metrics })))
    }

    /// Whether the zone's own servers are asked.
    pub fn authority(&self) -> Authority {
        self.0.authority
    }

    /// The joined character-strings of every TXT record.
    pub async fn txt(&self, name: &OwnerName) -> Answer<Vec<String>> {
        let answer = self.world().ask(name, RecordType::TXT, self.deadline()).await;
        answer.map(|reply| txt_of(&reply.records).collect()).non_empty()
    }

    /// A and AAAA, with the chain that leads to them.
    pub async fn addresses(&self, name: &OwnerName) -> Answer<Addresses> {
        let (world, deadline) = (self.world(), self.deadline());
        let v4 = world.ask(name, RecordType::A, deadline);
        let v6 = world.ask(name, RecordType::AAAA, deadline);
        let (v4, v6) = futures::join!(v4, v6);
        addresses_of(&v4, &v6)
    }

    /// The target of the name's own CNAME.
    pub async fn cname(&self, name: &OwnerName) -> Answer<OwnerName> {
        match self.world().ask(name, RecordType::CNAME, self.deadline()).await {
            Answer::Present(reply) => match reply.records.first() {
                Some(RData::CNAME(target)) => Answer::Present(OwnerName::from_answer(target)),
                _ => Answer::Absent(Absence::NoData),
            },
            Answer::Absent(absence) => Answer::Absent(absence),
            Answer::Indeterminate(reason) => Answer::Indeterminate(reason),
        }
    }

    /// The CAA records that hold for a name, and the name that they stand at: the nearest ones towards the root
    /// (RFC 8659 section 3). A level that nobody can tell of hides what is above it.
    pub async fn caa(&self, name: &OwnerName) -> Answer<(OwnerName, Vec<CaaRecord>)> {
        let (world, deadline) = (self.world(), self.deadline());
        let levels: Vec<_> = name.climb().take(MAX_CLIMB).collect();
        let answers = join_all(levels.iter().map(|level| world.ask(level, RecordType::CAA, deadline))).await;
        for (level, answer) in levels.into_iter().zip(answers) {
            // An alias stands for the level that it is at, and the records stand where it leads.
            match answer.map(|reply| (reply.chain.last().cloned().unwrap_or(level), caa_of(&reply.records))) {
                Answer::Present((at, records)) if !records.is_empty() => return Answer::Present((at, records)),
                Answer::Indeterminate(reason) => return Answer::Indeterminate(reason),
                Answer::Present(_) | Answer::Absent(_) => {}
            }
        }
        Answer::Absent(Absence::NoData)
    }

    /// Mail servers with their preferences, the first choice first.
    pub async fn mail(&self, name: &OwnerName) -> Answer<Vec<(u16, OwnerName)>> {
        let answer = self.world().ask(name, RecordType::MX, self.deadline()).await;
        match answer.map(|reply| mail_of(&reply.records)) {
            Answer::Present(servers) if servers.is_empty() => Answer::Absent(Absence::NoData),
            answer => answer,
        }
    }

    /// The zone that holds a name, and the names of its servers.
    pub async fn ns(&self, name: &OwnerName) -> Answer<(OwnerName, Vec<OwnerName>)> {
        match self.0.zones.find(&self.world(), name, self.deadline()).await {
            Ok(zone) => Answer::Present((zone.name.clone(), zone.names.clone())),
            Err(reason) => Answer::Indeterminate(reason),
        }
    }

    /// When a check that starts now must have ended.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.0.limits.check_deadline
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The resolvers as one: the first that says something is believed.
    pub(crate) fn world(&self) -> World<'_> {
        World { servers: &self.0.servers, exchange: &self.0.exchange, limits: &self.0.limits, metrics: &self.0.metrics }
    }

    /// The zone's servers, when they are to be asked and can be found.
    pub(crate) async fn zone(&self, name: &OwnerName, deadline: Instant) -> Option<Arc<Zone>> {
        match self.0.authority {
            Authority::Skip => None,
            // Half the time at most: who cannot be found must not keep the others from being asked.
            Authority::Ask { .. } => {
                let deadline = deadline.min(Instant::now() + self.0.limits.check_deadline / 2);
                self.0.zones.find(&self.world(), name, deadline).await.ok()
            }
        }
    }

    /// The zone that holds a name and its servers.
    pub(crate) async fn find_zone(&self, name: &OwnerName, deadline: Instant) -> Result<Arc<Zone>, Reason> {
        self.0.zones.find(&self.world(), name, deadline).await
    }

    /// Everyone who has a vote about `name`: the zone's servers and the resolvers.
    pub(crate) async fn voters(&self, name: &OwnerName, deadline: Instant) -> Vec<Voter> {
        let zone = self.zone(name, deadline).await;
        let own = zone.iter().flat_map(|zone| zone.servers.iter());
        let own = own.map(|address| Voter { server: Server::new(*address), role: Role::Authority });
        let recursive = self.0.servers.iter().map(|server| Voter { server: *server, role: Role::Recursive });
        own.chain(recursive).collect()
    }

    /// One voter's answer. Where a zone's server leads out of its zone, the resolvers tell the rest, unless the chain
    /// has come to `goal` already.
    pub(crate) async fn ask(
        &self,
        voter: Voter,
        name: &OwnerName,
        kind: RecordType,
        goal: Option<&OwnerName>,
        deadline: Instant,
    ) -> Answer<Reply> {
        let answer = self.world().ask_server(voter, name, kind, Validation::Usual, deadline).await.1;
        match answer {
            Answer::Present(reply) if voter.role == Role::Authority && is_open(&reply, goal) => {
                Answer::Present(self.complete(reply, kind, deadline).await)
            }
            answer => answer,
        }
    }

    async fn complete(&self, mut reply: Reply, kind: RecordType, deadline: Instant) -> Reply {
        let Some(last) = reply.chain.last() else { return reply };
        match self.world().ask(last, kind, deadline).await {
            Answer::Absent(_) => {}
            Answer::Indeterminate(reason) => reply.open = Some(reason),
            Answer::Present(rest) if reply.chain.len() + rest.chain.len() > self.0.limits.max_chain => {
                reply.open = Some(Reason::ChainTooLong);
            }
            Answer::Present(rest) => {
                reply.chain.extend(rest.chain);
                reply.records = rest.records;
            }
        }
        reply
    }

    /// The addresses of one of our own targets, remembered for half a minute.
    pub(crate) async fn target_addresses(&self, target: &OwnerName) -> Result<Arc<Vec<IpAddr>>, Reason> {
        if let Some(known) = self.0.targets.get(target) {
            return Ok(known);
        }
        let found = match self.addresses(target).await {
            Answer::Present(Addresses { unknown: Some(reason), .. }) | Answer::Indeterminate(reason) => {
                return Err(reason);
            }
            Answer::Present(found) => Arc::new(found.addresses),
            Answer::Absent(_) => Arc::default(),
        };
        self.0.targets.insert(target.clone(), Arc::clone(&found));
        Ok(found)
    }
}

fn is_open(reply: &Reply, goal: Option<&OwnerName>) -> bool {
    reply.records.is_empty() && !goal.is_some_and(|goal| reply.chain.contains(goal))
}
