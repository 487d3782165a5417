//! The rules of the moment: what a reload may change.
//!
//! A connection takes the policy that stands when it is accepted and keeps it. Reloading swaps the whole snapshot, so
//! no connection ever sees half of one configuration and half of another.

use std::{net::IpAddr, sync::Arc, time::Duration};

use control_client::Gate;
use ipnet::IpNet;
use rustls::ServerConfig;

use crate::{
    fair::{Bandwidth, FairLimits, MemoryLimits},
    guard::GuardLimits,
    http::{forward::Peer, loops::LoopMark},
    origin::Origins,
};

/// One snapshot of the rules.
pub struct Policy {
    /// Whom to ask about a name.
    pub gate: Gate,
    /// Resolves and remembers origins.
    pub origins: Origins,
    /// Tells requests that this fleet has passed on already.
    pub loops: LoopMark,
    /// Peers whose forwarding headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// Peers that begin each connection with a PROXY protocol header.
    pub proxy_protocol: Vec<IpNet>,
    /// Deadlines of the line.
    pub limits: LineLimits,
    /// The TLS policy.
    pub tls: Arc<ServerConfig>,
}

/// Deadlines that a connection and its requests live under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineLimits {
    /// From accept to a whole PROXY protocol header, where one is owed.
    pub proxy_header_timeout: Duration,
    /// From accept to a whole ClientHello.
    pub hello_timeout: Duration,
    /// From the certificate being there to a finished handshake.
    pub handshake_timeout: Duration,
    /// Longest silence of a visitor within a request.
    pub read_timeout: Duration,
    /// Longest time that a visitor may take to accept a piece of a response.
    pub write_timeout: Duration,
    /// Longest idle time between requests of a connection.
    pub keepalive_timeout: Duration,
    /// How long a connection without a request in flight may bring one once the process drains.
    pub drain_wait: Duration,
    /// What the stream under the requests bears.
    pub guard: GuardLimits,
    /// What one address, and all of them, may take.
    pub fair: FairLimits,
    /// Requests that one hostname may have in flight.
    pub hostname_requests: usize,
    /// Bytes of bodies that may pass for one hostname; none is no limit.
    pub hostname_bandwidth: Option<Bandwidth>,
    /// How much memory the process may have.
    pub memory: MemoryLimits,
}

impl Policy {
    /// How far the word of a peer counts.
    pub fn peer(&self, address: IpAddr) -> Peer {
        match is_in(&self.trusted_proxies, address) {
            true => Peer::TrustedProxy,
            false => Peer::Visitor,
        }
    }

    /// Whether a peer's connections begin with a PROXY protocol header.
    pub fn speaks_for_others(&self, address: IpAddr) -> bool {
        is_in(&self.proxy_protocol, address)
    }
}

fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policy").field("limits", &self.limits).finish_non_exhaustive()
    }
}
