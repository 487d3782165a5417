//! Where requests go: an origin's addresses, checked and remembered for a short while.
//!
//! Every address that a name resolves to is held against the rule ([`Reach`]) before it may be dialled; the connection
//! then goes to the checked address, not to the name. TLS to the origin carries the origin's own name and verifies it.

mod lookup;
mod reach;

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
use pingora_core::{
    protocols::{ALPN, TcpKeepalive},
    upstreams::peer::{HttpPeer, Peer as _},
};
use tokio::time::{Instant, timeout};

use crate::{
    breaker::{Breaker, BreakerLimits},
    http::answer::Fault,
    tunnel::Dial,
};
use reach::Author;

pub use lookup::Lookup;
pub use reach::Reach;

/// How long they may be used while looking them up fails: a resolver's bad minutes are not the origin's.
const STALE_FOR: Duration = Duration::from_secs(300);
/// How long at most an origin that cannot be dialled is not looked up again: requests for it must not become questions.
const REFUSED_FOR: Duration = Duration::from_secs(5);
/// Most addresses of one name that are kept; a name with more is being used against us.
const MAX_ADDRESSES: usize = 16;
/// Most origins remembered at once, about 1 KiB each.
const MAX_ORIGINS: u64 = 20_000;
/// HTTP/2 streams on one connection to an origin.
const ORIGIN_H2_STREAMS: usize = 100;
/// What an origin may send on one HTTP/2 stream before its visitor has taken it: 70 Mbit/s over 30 ms, and no more is held
/// for a visitor that takes nothing.
const ORIGIN_H2_STREAM_WINDOW: u32 = 256 * 1024;
/// The same for a whole connection: room for every stream. Visitors share the connection, and with less one of them who
/// takes nothing would hold up the others.
const ORIGIN_H2_CONNECTION_WINDOW: u32 = 100 * ORIGIN_H2_STREAM_WINDOW;

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
    peers: Vec<HttpPeer>,
}

/// What kind of exchange a request begins; it decides how long the origin may be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    /// A request that is owed an answer.
    Answer,
    /// An event stream or a gRPC stream, which may be silent for long.
    Stream,
    /// An upgrade, a WebSocket as a rule: silent for long, and HTTP/1.1 only, since HTTP/2 has no `Upgrade`
    /// (RFC 9113 section 8.6).
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

    /// How long a stream may be silent.
    pub fn stream_timeout(&self) -> Duration {
        self.0.settings.stream_timeout
    }

    /// The peer for one try of one request; later tries go to later addresses.
    pub fn peer_for(&self, target: &Target, attempt: usize, exchange: Exchange) -> Option<Box<HttpPeer>> {
        let index = attempt.checked_rem(target.peers.len())?;
        let mut peer = Box::new(target.peers.get(index)?.clone());
        if exchange != Exchange::Answer {
            peer.options.read_timeout = Some(self.stream_timeout());
        }
        if exchange == Exchange::Tunnel {
            peer.options.alpn = ALPN::H1;
            peer.options.custom_l4 = Some(Arc::new(Dial { timeout: self.0.settings.connect_timeout }));
            // A pool of their own: connections for other requests were not dialled so.
            peer.group_key = 1;
        }
        Some(peer)
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
        let peers = allowed.into_iter().map(|address| self.peer(origin, address)).collect();
        let resolved = Instant::now();
        let fresh_until = resolved + self.settings.addresses_for;
        Ok(Target { authority, breaker, resolved, fresh_until, refreshing: AtomicBool::new(false), peers })
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

    /// A peer that carries every deadline. For an address literal the "name" is the address, which rustls verifies
    /// against the certificate and does not send as SNI (RFC 6066 section 3); an empty name would turn verification off.
    fn peer(&self, origin: &Origin, address: SocketAddr) -> HttpPeer {
        let tls = origin.scheme() == Scheme::Https;
        let name = match origin.host() {
            Host::Name(name) => name.clone(),
            Host::Ip(address) => address.to_string(),
        };
        let mut peer = HttpPeer::new(address, tls, name);
        let options = &mut peer.options;
        options.alpn = if tls { ALPN::H2H1 } else { ALPN::H1 };
        options.connection_timeout = Some(self.settings.connect_timeout);
        options.total_connection_timeout = Some(self.settings.connect_timeout.saturating_mul(2));
        options.read_timeout = Some(self.settings.response_timeout);
        options.write_timeout = Some(self.settings.response_timeout);
        options.idle_timeout = Some(self.settings.idle_timeout);
        options.max_h2_streams = ORIGIN_H2_STREAMS;
        options.h2_stream_window_size = Some(ORIGIN_H2_STREAM_WINDOW);
        options.h2_connection_window_size = Some(ORIGIN_H2_CONNECTION_WINDOW);
        options.tcp_keepalive = Some(keepalive());
        peer
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
            peers: self.peers.clone(),
        }
    }

    /// The addresses in the order in which they are tried.
    pub fn sockets(&self) -> Vec<String> {
        self.peers.iter().map(|peer| peer.address().to_string()).collect()
    }

    /// How many addresses there are.
    pub fn addresses(&self) -> usize {
        self.peers.len()
    }
}

/// A peer that vanished without a word is noticed within a minute.
fn keepalive() -> TcpKeepalive {
    TcpKeepalive {
        idle: Duration::from_secs(30),
        interval: Duration::from_secs(10),
        count: 3,
        #[cfg(target_os = "linux")]
        user_timeout: Duration::from_secs(30),
    }
}
