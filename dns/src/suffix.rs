//! The public suffix list, behind four questions. Nothing else in the workspace knows the list.

use names::Hostname;

/// The domain that a customer registers: `example.co.uk` of `shop.example.co.uk`; `None` for a public suffix itself.
pub fn registrable(name: &Hostname) -> Option<&str> {
    psl::domain_str(name.as_str())
}

/// Whether the name is a public suffix (`co.uk`, `github.io`): nobody's customer owns it.
pub fn is_public_suffix(name: &Hostname) -> bool {
    registrable(name).is_none()
}

/// Whether the name is the registrable domain itself, where a CNAME cannot stand.
pub fn is_apex(name: &Hostname) -> bool {
    registrable(name) == Some(name.as_str())
}

/// The name of a record as providers' forms want it, relative to the registrable domain: `@`, `shop`,
/// `_customdomain-challenge.shop`. A record outside the domain comes back whole.
pub fn relative_host<'a>(record: &'a str, name: &Hostname) -> &'a str {
    let record = record.trim_end_matches('.');
    let Some(domain) = registrable(name) else { return record };
    match record.strip_suffix(domain) {
        Some("") => "@",
        Some(rest) => rest.strip_suffix('.').unwrap_or(record),
        None => record,
    }
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
    fn records_are_named_as_forms_want_them() {
        let name = Hostname::parse("shop.example.com").unwrap();
        const CASES: &[(&str, &str)] = &[
            ("example.com", "@"),
            ("shop.example.com", "shop"),
            ("_acme-challenge.shop.example.com.", "_acme-challenge.shop"),
            ("notexample.com", "notexample.com"),
            ("edge.other.net", "edge.other.net"),
        ];
        for (record, form) in CASES {
            assert_eq!(relative_host(record, &name), *form, "{record}");
        }
    }
}
