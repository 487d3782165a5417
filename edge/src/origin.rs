//! Where requests go: an origin's addresses, checked and remembered for a short while.
//!
//! Every address that a name resolves to is held against the rule ([`Reach`]) before it may be dialled; the connection
//! then goes to the checked address, not to the name. TLS to the origin carries the origin's own name and verifies it.

mod answer;
mod body;
mod dial;
#[cfg(fuzzing)]
mod fuzz;
mod lookup;
mod place;
mod places;
mod pool;
mod reach;
mod records;
mod socket;
mod wire;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use control_client::{Host, Origin, Scheme};
use http::HeaderValue;
use moka::future::Cache;
use rustls::pki_types::ServerName;
use tokio::time::{Instant, timeout};

use crate::{
    breaker::{Breaker, BreakerLimits},
    http::answer::Fault,
};
use reach::Author;

pub use dial::DialError;
pub(crate) use dial::Dialler;
#[cfg(fuzzing)]
pub use fuzz::answer as fuzz_answer;
pub use lookup::Lookup;
pub use place::Place;
pub(crate) use places::Places;
pub use reach::Reach;
pub(crate) use wire::{RECORD, Sending, Wire, WireError};

/// How long they may be used while looking them up fails: a resolver's bad minutes are not the origin's.
const STALE_FOR: Duration = Duration::from_secs(300);
/// How long at most an origin that cannot be dialled is not looked up again: requests for it must not become questions.
const REFUSED_FOR: Duration = Duration::from_secs(5);
/// Most addresses of one name that are kept; a name with more is being used against us.
const MAX_ADDRESSES: usize = 16;
/// Most origins remembered at once, about 1 KiB each.
const MAX_ORIGINS: u64 = 20_000;
/// Deadlines and rules towards origins.
#[derive(Debug, Clone)]
pub struct OriginSettings {
    /// Which addresses may be dialled.
    pub reach: Reach,
    /// To resolve a name; to connect; to finish TLS.
    pub connect_timeout: Duration,
    /// Longest silence of an origin that owes an answer.
    pub response_timeout: Duration,
    /// Longest silence on a connection that was upgraded or streams events.
    pub stream_timeout: Duration,
    /// How long an idle connection to an origin is kept.
    pub idle_timeout: Duration,
    /// How long addresses are used before they are looked up again.
    pub addresses_for: Duration,
    /// When an origin that fails is left alone.
    pub breaker: BreakerLimits,
}

/// Resolves origins and remembers them. A name is looked up once for everyone who waits, and again in the background
/// while requests go on to the addresses that are known.
pub struct Origins(Arc<Inner>);

struct Inner {
    settings: OriginSettings,
    operators_own: Option<Origin>,
    lookup: Lookup,
    known: Cache<Origin, Known>,
}

/// What the last look-up of an origin came to.
#[derive(Debug, Clone)]
enum Known {
    Refused { fault: Fault, until: Instant },
    Target(Arc<Target>),
}

/// An origin that can be dialled.
#[derive(Debug)]
pub struct Target {
    /// The origin's authority, for `Host`.
    pub authority: HeaderValue,
    /// Whether it is asked at all.
    pub breaker: Arc<Breaker>,
    resolved: Instant,
    fresh_until: Instant,
    refreshing: AtomicBool,
    places: Vec<Arc<Place>>,
}

/// What kind of exchange a request begins; it decides how long the origin may be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    /// A request that is owed an answer.
    Answer,
    /// An event stream or a gRPC stream, which may be silent for long.
    Stream,
    /// An upgrade to a WebSocket: silent for long.
    Tunnel,
}

impl Origins {
    /// `operators_own` is the configured default origin: it may be private, because the operator wrote it.
    pub fn new(settings: OriginSettings, lookup: Lookup, operators_own: Option<Origin>) -> Self {
        Self(Arc::new(Inner { settings, operators_own, lookup, known: Cache::new(MAX_ORIGINS) }))
    }

    /// How names are resolved, for the settings that follow these.
    pub fn lookup(&self) -> Lookup {
        self.0.lookup.clone()
    }

    /// The origin's addresses, remembered or fresh.
    ///
    /// # Errors
    /// The [`Fault`] that the visitor is told of.
    pub async fn find(&self, origin: &Origin) -> Result<Arc<Target>, Fault> {
        match self.0.known.get(origin).await {
            Some(Known::Target(target)) if target.is_fresh() => return Ok(target),
            Some(Known::Target(target)) if target.resolved.elapsed() < STALE_FOR => {
                if !target.refreshing.swap(true, Ordering::Relaxed) {
                    tokio::spawn(self.0.clone().refresh(origin.clone(), target.clone()));
                }
                return Ok(target);
            }
            Some(Known::Refused { fault, until }) if Instant::now() < until => return Err(fault),
            Some(_) => self.0.known.invalidate(origin).await,
            None => {}
        }
        let breaker = Breaker::new(self.0.settings.breaker);
        let resolve = async { self.0.known(self.0.resolve(origin, breaker).await) };
        match self.0.known.get_with_by_ref(origin, resolve).await {
            Known::Target(target) => Ok(target),
            Known::Refused { fault, .. } => Err(fault),
        }
    }

