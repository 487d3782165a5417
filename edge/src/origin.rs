//! Where requests go: an origin's addresses, checked and remembered for a short while.
//!
//! A name is resolved by the system's resolver and every address is held against the rule for private addresses before
//! it may be dialled; the connection then goes to the checked address, not to the name. TLS to the origin carries the
//! origin's own name and verifies it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
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

use crate::{http::answer::Fault, tunnel::Dial};

/// How long resolved addresses are used before they are looked up again: a moved origin is found within seconds.
const ADDRESSES_FOR: Duration = Duration::from_secs(10);
/// How long they may be used while looking them up fails: a resolver's bad minutes are not the origin's.
const STALE_FOR: Duration = Duration::from_secs(300);
/// Most addresses of one name that are kept; a name with more is being used against us.
const MAX_ADDRESSES: usize = 16;
/// Most origins remembered at once, about 1 KiB each.
const MAX_ORIGINS: u64 = 20_000;
/// HTTP/2 streams on one connection to an origin.
const ORIGIN_H2_STREAMS: usize = 100;

/// Deadlines and rules towards origins.
#[derive(Debug, Clone)]
pub struct OriginSettings {
    /// Whether private, loopback and link-local addresses may be dialled for origins that the gate names.
    pub allow_private: bool,
    /// To resolve a name; to connect; to finish TLS.
    pub connect_timeout: Duration,
    /// Longest silence of an origin that owes an answer.
    pub response_timeout: Duration,
    /// Longest silence on a connection that was upgraded or streams events.
    pub stream_timeout: Duration,
    /// How long an idle connection to an origin is kept.
    pub idle_timeout: Duration,
}

/// Resolves origins and remembers them. A name is looked up once for everyone who waits, and again in the background
/// while requests go on to the addresses that are known.
pub struct Origins(Arc<Inner>);

struct Inner {
    settings: OriginSettings,
    operators_own: Option<Origin>,
    known: Cache<Origin, Arc<Target>>,
}

/// An origin that can be dialled.
#[derive(Debug)]
pub struct Target {
    /// The origin's authority, for `Host`.
    pub authority: HeaderValue,
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
    pub fn new(settings: OriginSettings, operators_own: Option<Origin>) -> Self {
        Self(Arc::new(Inner { settings, operators_own, known: Cache::new(MAX_ORIGINS) }))
    }

    /// The origin's addresses, remembered or fresh.
    ///
    /// # Errors
    /// The [`Fault`] that the visitor is told of.
    pub async fn find(&self, origin: &Origin) -> Result<Arc<Target>, Fault> {
        match self.0.known.get(origin).await {
            Some(target) if target.is_fresh() => return Ok(target),
            Some(target) if target.resolved.elapsed() < STALE_FOR => {
                if !target.refreshing.swap(true, Ordering::Relaxed) {
                    tokio::spawn(self.0.clone().refresh(origin.clone(), target.clone()));
                }
                return Ok(target);
            }
            Some(_) => self.0.known.invalidate(origin).await,
            None => {}
        }
        let resolve = async { self.0.resolve(origin).await.map(Arc::new) };
        self.0.known.try_get_with_by_ref(origin, resolve).await.map_err(|fault: Arc<Fault>| *fault)
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
        let target = match self.resolve(&origin).await {
            Ok(target) => target,
            Err(fault @ (Fault::OriginSlow | Fault::OriginUnknown)) => {
                tracing::debug!(%origin, reason = fault.code(), "an origin's addresses are not found again");
                old.kept_on()
            }
            // Its addresses have become ones that may not be dialled: what is remembered must go at once.
            Err(_) => return self.known.invalidate(&origin).await,
        };
        self.known.insert(origin, Arc::new(target)).await;
    }

    async fn resolve(&self, origin: &Origin) -> Result<Target, Fault> {
        let found = self.addresses(origin).await?;
        let allowed: Vec<IpAddr> = match self.settings.allow_private || self.operators_own.as_ref() == Some(origin) {
            true => found,
            false => found.into_iter().filter(|address| is_public(*address)).collect(),
        };
        if allowed.is_empty() {
            return Err(Fault::OriginForbidden);
        }
        let authority = HeaderValue::try_from(origin.authority()).map_err(|_| Fault::Internal)?;
        let peers = allowed.into_iter().take(MAX_ADDRESSES).map(|address| self.peer(origin, address)).collect();
        let resolved = Instant::now();
        let fresh_until = resolved + ADDRESSES_FOR;
        Ok(Target { authority, resolved, fresh_until, refreshing: AtomicBool::new(false), peers })
    }

