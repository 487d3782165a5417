//! [`Entry`]: a record as a customer types it into the form of their provider. Pure.

use super::operators::Operator;
use crate::OwnerName;

/// What most forms want for the top of a zone.
const TOP: &str = "@";
/// Types whose value is a name.
const LEADING: [&str; 3] = ["ALIAS", "ANAME", "CNAME"];

/// A record as a form wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The host field; may be empty.
    pub host: String,
    /// The type to choose.
    pub kind: String,
    /// The value field.
    pub value: String,
    /// What is particular about it, in sentences.
    pub notes: Vec<String>,
}

impl Entry {
    /// A record of `zone` in the form of its operator, or in that of most, where nobody knows who that is.
    pub fn of(operator: Option<&Operator>, zone: &OwnerName, name: &OwnerName, kind: &str, value: &str) -> Self {
        let host = match operator {
            Some(operator) => operator.host_in_form(name, zone),
            None => relative(name, zone),
        };
        if !LEADING.contains(&kind) {
            return Self { host, kind: kind.to_owned(), value: value.to_owned(), notes: Vec::new() };
        }
        let value = operator.map_or_else(|| bare(value), |operator| operator.target_in_form(value));
        match name == zone {
            false => Self { host, kind: "CNAME".to_owned(), value, notes: Vec::new() },
            true => Self::at_top(operator, host, value),
        }
    }

    /// No CNAME can stand at the top of a zone; some providers have a type of their own for it.
    fn at_top(operator: Option<&Operator>, host: String, value: String) -> Self {
        let known = operator.and_then(|operator| Some((operator, operator.alias()?)));
        let (kind, note) = match (known, operator.and_then(Operator::flattens), operator) {
            (Some((operator, "CNAME")), ..) => {
                ("CNAME", format!("{} takes a CNAME for the domain itself and answers with addresses.", operator.name))
            }
            (Some((operator, alias)), ..) => {
                (alias, format!("{} has the type {alias} for the domain itself.", operator.name))
            }
            (None, Some(false), Some(operator)) => (
                "ALIAS",
                format!(
                    "{} has no such type. Connect a name below the domain, such as www, and redirect the domain there, \
                     or move its DNS to a provider that has one.",
                    operator.name
                ),
            ),
            _ => (
                "ALIAS",
                "Your provider may call it ALIAS, ANAME or a flattened CNAME. If it has none, connect a name below the \
                 domain, such as www, and redirect the domain there."
                    .to_owned(),
            ),
        };
        Self { host, kind: kind.to_owned(), value, notes: vec![note] }
    }
}

fn relative(name: &OwnerName, zone: &OwnerName) -> String {
    let (whole, zone) = (name.to_string(), zone.to_string());
    match whole.strip_suffix(&zone) {
        Some("") => TOP.to_owned(),
        Some(rest) => rest.trim_end_matches('.').to_owned(),
        None => whole,
    }
}

fn bare(target: &str) -> String {
    target.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::operators;

    fn entry(key: &str, name: &str, kind: &str, value: &str) -> (String, String, String, bool) {
        let operator = operators().iter().find(|operator| operator.key == key);
        let zone = "example.com".parse().unwrap();
        let Entry { host, kind, value, notes } = Entry::of(operator, &zone, &name.parse().unwrap(), kind, value);
        (host, kind, value, !notes.is_empty())
    }

    fn is(found: (String, String, String, bool), host: &str, kind: &str, value: &str, has_notes: bool) {
        assert_eq!(found, (host.to_owned(), kind.to_owned(), value.to_owned(), has_notes));
    }

    #[test]
    fn a_record_is_written_as_its_form_wants_it() {
        let edge = "edge.saas.example";
        is(entry("godaddy", "shop.example.com", "CNAME", edge), "shop", "CNAME", edge, false);
        is(entry("ovh", "shop.example.com", "CNAME", edge), "shop", "CNAME", "edge.saas.example.", false);
        is(entry("netlify", "shop.example.com", "CNAME", edge), "shop.example.com", "CNAME", edge, false);
        is(entry("nobody", "shop.example.com", "CNAME", "edge.saas.example."), "shop", "CNAME", edge, false);
        is(entry("ovh", "_c.shop.example.com", "TXT", "a.b."), "_c.shop", "TXT", "a.b.", false);
        is(entry("squarespace", "example.com", "A", "192.0.2.1"), "@", "A", "192.0.2.1", false);
        is(entry("ovh", "example.com", "A", "192.0.2.1"), "", "A", "192.0.2.1", false);
    }

    #[test]
    fn the_top_of_a_zone_has_each_providers_own_type() {
        let edge = "edge.saas.example";
        is(entry("cloudflare", "example.com", "ALIAS", edge), "@", "CNAME", edge, true);
        is(entry("namecheap", "example.com", "CNAME", edge), "@", "ALIAS", edge, true);
        is(entry("dnsmadeeasy", "example.com", "ALIAS", edge), "", "ANAME", "edge.saas.example.", true);
        is(entry("godaddy", "example.com", "ALIAS", edge), "@", "ALIAS", edge, true);
        is(entry("nobody", "example.com", "ALIAS", edge), "@", "ALIAS", edge, true);
        is(entry("cloudflare", "shop.example.com", "ALIAS", edge), "shop", "CNAME", edge, false);
    }
}
