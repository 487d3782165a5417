//! Which addresses and ports may be dialled for an origin.
//!
//! A tenant chooses the name, and with it what the name resolves to. So the rule is held against every address that a
//! look-up brings, at every look-up, and the address that passed is the one that is dialled. The port is the tenant's choice
//! too: it is looked at before the name.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::Arc,
};

use config::Ports;
use ipnet::IpNet;
use names::is_public;

/// The rules about addresses and ports.
#[derive(Debug, Clone)]
pub struct Reach {
    /// Whether private, loopback and link-local addresses may be dialled for origins that the gate names.
    pub allow_private: bool,
    /// Networks that may be dialled although they are not public.
    pub private: Vec<IpNet>,
    /// Ports that may be dialled for origins that the gate names. A private network does not open others: what listens
    /// there trusts its neighbours.
    pub ports: Ports,
    /// Where this edge listens itself: to dial that is a loop, or a way to the admin listener.
    pub own: Arc<[SocketAddr]>,
}

/// Whose word an origin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Author {
    /// The configuration's: it may be private.
    Operator,
    /// The gate's, which passes on what a tenant wrote.
    Tenant,
}

impl Reach {
    /// Whether this port may be dialled, at whatever address.
    pub(super) fn allows_port(&self, port: u16, author: Author) -> bool {
        author == Author::Operator || self.ports.contains(port)
    }

    /// Whether this address may be dialled.
    pub(super) fn allows(&self, address: SocketAddr, author: Author) -> bool {
        let ip = address.ip().to_canonical();
        let within = |net: &IpNet| net.contains(&ip);
        let reachable = author == Author::Operator
            || self.allow_private
            || is_public(address.ip())
            || self.private.iter().any(within);
        reachable && !self.is_own(SocketAddr::new(ip, address.port()))
    }

    /// A listener on a wildcard address is reached by every address of this machine.
    fn is_own(&self, address: SocketAddr) -> bool {
        let at = |listener: &SocketAddr| {
            let ip = listener.ip().to_canonical();
            listener.port() == address.port()
                && (ip == address.ip()
                    || address.ip().is_unspecified()
                    || (ip.is_unspecified() && is_local(address.ip())))
        };
        self.own.iter().any(at)
    }
}

/// Whether an address is one of this machine's: only those can be bound, and no packet is sent to find out.
fn is_local(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Nothing private, nothing of one's own: for tests of what stands around the rule.
impl Default for Reach {
    fn default() -> Self {
        Self { allow_private: false, private: Vec::new(), ports: Ports::default(), own: Arc::new([]) }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn reach(own: &[&str]) -> Reach {
        Reach { own: own.iter().map(|text| text.parse().unwrap()).collect(), ..Reach::default() }
    }

    fn allows(reach: &Reach, address: &str, author: Author) -> bool {
        reach.allows(address.parse().unwrap(), author)
    }

    #[test]
    fn a_tenants_origin_is_public_or_in_a_network_that_the_operator_named() {
        let mut reach = reach(&[]);
        for address in ["10.1.2.3:80", "127.0.0.1:80", "169.254.169.254:80", "[::ffff:10.1.2.3]:80", "[fd00::1]:80"] {
            assert!(!allows(&reach, address, Author::Tenant), "{address}");
            assert!(allows(&reach, address, Author::Operator), "{address}");
        }
        reach.private = vec!["10.1.0.0/16".parse().unwrap()];
        assert!(allows(&reach, "10.1.2.3:80", Author::Tenant));
        assert!(allows(&reach, "[::ffff:10.1.2.3]:80", Author::Tenant), "another way to write the same address");
        assert!(!allows(&reach, "10.2.2.3:80", Author::Tenant));
        reach.allow_private = true;
        assert!(allows(&reach, "10.2.2.3:80", Author::Tenant));
    }

    #[test]
    fn a_tenants_origin_has_a_port_that_the_operator_allows_wherever_it_is() {
        let mut reach = reach(&[]);
        reach.allow_private = true;
        for port in [1, 22, 25, 53, 110, 1023] {
            assert!(!reach.allows_port(port, Author::Tenant), "{port}");
            assert!(reach.allows_port(port, Author::Operator), "{port}");
        }
        for port in [80, 443, 1024, 8443, 65_535] {
            assert!(reach.allows_port(port, Author::Tenant), "{port}");
        }
        reach.ports = [443..=443].into_iter().collect();
        assert!(reach.allows_port(443, Author::Tenant) && !reach.allows_port(8443, Author::Tenant));
    }

    #[test]
    fn the_edges_own_listeners_are_nobodys_origin() {
        let mut reach = reach(&["127.0.0.1:2020", "127.64.0.1:443"]);
        reach.allow_private = true;
        for address in ["127.0.0.1:2020", "[::ffff:127.0.0.1]:2020", "127.64.0.1:443", "0.0.0.0:443", "[::]:2020"] {
            assert!(!allows(&reach, address, Author::Tenant), "{address}");
            assert!(!allows(&reach, address, Author::Operator), "{address}");
        }
        for address in ["127.0.0.1:443", "127.64.0.1:2020", "127.64.0.2:443"] {
            assert!(allows(&reach, address, Author::Tenant), "{address}");
        }
    }

    #[test]
    fn a_wildcard_listener_is_every_address_of_the_machine() {
        for wildcard in ["0.0.0.0:443", "[::]:443"] {
            let mut reach = reach(&[wildcard]);
            reach.allow_private = true;
            assert!(!allows(&reach, "127.0.0.1:443", Author::Tenant), "{wildcard}");
            assert!(!allows(&reach, "127.9.8.7:443", Author::Operator), "{wildcard}");
            assert!(allows(&reach, "127.0.0.1:444", Author::Tenant), "{wildcard}");
            // An address that no machine has (RFC 5737), and so not this one.
            assert!(allows(&reach, "192.0.2.1:443", Author::Tenant), "{wildcard}");
        }
        assert!(is_local(Ipv4Addr::LOCALHOST.into()));
    }
}