    /// Deadlines and rules.
    pub(crate) fn settings(&self) -> &OriginSettings {
        &self.0.settings
    }
}

impl OriginSettings {
    /// Longest silence of an origin, and of a visitor, in an exchange of this kind.
    pub(crate) fn silence(&self, exchange: Exchange) -> Duration {
        match exchange {
            Exchange::Answer => self.response_timeout,
            Exchange::Stream | Exchange::Tunnel => self.stream_timeout,
        }
    }
}

impl Inner {
    /// Looks the addresses up again; while that fails the old ones are used, and looked up again as often as fresh ones.
    async fn refresh(self: Arc<Self>, origin: Origin, old: Arc<Target>) {
        let found = match self.resolve(&origin, old.breaker.clone()).await {
            Err(fault @ (Fault::OriginSlow | Fault::OriginUnknown)) => {
                tracing::debug!(%origin, reason = fault.code(), "an origin's addresses are not found again");
                Ok(old.kept_on(self.settings.addresses_for))
            }
            // Addresses that may not be dialled any more take the place of those that might.
            found => found,
        };
        self.known.insert(origin, self.known(found)).await;
    }

    fn known(&self, found: Result<Target, Fault>) -> Known {
        match found {
            Ok(target) => Known::Target(Arc::new(target)),
            Err(fault) => {
                Known::Refused { fault, until: Instant::now() + REFUSED_FOR.min(self.settings.addresses_for) }
            }
        }
    }

    async fn resolve(&self, origin: &Origin, breaker: Arc<Breaker>) -> Result<Target, Fault> {
        let author = match self.operators_own.as_ref() == Some(origin) {
            true => Author::Operator,
            false => Author::Tenant,
        };
        if !self.settings.reach.allows_port(origin.port(), author) {
            let fault = Fault::OriginPort;
            tracing::warn!(%origin, reason = fault.code(), "an origin has a port that is not in proxy.origin_ports");
            return Err(fault);
        }
        let (allowed, refused): (Vec<_>, Vec<_>) =
            self.addresses(origin).await?.into_iter().partition(|it| self.settings.reach.allows(*it, author));
        let fault = Fault::OriginForbidden;
        if let Some(address) = refused.first() {
            let (reason, left) = (fault.code(), allowed.len());
            tracing::warn!(%origin, %address, reason, left, "an origin leads to an address that may not be dialled");
        }
        if allowed.is_empty() {
            return Err(fault);
        }
        let authority = HeaderValue::try_from(origin.authority()).map_err(|_| Fault::Internal)?;
        let tls = server_name(origin)?;
        let places = allowed.into_iter().map(|address| Arc::new(Place::new(address, tls.clone()))).collect();
        let resolved = Instant::now();
        let fresh_until = resolved + self.settings.addresses_for;
        Ok(Target { authority, breaker, resolved, fresh_until, refreshing: AtomicBool::new(false), places })
    }

    async fn addresses(&self, origin: &Origin) -> Result<Vec<SocketAddr>, Fault> {
        let found = match origin.host() {
            Host::Ip(address) => vec![*address],
            Host::Name(name) => {
                let looked_up = timeout(self.settings.connect_timeout, self.lookup.find(name)).await;
                looked_up.map_err(|_| Fault::OriginSlow)??
            }
        };
        Ok(found.into_iter().take(MAX_ADDRESSES).map(|ip| SocketAddr::new(ip, origin.port())).collect())
    }
}

/// The name that the origin's certificate has to prove; none in plain text. For an address literal it is the address,
/// which rustls verifies and does not send as SNI (RFC 6066 section 3).
fn server_name(origin: &Origin) -> Result<Option<ServerName<'static>>, Fault> {
    if origin.scheme() != Scheme::Https {
        return Ok(None);
    }
    match origin.host() {
        Host::Name(name) => ServerName::try_from(name.clone()).map(Some).map_err(|_| Fault::OriginUnknown),
        Host::Ip(address) => Ok(Some(ServerName::from(*address))),
    }
}

impl Target {
    /// Whether the addresses may still be used without resolving again.
    pub fn is_fresh(&self) -> bool {
        Instant::now() < self.fresh_until
    }

    fn kept_on(&self, time: Duration) -> Self {
        Self {
            authority: self.authority.clone(),
            breaker: self.breaker.clone(),
            resolved: self.resolved,
            fresh_until: Instant::now() + time,
            refreshing: AtomicBool::new(false),
            places: self.places.clone(),
        }
    }

    /// The addresses in the order in which they are tried.
    pub fn sockets(&self) -> Vec<String> {
        self.places.iter().map(|place| place.address.to_string()).collect()
    }

    /// Where one try of a request goes; later tries go to later addresses. None after as many as there are.
    pub(crate) fn place(&self, attempt: usize) -> Option<&Arc<Place>> {
        self.places.get(attempt)
    }
}
