//! Addresses of DNS resolvers, as both binaries' files write them.

use std::net::{IpAddr, SocketAddr};

use crate::mistake::Problem;

/// A resolver and the way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolverAddress {
    /// Where it listens.
    pub address: SocketAddr,
    /// TCP only, for networks that drop UDP on port 53.
    pub tcp: bool,
}

/// The port of DNS.
pub(crate) const PORT: u16 = 53;
/// Resolvers of three operators on three networks: Cloudflare, Google, Quad9.
const PUBLIC: [[u8; 4]; 3] = [[1, 1, 1, 1], [8, 8, 8, 8], [9, 9, 9, 9]];

/// Whom to ask when nothing else is said.
pub(crate) fn public_resolvers() -> Vec<ResolverAddress> {
    PUBLIC.map(|ip| ResolverAddress { address: (ip, PORT).into(), tcp: false }).to_vec()
}

/// `192.0.2.1`, `192.0.2.1:53`, `[2001:db8::1]:53`, and `tcp://` before any of them.
pub(crate) fn parse_resolver(text: &str) -> Result<ResolverAddress, Problem> {
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
