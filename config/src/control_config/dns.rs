//! `[dns]`: whom the control plane asks about customers' records.

use std::net::{IpAddr, SocketAddr};

use crate::{
    mistake::Problem,
    section::{Empty, Walk},
};

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// Resolvers; never empty.
    pub resolvers: Vec<ResolverAddress>,
    /// Whether a zone's own servers are asked too.
    pub ask_authority: bool,
    /// At which port they are.
    pub authority_port: u16,
    /// Whether they may have private addresses.
    pub allow_private: bool,
}

/// A resolver and the way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolverAddress {
    /// Where it listens.
    pub address: SocketAddr,
    /// TCP only, for networks that drop UDP on port 53.
    pub tcp: bool,
}

const PORT: u16 = 53;
/// Resolvers of three operators on three networks: Cloudflare, Google, Quad9.
const PUBLIC: [[u8; 4]; 3] = [[1, 1, 1, 1], [8, 8, 8, 8], [9, 9, 9, 9]];

impl Dns {
    pub(crate) fn read(walk: &mut Walk) -> Self {
        let mut section = walk.section("dns");
        let hint = "name a resolver, or remove the key for the public ones";
        let resolvers = section.list("resolvers", Empty::Refused(hint), parse_resolver);
        let ask_authority = section.boolean("ask_authority", true);
        let port = section.quantity::<usize>("authority_port", (1, usize::from(u16::MAX)), usize::from(PORT));
        let allow_private = section.boolean("allow_private", false);
        let public = || PUBLIC.map(|ip| ResolverAddress { address: (ip, PORT).into(), tcp: false }).to_vec();
        let listed = |list: Vec<(ResolverAddress, _)>| list.into_iter().map(|(resolver, _)| resolver).collect();
        Self {
            resolvers: resolvers.map_or_else(public, listed),
            ask_authority,
            authority_port: u16::try_from(port).unwrap_or(PORT),
            allow_private,
        }
    }
}

/// `192.0.2.1`, `192.0.2.1:53`, `[2001:db8::1]:53`, and `tcp://` before any of them.
fn parse_resolver(text: &str) -> Result<ResolverAddress, Problem> {
    let (tcp, rest) = text.strip_prefix("tcp://").map_or((false, text), |rest| (true, rest));
    let alone = rest.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT));
    let address = alone.or_else(|_| rest.parse::<SocketAddr>()).map_err(|_| {
        let hint = "write \"192.0.2.1\", \"192.0.2.1:53\", \"[2001:db8::1]:53\" or \"tcp://192.0.2.1\"";
        Problem::new("bad_address", format!("`{text}` is not the address of a resolver"), hint)
    })?;
    Ok(ResolverAddress { address, tcp })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_addresses_with_the_port_of_dns_unless_said() {
        let good = |text: &str| parse_resolver(text).map(|it| (it.address.to_string(), it.tcp)).unwrap();
        assert_eq!(good("192.0.2.1"), ("192.0.2.1:53".to_owned(), false));
        assert_eq!(good("2001:db8::1"), ("[2001:db8::1]:53".to_owned(), false));
        assert_eq!(good("tcp://192.0.2.1:5353"), ("192.0.2.1:5353".to_owned(), true));
        for text in ["", "dns.example", "192.0.2.1:", "192.0.2.1:99999", "udp://192.0.2.1", "tcp://"] {
            assert_eq!(parse_resolver(text).unwrap_err().code, "bad_address", "{text}");
        }
    }
}
