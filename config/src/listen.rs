//! `[listen]`: the addresses of the three listeners.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use crate::{
    mistake::{At, Problem},
    section::{Empty, Section, Walk},
};

/// Where the edge listens. Port 0 lets the system choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Challenges and redirects; may be empty where only TLS-ALPN-01 is used.
    pub http: Vec<SocketAddr>,
    /// The edge itself; never empty.
    pub https: Vec<SocketAddr>,
    /// Health, metrics and operator commands.
    pub admin: SocketAddr,
}

impl Listen {
    /// Whether a listener must be bound for IPv6 only.
    ///
    /// `[::]:443` alone serves both families; beside `0.0.0.0:443` it must leave IPv4 to that one.
    pub fn ipv6_only(&self, address: SocketAddr) -> bool {
        let rival = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
        let mut all = self.http.iter().chain(&self.https).chain([&self.admin]);
        address.is_ipv6() && address.port() != 0 && all.any(|other| *other == rival)
    }

    pub(crate) fn read(walk: &mut Walk) -> Self {
        let mut section = walk.section("listen");
        let http = section.list("http", Empty::Allowed, parse_address);
        let https = section.list("https", Empty::Refused("name an address, as in [\":443\"]"), parse_address);
        let admin = section.text("admin", parse_address).ok().flatten();
        // The defaults go first: a clash with one is told at the address that the operator wrote.
        let mut taken = Taken::default();
        taken.defaults("listen.http", http.is_none(), &both_families(80));
        taken.defaults("listen.https", https.is_none(), &both_families(443));
        taken.defaults("listen.admin", admin.is_none(), &[ADMIN]);
        for (address, at) in http.iter().flatten().chain(https.iter().flatten()).chain(&admin) {
            taken.written(&mut section, *address, at);
        }
        Self {
            http: http.map_or_else(|| both_families(80), addresses),
            https: https.map_or_else(|| both_families(443), addresses),
            admin: admin.map_or(ADMIN, |(address, _)| address),
        }
    }
}

/// Loopback: the admin listener has no authentication.
const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2020);

fn both_families(port: u16) -> Vec<SocketAddr> {
    vec![SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port), SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)]
}

fn addresses(list: Vec<(SocketAddr, At)>) -> Vec<SocketAddr> {
    list.into_iter().map(|(address, _)| address).collect()
}

/// Which key has which address, to find addresses that are listed twice.
#[derive(Default)]
struct Taken(BTreeMap<SocketAddr, String>);

impl Taken {
    fn defaults(&mut self, key: &str, apply: bool, addresses: &[SocketAddr]) {
        if apply {
            self.0.extend(addresses.iter().map(|address| (*address, format!("{key} by default"))));
        }
    }

    fn written(&mut self, section: &mut Section<'_>, address: SocketAddr, at: &At) {
        // Port 0 is another port each time.
        let taken = (address.port() != 0).then(|| self.0.insert(address, at.key.clone())).flatten();
        if let Some(by) = taken {
            let problem = format!("{address} is listed twice, the first time in {by}");
            section.mistake(at, Problem::new("duplicate", problem, "remove one of the two or choose another port"));
        }
    }
}

/// Reads `0.0.0.0:443`, `[::]:443`, or `:443`, which means `[::]:443`.
pub(crate) fn parse_address(text: &str) -> Result<SocketAddr, Problem> {
    if let Some(port) = text.strip_prefix(':').and_then(|port| port.parse().ok()) {
        return Ok(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port));
    }
    text.parse().map_err(|_| {
        let problem = format!("`{text}` is not an IP address with a port");
        Problem::new("bad_address", problem, address_hint(text))
    })
}

fn address_hint(text: &str) -> String {
    if text.parse::<u16>().is_ok() {
        return format!("write \":{text}\" to listen on every address");
    }
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("add a port, as in \"[{address}]:443\""),
        Ok(IpAddr::V4(address)) => format!("add a port, as in \"{address}:443\""),
        Err(_) => "write an address such as \"0.0.0.0:443\", \"[::1]:443\" or \":443\"".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_literal_and_have_a_port() {
        let good = |text| parse_address(text).unwrap().to_string();
        assert_eq!(good("0.0.0.0:443"), "0.0.0.0:443");
        assert_eq!(good("[::1]:0"), "[::1]:0");
        assert_eq!(good(":443"), "[::]:443");
        for text in ["", "443", ":", ":70000", "0.0.0.0", "::", "localhost:443", "0.0.0.0:443:1", "http://0.0.0.0:1"] {
            assert_eq!(parse_address(text).unwrap_err().code, "bad_address", "{text}");
        }
        assert!(parse_address("443").unwrap_err().hint.contains("\":443\""));
        assert!(parse_address("::1").unwrap_err().hint.contains("\"[::1]:443\""));
    }

    #[test]
    fn only_a_wildcard_beside_its_ipv4_twin_is_bound_for_ipv6_alone() {
        let address = |text: &str| parse_address(text).unwrap();
        let listen = Listen {
            http: vec![address(":80")],
            https: vec![address("0.0.0.0:443"), address("[::]:443")],
            admin: ADMIN,
        };
        assert!(listen.ipv6_only(address("[::]:443")));
        assert!(!listen.ipv6_only(address("[::]:80")));
        assert!(!listen.ipv6_only(address("0.0.0.0:443")));
    }
}