    async fn addresses(&self, origin: &Origin) -> Result<Vec<IpAddr>, Fault> {
        let name = match origin.host() {
            Host::Ip(address) => return Ok(vec![*address]),
            Host::Name(name) => name.as_str(),
        };
        let looked_up = timeout(self.settings.connect_timeout, tokio::net::lookup_host((name, origin.port()))).await;
        let addresses = looked_up.map_err(|_| Fault::OriginSlow)?.map_err(|_| Fault::OriginUnknown)?;
        let addresses: Vec<IpAddr> = addresses.map(|address| address.ip()).collect();
        match addresses.is_empty() {
            true => Err(Fault::OriginUnknown),
            false => Ok(addresses),
        }
    }

    /// A peer that carries every deadline. For an address literal the "name" is the address, which rustls verifies
    /// against the certificate and does not send as SNI (RFC 6066 section 3); an empty name would turn verification off.
    fn peer(&self, origin: &Origin, address: IpAddr) -> HttpPeer {
        let tls = origin.scheme() == Scheme::Https;
        let name = match origin.host() {
            Host::Name(name) => name.clone(),
            Host::Ip(address) => address.to_string(),
        };
        let mut peer = HttpPeer::new(SocketAddr::new(address, origin.port()), tls, name);
        let options = &mut peer.options;
        options.alpn = if tls { ALPN::H2H1 } else { ALPN::H1 };
        options.connection_timeout = Some(self.settings.connect_timeout);
        options.total_connection_timeout = Some(self.settings.connect_timeout.saturating_mul(2));
        options.read_timeout = Some(self.settings.response_timeout);
        options.write_timeout = Some(self.settings.response_timeout);
        options.idle_timeout = Some(self.settings.idle_timeout);
        options.max_h2_streams = ORIGIN_H2_STREAMS;
        options.tcp_keepalive = Some(keepalive());
        peer
    }
}

impl Target {
    /// Whether the addresses may still be used without resolving again.
    pub fn is_fresh(&self) -> bool {
        Instant::now() < self.fresh_until
    }

    fn kept_on(&self) -> Self {
        Self {
            authority: self.authority.clone(),
            resolved: self.resolved,
            fresh_until: Instant::now() + ADDRESSES_FOR,
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

/// Whether an address can belong to a stranger's server on the Internet: not one of the special-purpose blocks of the
/// IANA registries (RFC 6890), in its own form or inside an IPv6 form that maps or embeds it.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b)) // RFC 6598: carrier-grade NAT
        || (a == 192 && b == 0 && c == 0) // RFC 6890: IETF protocol assignments
        || (a == 192 && b == 88 && c == 99) // RFC 7526: 6to4 relays
        || (a == 198 && (b == 18 || b == 19)); // RFC 2544: benchmarks
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [s0, s1, s2, s3, s4, s5, s6, s7] = address.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match (s0, s1) {
        (0x0064, 0xff9b) if [s2, s3, s4, s5] == [0; 4] => embedded(s6, s7), // RFC 6052: NAT64
        (0x2002, _) => embedded(s1, s2),                                    // RFC 3056: 6to4
        (0x2001, 0x0db8) => false,                                          // RFC 3849: documentation
        (0x2001, second) if second < 0x0200 => false,                       // RFC 6890: Teredo, ORCHID and kin
        (0x3fff, second) if second < 0x1000 => false,                       // RFC 9637: documentation
        // Global unicast is 2000::/3; all that is assigned elsewhere is loopback, local or multicast.
        (first, _) => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_not_public_in_any_form() {
        const SPECIAL: &[&str] = &[
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a00:1::1",
            "3fff::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        for address in SPECIAL {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn ordinary_addresses_are_public() {
        const PUBLIC: &[&str] = &[
            "1.1.1.1",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
            "2606:4700::1111",
            "2a00:1450::1",
        ];
        for address in PUBLIC {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
