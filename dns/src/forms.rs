//! Names of records as people write them.

use names::{Hostname, registrable};

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
