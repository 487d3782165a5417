//! What the origin is told about the visitor, and by whom.
//!
//! Every forwarding header of every spelling that a visitor sent is dropped and the edge's own word is set, unless the
//! peer is a trusted proxy: then its word stands and the edge adds itself. Underscore spellings count, because CGI and
//! WSGI servers turn `X_Forwarded_For` and `X-Forwarded-For` into one variable.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use names::Hostname;

use super::Head;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Field names, with `_` read as `-`, that claim to say where a request came from or went to. `proxy` is one that CGI
/// turns into a proxy for the origin's own requests (CVE-2016-5385).
const CLAIMS: &[&str] = &[
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded",
    "forwarded-for",
    "front-end-https",
    "proxy",
    "proxy-client-ip",
    "true-client-ip",
    "wl-proxy-client-ip",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-host",
    "x-http-host-override",
    "x-originating-ip",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-remote-addr",
    "x-remote-ip",
    "x-rewrite-url",
    "x-scheme",
];
/// `X-Forwarded`, `X-Forwarded-For`, `-Host`, `-Proto`, `-Port`, `-Server`, `-Prefix`; `X-Original-URL`, `-Host`,
/// `-Forwarded-For`; and whatever comes next.
const CLAIM_PREFIXES: [&str; 2] = ["x-forwarded", "x-original-"];
/// The lengths that claims have, a bit for each: most fields of most requests need no further look.
const CLAIM_LENGTHS: u64 = lengths(CLAIMS);

const fn lengths(mut names: &[&str]) -> u64 {
    let mut bits = 0;
    while let Some((name, rest)) = names.split_first() {
        bits |= 1 << name.len();
        names = rest;
    }
    bits
}

/// Whether a forwarding header that came in is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A visitor: nothing it says about itself counts.
    Visitor,
    /// A proxy whose address is in `proxy.trusted_proxies`.
    TrustedProxy,
}

/// Which `Host` the origin sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginHost {
    /// The customer's, as the visitor sent it.
    Keep,
    /// The origin's own authority.
    Replace(HeaderValue),
}

/// The forwarding values of one connection, built once so that a request only copies references.
#[derive(Debug, Clone)]
pub struct Forwarding {
    peer: Peer,
    address: HeaderValue,
    node: String,
    host: HeaderValue,
    forwarded: HeaderValue,
}

impl Forwarding {
    /// For a connection from `from` that was opened for `name`.
    pub fn new(from: SocketAddr, name: &Hostname, peer: Peer) -> Self {
        let ip = from.ip().to_canonical();
        let node = forwarded_node(ip);
        let forwarded = forwarded_element(&node, name.as_str());
        Self {
            peer,
            address: ascii_value(&ip.to_string()),
            node,
            host: ascii_value(name.as_str()),
            forwarded: ascii_value(&forwarded),
        }
    }

    /// Rewrites a request head for the origin. `host` is the authority that the visitor asked for.
    pub fn apply(&self, head: &mut impl Head, host: &HeaderValue, to: &OriginHost) {
        match self.peer {
            Peer::Visitor => {
                drop_claims(head);
                self.introduce(head, host);
            }
            Peer::TrustedProxy => self.append(head, host),
        }
        if let OriginHost::Replace(authority) = to {
            head.set(header::HOST, authority.clone());
        }
    }

