//! Services that stand in front of sites, as data: by the names that they alias to and the networks that they own.
//!
//! A name that leads to one of them does not lead to us, even if the service has been told to fetch from us: TLS ends
//! there, and validation by TLS-ALPN-01 never arrives. The entries are well-known aliases and large blocks, not the
//! operators' whole lists, and networks change hands. They only put a name to what stands in front: that a name does not
//! lead to us is known without them, so a missing or stale entry costs a precise sentence, never a wrong verdict.

use std::{net::IpAddr, sync::LazyLock};

use ipnet::IpNet;

use crate::OwnerName;

struct Front {
    name: &'static str,
    /// Suffixes of alias targets.
    names: &'static [&'static str],
    networks: &'static [&'static str],
}

const FRONTS: &[Front] = &[
    Front {
        name: "Cloudflare",
        names: &["cdn.cloudflare.net", "cloudflare-dns.com", "pages.dev", "workers.dev"],
        networks: &[
            "103.21.244.0/22",
            "103.22.200.0/22",
            "103.31.4.0/22",
            "104.16.0.0/13",
            "104.24.0.0/14",
            "108.162.192.0/18",
            "131.0.72.0/22",
            "141.101.64.0/18",
            "162.158.0.0/15",
            "172.64.0.0/13",
            "173.245.48.0/20",
            "188.114.96.0/20",
            "190.93.240.0/20",
            "197.234.240.0/22",
            "198.41.128.0/17",
            "2400:cb00::/32",
            "2405:8100::/32",
            "2405:b500::/32",
            "2606:4700::/32",
            "2803:f800::/32",
            "2a06:98c0::/29",
            "2c0f:f248::/32",
        ],
    },
    Front {
        name: "Fastly",
        names: &["fastly.net", "fastlylb.net", "fastly-edge.com"],
        networks: &[
            "151.101.0.0/16",
            "146.75.0.0/17",
            "167.82.0.0/17",
            "199.232.0.0/16",
            "2a04:4e40::/32",
            "2a04:4e42::/32",
        ],
    },
    Front {
        name: "Amazon CloudFront",
        names: &["cloudfront.net"],
        networks: &[
            "13.32.0.0/15",
            "13.35.0.0/16",
            "13.224.0.0/14",
            "18.64.0.0/14",
            "18.154.0.0/15",
            "18.160.0.0/15",
            "18.164.0.0/15",
            "18.172.0.0/15",
            "52.84.0.0/15",
            "54.182.0.0/16",
            "54.192.0.0/16",
            "99.84.0.0/16",
            "99.86.0.0/16",
            "108.138.0.0/15",
            "108.156.0.0/14",
            "143.204.0.0/16",
            "2600:9000::/28",
        ],
    },
    Front {
        name: "Akamai",
        names: &["akamai.net", "akamaiedge.net", "akamaized.net", "edgekey.net", "edgesuite.net"],
        networks: &[],
    },
    Front { name: "Azure Front Door", names: &["azureedge.net", "azurefd.net", "trafficmanager.net"], networks: &[] },
    Front { name: "Bunny", names: &["b-cdn.net"], networks: &[] },
    Front { name: "GitHub Pages", names: &["github.io"], networks: &["185.199.108.0/22", "2606:50c0:8000::/46"] },
    Front { name: "Google", names: &["ghs.googlehosted.com", "ghs.google.com"], networks: &[] },
    Front {
        name: "Imperva",
        names: &["impervadns.net", "incapdns.net"],
        networks: &["45.60.0.0/16", "45.64.64.0/22", "45.223.0.0/16"],
    },
    Front {
        name: "Netlify",
        names: &["netlify.app", "netlify.com", "netlifyglobalcdn.com"],
        networks: &["75.2.60.5/32"],
    },
    Front { name: "Shopify", names: &["myshopify.com"], networks: &["23.227.38.0/24"] },
    Front { name: "Squarespace", names: &["squarespace.com"], networks: &["198.49.23.144/31", "198.185.159.144/31"] },
    Front { name: "Sucuri", names: &["sucuri.net"], networks: &["192.124.249.0/24"] },
    Front { name: "Vercel", names: &["vercel-dns.com", "vercel.app"], networks: &["76.76.21.0/24"] },
    Front { name: "Webflow", names: &["webflow.com", "webflow.io"], networks: &[] },
    Front { name: "Wix", names: &["wixdns.net"], networks: &["185.230.60.0/22"] },
];

static NETWORKS: LazyLock<Vec<(IpNet, &'static str)>> = LazyLock::new(|| {
    let all = FRONTS.iter().flat_map(|front| front.networks.iter().map(|net| (net, front.name)));
    all.filter_map(|(net, name)| Some((net.parse().ok()?, name))).collect()
});

/// The service that a name leads to, if it is a known one: by its aliases first, then by its addresses.
pub fn front_of(chain: &[OwnerName], addresses: &[IpAddr]) -> Option<&'static str> {
    chain.iter().find_map(by_name).or_else(|| addresses.iter().find_map(|ip| by_address(*ip)))
}

fn by_name(target: &OwnerName) -> Option<&'static str> {
    let target = target.to_string();
    let is_at = |suffix: &&str| target.strip_suffix(*suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    FRONTS.iter().find(|front| front.names.iter().any(is_at)).map(|front| front.name)
}

fn by_address(ip: IpAddr) -> Option<&'static str> {
    NETWORKS.iter().find(|(net, _)| net.contains(&ip)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_known_by_alias_and_by_address() {
        const CASES: &[(&str, &str, Option<&str>)] = &[
            ("d111.cloudfront.net", "192.0.2.1", Some("Amazon CloudFront")),
            ("shop.example.cdn.cloudflare.net", "192.0.2.1", Some("Cloudflare")),
            ("www.example.edgekey.net", "192.0.2.1", Some("Akamai")),
            ("other.example", "104.21.3.4", Some("Cloudflare")),
            ("other.example", "2606:4700:3030::1", Some("Cloudflare")),
            ("other.example", "151.101.1.1", Some("Fastly")),
            ("notfastly.net", "192.0.2.1", None),
            ("other.example", "192.0.2.1", None),
        ];
        for (target, ip, front) in CASES {
            assert_eq!(front_of(&[target.parse().unwrap()], &[ip.parse().unwrap()]), *front, "{target} {ip}");
        }
    }

    #[test]
    fn every_network_of_the_table_parses() {
        assert_eq!(NETWORKS.len(), FRONTS.iter().map(|front| front.networks.len()).sum::<usize>());
    }
}
