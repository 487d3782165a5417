//! [`Server`]: one DNS server and how it is asked.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use serde::Serialize;

/// The port of DNS.
pub(crate) const PORT: u16 = 53;

/// A server and the way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// How it is asked.
    pub transport: Transport,
}

/// How a server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Transport {
    /// TCP only, for networks that drop UDP on port 53.
    Tcp,
    /// UDP, and TCP after a truncated answer.
    #[default]
    Udp,
}

/// What a server's word is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// One of the zone's own servers: the truth, if it says that it is responsible.
    Authority,
    /// A resolver: what the world sees, up to a TTL late.
    Recursive,
}

/// Why a text is not a [`Server`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a DNS server: write `192.0.2.1`, `192.0.2.1:53`, `[2001:db8::1]:53` or `tcp://192.0.2.1`")]
pub struct ServerError(String);

impl Server {
    /// Asked by UDP, then TCP.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, transport: Transport::Udp }
    }
}

impl FromStr for Server {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (transport, rest) = match text.strip_prefix("tcp://") {
            Some(rest) => (Transport::Tcp, rest),
            None => (Transport::Udp, text.strip_prefix("udp://").unwrap_or(text)),
        };
        let address = rest.parse().or_else(|_| rest.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT)));
        Ok(Self { address: address.map_err(|_| ServerError(text.to_owned()))?, transport })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transport {
            Transport::Tcp => write!(f, "tcp://{}", self.address),
            Transport::Udp => write!(f, "{}", self.address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_written_in_five_ways() {
        const CASES: &[(&str, &str)] = &[
            ("192.0.2.1", "192.0.2.1:53"),
            ("192.0.2.1:5353", "192.0.2.1:5353"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
            ("tcp://192.0.2.1", "tcp://192.0.2.1:53"),
        ];
        for (text, printed) in CASES {
            assert_eq!(text.parse::<Server>().unwrap().to_string(), *printed);
        }
        assert!("dns.example".parse::<Server>().is_err());
    }
}