    fn introduce(&self, head: &mut impl Head, host: &HeaderValue) {
        head.set(X_FORWARDED_FOR, self.address.clone());
        head.set(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
        head.set(X_FORWARDED_HOST, host.clone());
        head.set(header::FORWARDED, self.forwarded(host));
    }

    /// RFC 7239 section 4: each proxy adds its element at the end; what is there already is kept.
    fn append(&self, head: &mut impl Head, host: &HeaderValue) {
        let chain = joined(head.fields(), &X_FORWARDED_FOR, &self.address);
        head.set(X_FORWARDED_FOR, chain);
        if !head.fields().contains_key(X_FORWARDED_PROTO) {
            head.set(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
        }
        if !head.fields().contains_key(X_FORWARDED_HOST) {
            head.set(X_FORWARDED_HOST, host.clone());
        }
        let elements = joined(head.fields(), &header::FORWARDED, &self.forwarded(host));
        head.set(header::FORWARDED, elements);
    }

    fn forwarded(&self, host: &HeaderValue) -> HeaderValue {
        if *host == self.host {
            return self.forwarded.clone();
        }
        // Only a name that passed `match_host` gets here: letters, digits, dots, hyphens and a port.
        let host = host.to_str().unwrap_or_default();
        ascii_value(&forwarded_element(&self.node, host))
    }
}

/// The address of the visitor: the peer, or what a trusted proxy says of it (the last element of
/// `X-Forwarded-For`, which that proxy itself has added).
pub fn client_address(fields: &HeaderMap, from: SocketAddr, peer: Peer) -> IpAddr {
    let from = from.ip().to_canonical();
    if peer == Peer::Visitor {
        return from;
    }
    let last = fields.get_all(X_FORWARDED_FOR).iter().next_back().and_then(|value| value.to_str().ok());
    let last = last.and_then(|list| list.rsplit(',').next()).map(str::trim);
    last.and_then(|address| address.parse().ok()).unwrap_or(from)
}

fn drop_claims(head: &mut impl Head) {
    // Nearly every request has none, so the list stays empty and nothing is allocated.
    let claims: Vec<HeaderName> = head.fields().keys().filter(|name| is_claim(name.as_str())).cloned().collect();
    for name in &claims {
        head.drop_field(name);
    }
}

fn is_claim(name: &str) -> bool {
    let may_be = name.len() < 64 && CLAIM_LENGTHS >> name.len() & 1 == 1;
    CLAIM_PREFIXES.iter().any(|prefix| starts_like(name, prefix))
        || (may_be && CLAIMS.iter().any(|claim| claim.len() == name.len() && starts_like(name, claim)))
}

/// Whether `name` begins with `prefix` when `_` is read as `-`. Field names in a `HeaderMap` are lower case.
fn starts_like(name: &str, prefix: &str) -> bool {
    let dashed = name.bytes().map(|b| if b == b'_' { b'-' } else { b });
    name.len() >= prefix.len() && dashed.zip(prefix.bytes()).all(|(a, b)| a == b)
}

pub(super) fn joined(fields: &HeaderMap, name: &HeaderName, last: &HeaderValue) -> HeaderValue {
    let mut bytes = Vec::new();
    for value in fields.get_all(name).iter().chain([last]) {
        if !bytes.is_empty() {
            bytes.extend_from_slice(b", ");
        }
        bytes.extend_from_slice(value.as_bytes());
    }
    HeaderValue::from_bytes(&bytes).unwrap_or_else(|_| last.clone())
}

/// RFC 7239 section 6: an IPv6 node is bracketed and quoted.
fn forwarded_node(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("\"[{ip}]\""),
    }
}

/// RFC 7239 section 4: a host with a port holds a colon, which a token may not, so it is quoted.
fn forwarded_element(node: &str, host: &str) -> String {
    match host.contains(':') {
        true => format!("for={node};host=\"{host}\";proto=https"),
        false => format!("for={node};host={host};proto=https"),
    }
}

/// A field value from text that is ASCII by construction (addresses and canonical names).
fn ascii_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn visitor(address: &str, peer: Peer) -> Forwarding {
        Forwarding::new(address.parse().unwrap(), &Hostname::parse("shop.customer.test").unwrap(), peer)
    }

    fn head(fields: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let mut map = HeaderMap::new();
        for (name, value) in fields.iter().map(pair) {
            map.append(name, value);
        }
        map
    }

