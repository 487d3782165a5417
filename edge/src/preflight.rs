//! A look at a name before a certificate is ordered for it: [`Scout`] asks the DNS what the CA would be told, and sends a
//! request to the name's addresses, as the CA would.
//!
//! Every answer is one of three, and only a definite "no" is an [`Obstacle`]: who fails, refuses or stays silent has said
//! nothing. That a name leads elsewhere is definite only where this edge has seen itself answer before, for whatever
//! name: behind a network that does not let it (a router that answers in its place, a proxy on the way out), what it sees
//! is no evidence.
//!
//! The facts of a name are gathered once for everybody who waits, bounded in time and number, and remembered for moments:
//! the next CA of the same order, and the next try when a CA is down, cost no question. Nothing is dialled but public
//! addresses, unless the configuration opens others, and nothing but the ports that CAs look at.

mod judge;
mod metrics;
mod probe;
mod silence;
mod trip;

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use certs::{Applicant, Challenges, Obstacle, Preflight};
use clock::{SharedClock, Timestamp};
use config::{AcmePreflight, EdgeConfig, IssuerKind, PreflightChecks};
use dns::{
    Addresses, Answer, Authority, Limits, OwnerName, Reason, Resolvers, ResolversConfig,
    check::{
        caa::CaIdentity,
        order::{self, CaaSet},
    },
};
use ipnet::IpNet;
use moka::future::Cache;
use names::{Hostname, is_public};
use prometheus::Registry;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use self::{
    metrics::{Looking, Metrics},
    silence::Silence,
    trip::{Trip, View},
};
use crate::reload::{mark, server};

/// How long facts are believed: past the CAs of one order and the first tries when these are down, well within the first
/// wait after an obstacle.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Names whose facts are remembered, about 1 KiB each.
const REMEMBERED_NAMES: u64 = 10_000;
/// Tries at one server within a look.
const ATTEMPTS: u32 = 2;

/// Why no look can be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoutError {
    /// Two parts want the same metric.
    #[error("the metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
    /// No resolver is configured.
    #[error("nobody can be asked about names")]
    Resolvers(#[from] dns::ResolversError),
    /// TLS towards the names' addresses.
    #[error("the TLS client cannot be built")]
    Tls(#[from] rustls::Error),
}

/// Looks at names before orders.
pub struct Scout {
    resolvers: Resolvers,
    inside: Inside,
    /// `None` when the DNS alone is looked at.
    trip: Option<Trip>,
    /// Whether a request to a name has ever come back to this edge.
    has_seen_itself: AtomicBool,
    silence: Silence,
    known: Cache<Hostname, Arc<Facts>>,
    slots: Semaphore,
    timeout: Duration,
    clock: SharedClock,
    metrics: Metrics,
}

/// Which addresses may be dialled beside public ones.
#[derive(Debug, Clone)]
pub(crate) struct Inside {
    all: bool,
    networks: Vec<IpNet>,
}

impl Inside {
    fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.all || is_public(address) || self.networks.iter().any(|network| network.contains(&address))
    }
}

/// What was found about a name, whichever CA is asked.
#[derive(Debug)]
struct Facts {
    at: Timestamp,
    addresses: Answer<Addresses>,
    caa: Answer<CaaSet>,
    view: View,
}

impl Facts {
    /// Before anything is known.
    fn none(at: Timestamp, reason: Reason) -> Self {
        let view = View::Unclear("nobody was asked".to_owned());
        Self { at, addresses: Answer::Indeterminate(reason), caa: Answer::Indeterminate(reason), view }
    }

    /// Whether not one server has said anything.
    fn is_silence(&self) -> bool {
        let silent = |reason| matches!(reason, Reason::NoServer | Reason::Timeout | Reason::Unreachable);
        match (&self.addresses, &self.caa) {
            (Answer::Indeterminate(one), Answer::Indeterminate(other)) => silent(*one) && silent(*other),
            _ => false,
        }
    }
}

impl Scout {
    /// A scout, unless none is wanted. Nobody is asked anything yet.
    ///
    /// # Errors
    /// [`ScoutError`].
    pub fn new(
        config: &EdgeConfig,
        challenges: &Arc<Challenges>,
        clock: &SharedClock,
        registry: &Registry,
    ) -> Result<Option<Self>, ScoutError> {
        let preflight = &config.acme.preflight;
        if config.acme.issuer == IssuerKind::Internal || preflight.checks == PreflightChecks::Off {
            return Ok(None);
        }
        let inside = Inside { all: config.proxy.allow_private_origins, networks: config.proxy.private_origins.clone() };
        let resolvers = resolvers(preflight, inside.all, registry)?;
        let trip = match preflight.checks {
            PreflightChecks::Full => Some(Trip::new(config, challenges, &resolvers, &inside, mark(config))?),
            PreflightChecks::Dns | PreflightChecks::Off => None,
        };
        Ok(Some(Self {
            resolvers,
            inside,
            trip,
            has_seen_itself: AtomicBool::new(false),
            silence: Silence::new(clock.clone()),
            known: Cache::builder().max_capacity(REMEMBERED_NAMES).time_to_live(REMEMBERED).build(),
            slots: Semaphore::new(preflight.in_flight),
            timeout: preflight.timeout,
            clock: clock.clone(),
            metrics: Metrics::new(registry)?,
        }))
    }

