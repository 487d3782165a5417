//! The public suffix list, behind four questions. Nothing else in the workspace knows the list.

use crate::Hostname;

/// The domain that a customer registers: `example.co.uk` of `shop.example.co.uk`; `None` for a public suffix itself.
pub fn registrable(name: &Hostname) -> Option<&str> {
    psl::domain_str(name.as_str())
}

/// Whether the name is a public suffix (`co.uk`, `github.io`): nobody's customer owns it.
pub fn is_public_suffix(name: &Hostname) -> bool {
    registrable(name).is_none()
}

/// Top-level domains that are on the list and under which no public authority certifies by the methods that edges use:
/// `.onion` is not in the DNS (RFC 7686), and `.arpa` is infrastructure, which the CA/Browser Forum has closed.
const UNCERTIFIED: [&str; 2] = ["arpa", "onion"];

/// Whether a public authority may certify the name: its top-level domain is one of the public DNS. Those of RFC 6761 and
/// its kin (`.test`, `.local`, `.internal`, `.localhost` …) are on no list.
pub fn is_below_public_suffix(name: &Hostname) -> bool {
    let top = name.as_str().rsplit('.').next().unwrap_or_default();
    psl::suffix(name.as_str().as_bytes()).is_some_and(|suffix| suffix.is_known()) && !UNCERTIFIED.contains(&top)
}

/// Whether the name is the registrable domain itself, where a CNAME cannot stand.
pub fn is_apex(name: &Hostname) -> bool {
    registrable(name) == Some(name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registrable_domain_follows_the_list() {
        const CASES: &[(&str, Option<&str>)] = &[
            ("example.com", Some("example.com")),
            ("shop.example.com", Some("example.com")),
            ("a.b.example.co.uk", Some("example.co.uk")),
            ("co.uk", None),
            ("github.io", None),
            ("someone.github.io", Some("someone.github.io")),
            ("shop.customer.test", Some("customer.test")),
            ("www.ck", Some("www.ck")),
        ];
        for (text, expected) in CASES {
            let name = Hostname::parse(text).unwrap();
            assert_eq!(registrable(&name), *expected, "{text}");
            assert_eq!(is_public_suffix(&name), expected.is_none(), "{text}");
            assert_eq!(is_apex(&name), *expected == Some(*text), "{text}");
        }
    }

    #[test]
    fn names_that_no_public_authority_certifies_are_told_by_their_top_level_domain() {
        let public = |text: &str| is_below_public_suffix(&Hostname::parse(text).unwrap());
        for text in [
            "shop.example.com",
            "someone.github.io",
            "a.b.example.co.uk",
            "www.ck",
            "пример.рф",
            "магазин.срб",
            "onion.example.com",
            "local.test.example.org",
        ] {
            assert!(public(text), "{text}");
        }
        for text in [
            "shop.customer.test",
            "a.example",
            "a.localhost",
            "a.invalid",
            "printer.local",
            "db.corp.internal",
            "a.home.arpa",
            "2.0.192.in-addr.arpa",
            "facebookcorewwwi.onion",
            "a.alt",
            "host.lan",
            "example.acting",
            "a.xn--kgbechtv",
        ] {
            assert!(!public(text), "{text}");
        }
    }
}
