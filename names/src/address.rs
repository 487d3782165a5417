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
        (0x2002, _) => false,                                               // RFC 7526: 6to4, not in use any more
        (0x2001, 0x0db8) => false,                                          // RFC 3849: documentation
        (0x2001, second) if second < 0x0200 => false,                       // RFC 6890: Teredo, ORCHID and kin
        (0x3fff, second) if second < 0x1000 => false,                       // RFC 9637: documentation
        // Global unicast is 2000::/3; all that is assigned elsewhere is loopback, local or multicast.
        (first, _) => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests;
