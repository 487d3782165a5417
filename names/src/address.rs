//! [`is_public`]: the one rule about addresses that strangers choose.
//!
//! Tenants name origins and webhook receivers, customers name DNS servers: whatever they name, we connect to. The rule
//! holds for the address that is dialled, after resolving and each time, never for the name alone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
