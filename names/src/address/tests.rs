use std::sync::LazyLock;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::prelude::*;

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
        "2002:808:808::1",
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
        "2606:4700::1111",
        "2a00:1450::1",
    ];
    for address in PUBLIC {
        assert!(is_public(address.parse().unwrap()), "{address}");
    }
}

/// The blocks of the IANA special-purpose registries for IPv4 that are not globally reachable, the two deprecated ones
/// and multicast with them.
const SPECIAL_V4: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];

/// The same for IPv6. `::ffff:0:0/96` and `64:ff9b::/96` hold IPv4 addresses and have properties of their own.
const SPECIAL_V6: &[&str] = &[
    "::/128",
    "::1/128",
    "::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001::/32",
    "2001:2::/48",
    "2001:10::/28",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

static SPECIAL: LazyLock<Vec<IpNet>> =
    LazyLock::new(|| SPECIAL_V4.iter().chain(SPECIAL_V6).map(|text| text.parse().unwrap()).collect());

fn is_special(address: IpAddr) -> bool {
    SPECIAL.iter().any(|net| net.contains(&address))
}

/// Every way in which an IPv4 address is written as an IPv6 one: mapped, NAT64, compatible, 6to4, Teredo's client and
/// IPv4-translated.
fn clothes(address: Ipv4Addr) -> Vec<IpAddr> {
    let bits = u128::from(u32::from(address));
    let at = |prefix: &str, shift: u32| {
        let prefix: Ipv6Addr = prefix.parse().unwrap();
        IpAddr::from(Ipv6Addr::from_bits(prefix.to_bits() | bits << shift))
    };
    vec![at("::ffff:0:0", 0), at("64:ff9b::", 0), at("::", 0), at("2002::", 80), at("2001::", 0), at("::ffff:0:0:0", 0)]
}

fn inside_v4() -> impl Strategy<Value = Ipv4Addr> {
    let nets: Vec<Ipv4Net> = SPECIAL_V4.iter().map(|text| text.parse().unwrap()).collect();
    (prop::sample::select(nets), any::<u32>())
        .prop_map(|(net, bits)| Ipv4Addr::from_bits(net.network().to_bits() | bits & net.hostmask().to_bits()))
}

fn inside_v6() -> impl Strategy<Value = Ipv6Addr> {
    let nets: Vec<Ipv6Net> = SPECIAL_V6.iter().map(|text| text.parse().unwrap()).collect();
    (prop::sample::select(nets), any::<u128>())
        .prop_map(|(net, bits)| Ipv6Addr::from_bits(net.network().to_bits() | bits & net.hostmask().to_bits()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn no_address_of_a_special_block_is_public_in_any_form(v4 in inside_v4(), v6 in inside_v6()) {
        prop_assert!(!is_public(v4.into()), "{v4}");
        for dressed in clothes(v4) {
            prop_assert!(!is_public(dressed), "{v4} as {dressed}");
        }
        prop_assert!(!is_public(v6.into()), "{v6}");
    }

    #[test]
    fn every_other_address_is_public(bits in any::<u32>(), unicast in any::<u128>()) {
        let v4 = IpAddr::from(Ipv4Addr::from_bits(bits));
        prop_assert_eq!(is_public(v4), !is_special(v4), "{}", v4);
        // Global unicast is what has been handed out: 2000::/3 (RFC 4291 section 2.4).
        let v6 = IpAddr::from(Ipv6Addr::from_bits(unicast >> 3 | 1 << 125));
        prop_assert_eq!(is_public(v6), !is_special(v6), "{}", v6);
    }
}
