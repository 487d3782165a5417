//! `[proxy]`: where requests go when the gate names no origin, and whom to believe about clients.

use std::{net::IpAddr, path::PathBuf};

use ipnet::IpNet;

use crate::{
    disk,
    mistake::Problem,
    ports::{Ports, parse_ports},
    resolver::{ResolverAddress, parse_resolver},
    section::{Empty, Walk},
    web::parse_origin,
};

/// Origins and peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// `http(s)://host[:port]`. The operator's own word: it may be private whatever `allow_private_origins` says.
    pub default_origin: Option<String>,
    /// Whether origins that the gate names may have private, loopback or link-local addresses.
    pub allow_private_origins: bool,
    /// Networks that those origins may be in although they are not public.
    pub private_origins: Vec<IpNet>,
    /// Ports that origins that the gate names may have, whatever their address.
    pub origin_ports: Ports,
    /// DNS servers that are asked for origins' names; none for the system's way.
    pub resolvers: Vec<ResolverAddress>,
    /// Peers whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Peers that begin each connection with a PROXY protocol header.
    pub proxy_protocol: Vec<IpNet>,
    /// PEM file of the roots to trust *instead of* the system's when talking to https origins.
    pub origin_ca_root: Option<PathBuf>,
}

const EVERY_PORT: &str = "name the ports of your origins, or write [\"1-65535\"] for every port";

impl Proxy {
    pub(crate) fn read(walk: &mut Walk) -> Self {
        let mut section = walk.section("proxy");
        let default_origin = section.text("default_origin", parse_origin).ok().flatten();
        let allow_private_origins = section.boolean("allow_private_origins", false);
        let mut networks = |key| section.list(key, Empty::Allowed, parse_network).unwrap_or_default();
        let networks = ["private_origins", "trusted_proxies", "proxy_protocol"].map(&mut networks);
        let [private_origins, trusted_proxies, proxy_protocol] =
            networks.map(|list| list.into_iter().map(|(network, _)| network).collect());
        let origin_ports = section.list_of("origin_ports", Empty::Refused(EVERY_PORT), parse_ports);
        let resolvers = section.list("resolvers", Empty::Allowed, parse_resolver).unwrap_or_default();
        let origin_ca_root =
            section.path("origin_ca_root").ok().flatten().map(|root| disk::check_roots(&mut section, root));
        Self {
            default_origin: default_origin.map(|(origin, _)| origin),
            allow_private_origins,
            private_origins,
            origin_ports: origin_ports
                .map_or_else(Ports::default, |list| list.into_iter().map(|(range, _)| range).collect()),
            resolvers: resolvers.into_iter().map(|(resolver, _)| resolver).collect(),
            trusted_proxies,
            proxy_protocol,
            origin_ca_root,
        }
    }
}

/// Reads a network such as `10.0.0.0/8`, or one address.
fn parse_network(text: &str) -> Result<IpNet, Problem> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let network: IpNet = text.parse().map_err(|_| {
        let hint = "write a network such as \"10.0.0.0/8\", or one address";
        Problem::new("bad_network", format!("`{text}` is not a network"), hint)
    })?;
    // Trust is not a place for rounding: 10.0.0.1/8 may have meant one host or all of them.
    match network.trunc() == network {
        true => Ok(network),
        false => {
            let hint = format!("write \"{}\" for the network or \"{}\" for the host", network.trunc(), network.addr());
            Err(Problem::new("bad_network", format!("`{text}` has address bits behind its prefix"), hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_written_as_such_or_as_one_address() {
        let good = |text| parse_network(text).unwrap().to_string();
        assert_eq!(good("10.0.0.0/8"), "10.0.0.0/8");
        assert_eq!(good("192.0.2.7"), "192.0.2.7/32");
        assert_eq!(good("2001:db8::/32"), "2001:db8::/32");
        assert_eq!(good("::1"), "::1/128");
        for text in ["", "10.0.0.0/33", "10.0.0.1/8", "lan", "10.0.0.0/8,10.1.0.0/16"] {
            assert_eq!(parse_network(text).unwrap_err().code, "bad_network", "{text}");
        }
    }
}