    fn text<'a>(head: &'a HeaderMap, name: &str) -> &'a str {
        head.get(name).map_or("", |value| value.to_str().unwrap())
    }

    const ORIGIN: OriginHost = OriginHost::Replace(HeaderValue::from_static("origin.test:3000"));

    #[test]
    fn the_origin_learns_the_visitor_from_the_socket_and_sees_its_own_host() {
        let mut head = head(&[("host", "shop.customer.test")]);
        visitor("203.0.113.7:5", Peer::Visitor).apply(
            &mut head,
            &HeaderValue::from_static("shop.customer.test"),
            &ORIGIN,
        );
        assert_eq!(text(&head, "x-forwarded-for"), "203.0.113.7");
        assert_eq!(text(&head, "x-forwarded-proto"), "https");
        assert_eq!(text(&head, "x-forwarded-host"), "shop.customer.test");
        assert_eq!(text(&head, "forwarded"), "for=203.0.113.7;host=shop.customer.test;proto=https");
        assert_eq!(text(&head, "host"), "origin.test:3000");
    }

    #[test]
    fn keep_host_leaves_the_customers_name() {
        let mut head = head(&[("host", "shop.customer.test:8443")]);
        let host = HeaderValue::from_static("shop.customer.test:8443");
        visitor("[2001:db8::1]:5", Peer::Visitor).apply(&mut head, &host, &OriginHost::Keep);
        assert_eq!(text(&head, "host"), "shop.customer.test:8443");
        let forwarded = "for=\"[2001:db8::1]\";host=\"shop.customer.test:8443\";proto=https";
        assert_eq!(text(&head, "forwarded"), forwarded);
    }

    #[test]
    fn no_spelling_of_a_forwarding_header_survives_from_a_visitor() {
        let names =
            CLAIMS.iter().copied().chain(["x-forwarded-for", "x-forwarded-port", "x-forwarded", "x-original-url"]);
        for claim in names {
            for underscores in 0..1_u32 << claim.matches('-').count() {
                let mut dash = 0;
                let spell = |c: char| {
                    let swap = c == '-' && {
                        dash += 1;
                        underscores >> (dash - 1) & 1 == 1
                    };
                    if swap { '_' } else { c }
                };
                let name: String = claim.chars().map(spell).collect();
                let mut head = head(&[(&name, "6.6.6.6"), (&name, "7.7.7.7"), ("x-other", "kept")]);
                let host = HeaderValue::from_static("shop.customer.test");
                visitor("203.0.113.7:5", Peer::Visitor).apply(&mut head, &host, &ORIGIN);
                assert!(!format!("{head:?}").contains("6.6.6.6"), "{name}: {head:?}");
                assert!(!format!("{head:?}").contains("7.7.7.7"), "{name}: {head:?}");
                assert_eq!(text(&head, "x-other"), "kept");
            }
        }
    }

    proptest! {
        /// Any letter case, either dash, in any company and order.
        #[test]
        fn no_mixture_of_claims_leaves_a_trace(
            claims in prop::collection::vec(
                (prop::sample::select([CLAIMS, &["x-forwarded-for", "x-forwarded-by", "x-original-url"]].concat()), any::<u64>(), any::<u64>()),
                1..12,
            ),
            position in 0..12_usize,
        ) {
            let spell = |(claim, dashes, cases): &(&str, u64, u64)| -> String {
                let letter = |(at, c): (usize, char)| match c {
                    '-' if dashes >> at & 1 == 1 => '_',
                    c if cases >> at & 1 == 1 => c.to_ascii_uppercase(),
                    c => c,
                };
                claim.chars().enumerate().map(letter).collect()
            };
            let names: Vec<String> = claims.iter().map(spell).collect();
            let mut fields: Vec<_> = names.iter().map(|name| (name.as_str(), "6.6.6.6")).collect();
            fields.insert(position.min(fields.len()), ("x-other", "kept"));
            let mut head = head(&fields);
            let host = HeaderValue::from_static("shop.customer.test");
            visitor("203.0.113.7:5", Peer::Visitor).apply(&mut head, &host, &ORIGIN);
            prop_assert!(!format!("{head:?}").contains("6.6.6.6"), "{:?}", head);
            prop_assert_eq!(text(&head, "x-other"), "kept");
            prop_assert_eq!(text(&head, "x-forwarded-for"), "203.0.113.7");
        }
    }

    #[test]
    fn a_trusted_proxy_keeps_its_word_and_the_edge_adds_its_own() {
        let mut head = head(&[
            ("x-forwarded-for", "198.51.100.1"),
            ("x-forwarded-for", "198.51.100.2"),
            ("x-forwarded-proto", "http"),
            ("forwarded", "for=198.51.100.1"),
        ]);
        let host = HeaderValue::from_static("shop.customer.test");
        visitor("[::ffff:203.0.113.7]:5", Peer::TrustedProxy).apply(&mut head, &host, &ORIGIN);
        assert_eq!(text(&head, "x-forwarded-for"), "198.51.100.1, 198.51.100.2, 203.0.113.7");
        assert_eq!(text(&head, "x-forwarded-proto"), "http");
        assert_eq!(text(&head, "x-forwarded-host"), "shop.customer.test");
        let forwarded = "for=198.51.100.1, for=203.0.113.7;host=shop.customer.test;proto=https";
        assert_eq!(text(&head, "forwarded"), forwarded);
    }

    #[test]
    fn the_client_address_is_believed_only_from_a_trusted_proxy() {
        let fields = head(&[("x-forwarded-for", "6.6.6.6, 198.51.100.2")]);
        let from = "203.0.113.7:5".parse().unwrap();
        assert_eq!(client_address(&fields, from, Peer::Visitor).to_string(), "203.0.113.7");
        assert_eq!(client_address(&fields, from, Peer::TrustedProxy).to_string(), "198.51.100.2");
        assert_eq!(client_address(&HeaderMap::new(), from, Peer::TrustedProxy).to_string(), "203.0.113.7");
    }
}