    async fn facts(&self, name: &Hostname) -> Arc<Facts> {
        let now = self.clock.now();
        if self.known.get(name).await.is_some_and(|facts| now.since(facts.at) >= REMEMBERED) {
            self.known.invalidate(name).await;
        }
        self.known.get_with_by_ref(name, async { Arc::new(self.gather(name, now).await) }).await
    }

    async fn gather(&self, name: &Hostname, now: Timestamp) -> Facts {
        if self.silence.rests() {
            return Facts::none(now, Reason::NoServer);
        }
        let deadline = Instant::now() + self.timeout;
        let Ok(Ok(_slot)) = timeout_at(deadline, self.slots.acquire()).await else {
            return Facts::none(now, Reason::Overloaded);
        };
        let looking = Looking::start(&self.metrics);
        let host = OwnerName::from(name);
        let caa = async {
            let caa = timeout_at(deadline, order::caa(&self.resolvers, &host)).await;
            caa.unwrap_or(Answer::Indeterminate(Reason::Timeout))
        };
        let (caa, (addresses, view)) = tokio::join!(caa, self.go(name, &host, deadline));
        drop(looking);
        let facts = Facts { at: now, addresses, caa, view };
        self.silence.learn(facts.is_silence());
        facts
    }

    /// Where the name leads, and who is there.
    async fn go(&self, name: &Hostname, host: &OwnerName, deadline: Instant) -> (Answer<Addresses>, View) {
        let addresses = timeout_at(deadline, order::addresses(&self.resolvers, host)).await;
        let addresses = addresses.unwrap_or(Answer::Indeterminate(Reason::Timeout));
        let view = match (&self.trip, addresses.present()) {
            (Some(trip), Some(found)) => trip.go(name, found, deadline).await,
            (None, _) | (_, None) => View::Unclear("nobody was visited".to_owned()),
        };
        if matches!(view, View::Ourselves) {
            self.has_seen_itself.store(true, Ordering::Relaxed);
        }
        (addresses, view)
    }

    async fn verdict(&self, name: &Hostname, applicant: &Applicant<'_>) -> Result<Clarity, Obstacle> {
        let facts = self.facts(name).await;
        if let Some(obstacle) = judge::addresses(name, &facts.addresses, &self.inside) {
            return Err(obstacle);
        }
        if let Some(set) = facts.caa.present() {
            let ca = identity(applicant);
            let deadline = Instant::now() + self.timeout;
            let refusal = timeout_at(deadline, order::refusal(&self.resolvers, set, &ca)).await;
            if let Some(verdict) = refusal.ok().flatten() {
                return Err(judge::caa(name, set, verdict, applicant));
            }
        }
        match &facts.view {
            View::Elsewhere(seen) if self.has_seen_itself.load(Ordering::Relaxed) => {
                return Err(judge::elsewhere(name, seen));
            }
            View::Elsewhere(seen) => {
                tracing::info!(name: "preflight.unproven", %name, ?seen, "somebody else answers for the name, and this edge has never seen itself answer: the order tells");
            }
            View::Unclear(why) => {
                tracing::debug!(name: "preflight.unclear", %name, why, addresses = ?facts.addresses, "it is not known where the name leads");
            }
            View::Ourselves => {}
        }
        let is_known = facts.addresses.is_definite() && facts.caa.is_definite();
        let is_here = matches!(facts.view, View::Ourselves) || self.trip.is_none();
        Ok(if is_known && is_here { Clarity::Clear } else { Clarity::Unsure })
    }
}

/// What stands in the way of nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clarity {
    /// Everything is as it should be.
    Clear,
    /// Something could not be told.
    Unsure,
}

#[async_trait]
impl Preflight for Scout {
    async fn look(&self, name: &Hostname, applicant: &Applicant<'_>) -> Result<(), Obstacle> {
        let verdict = Box::pin(self.verdict(name, applicant)).await;
        self.metrics.done(match &verdict {
            Ok(Clarity::Clear) => "clear",
            Ok(Clarity::Unsure) => "unsure",
            Err(obstacle) => obstacle.code,
        });
        verdict.map(|_| ())
    }
}

/// The operator's own word opens private name servers too; a customer chooses them.
fn resolvers(config: &AcmePreflight, private: bool, registry: &Registry) -> Result<Resolvers, ScoutError> {
    let limits = Limits {
        attempt_timeout: config.timeout / (ATTEMPTS + 1),
        attempts: ATTEMPTS,
        check_deadline: config.timeout,
        ..Limits::default()
    };
    let resolvers = ResolversConfig {
        servers: config.resolvers.iter().map(server).collect(),
        authority: Authority::Ask { port: config.authority_port, private },
        limits,
    };
    Ok(Resolvers::new(resolvers, dns::Metrics::of_preflights(registry)?)?)
}

fn identity(applicant: &Applicant<'_>) -> CaIdentity {
    CaIdentity {
        domains: applicant.identities.to_vec(),
        account_uri: Some(applicant.account.to_owned()),
        methods: applicant.methods.iter().map(|method| method.as_str().to_owned()).collect(),
    }
}

impl std::fmt::Debug for Scout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scout").field("inside", &self.inside).finish_non_exhaustive()
    }
}
