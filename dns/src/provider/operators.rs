//! [`Operator`]: who runs a zone, told by the names of its servers, and how its form wants a record.
//!
//! Data, not code: `data/operators.json`. A name server's name is a hint and no more; whoever acts on it asks the
//! provider.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::{catalogue::catalogue, facts::Facts};
use crate::OwnerName;

/// Instead of a type: the top of a zone leads to addresses alone.
const NO_ALIAS: &str = "none";
const DATA: &str = include_str!("../../data/operators.json");

/// Who runs name servers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// A stable key; that of the adapter where there is one.
    pub key: String,
    /// The name for people.
    pub name: String,
    /// Patterns of its servers' names; `*` stands for anything.
    pub name_servers: Vec<String>,
    /// Whether it is known to take Domain Connect templates; the zone itself says so when it is asked.
    #[serde(default)]
    pub domain_connect: bool,
    /// How its form names a record.
    pub host: HostForm,
    /// What its form wants for the top of the zone.
    pub apex: String,
    /// The way to the form, in its own words.
    #[serde(rename = "where")]
    pub place: String,
    /// The type by which its form leads the top of a zone to a name outside, or [`NO_ALIAS`].
    #[serde(default)]
    alias: Option<String>,
    /// Whether its form wants names in values with a final dot.
    #[serde(default)]
    pub dotted: bool,
    /// What else its customers should know, sentence by sentence.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// How a form names a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostForm {
    /// The whole name.
    Full,
    /// What stands before the zone's name.
    Relative,
}

impl Operator {
    /// The adapter that writes there, if there is one.
    pub fn facts(&self) -> Option<&'static Facts> {
        catalogue().find(|facts| facts.key == self.key)
    }

    /// The type by which the top of a zone can be led to a name outside: `ALIAS`, `ANAME`, or `CNAME` where one is
    /// flattened.
    pub fn alias(&self) -> Option<&str> {
        let by_interface = || self.facts().filter(|facts| facts.flattens_apex).map(|_| "CNAME");
        self.alias.as_deref().filter(|alias| *alias != NO_ALIAS).or_else(by_interface)
    }

    /// Whether the top of a zone can be led to a name outside; `None` when we do not know.
    pub fn flattens(&self) -> Option<bool> {
        match (self.alias(), &self.alias) {
            (Some(_), _) => Some(true),
            (None, Some(_)) => Some(false),
            (None, None) => None,
        }
    }

    /// A name in a record's value as the form wants it.
    pub fn target_in_form(&self, target: &str) -> String {
        let bare = target.trim_end_matches('.');
        if self.dotted { format!("{bare}.") } else { bare.to_owned() }
    }

    /// The name of a record as the form wants it.
    pub fn host_in_form(&self, record: &OwnerName, zone: &OwnerName) -> String {
        let (record, zone) = (record.to_string(), zone.to_string());
        match (record.strip_suffix(&zone), self.host) {
            (Some(""), _) => self.apex.clone(),
            (Some(rest), HostForm::Relative) => rest.trim_end_matches('.').to_owned(),
            (Some(_), HostForm::Full) | (None, _) => record,
        }
    }

    fn runs(&self, server: &str) -> bool {
        self.name_servers.iter().any(|pattern| matches(pattern, server))
    }
}

/// All that are known.
pub fn operators() -> &'static [Operator] {
    static ALL: OnceLock<Vec<Operator>> = OnceLock::new();
    // A test reads the file; an empty list would be a build without data, not a state of the world.
    ALL.get_or_init(|| serde_json::from_str(DATA).unwrap_or_default())
}

/// Who runs these servers: whoever runs most of them.
pub fn operator_of<'a>(servers: impl IntoIterator<Item = &'a OwnerName>) -> Option<&'static Operator> {
    let servers: Vec<String> = servers.into_iter().map(ToString::to_string).collect();
    let runs = |operator: &&Operator| servers.iter().filter(|server| operator.runs(server)).count();
    let best = operators().iter().map(|operator| (runs(&operator), operator)).rev().max_by_key(|(count, _)| *count);
    best.filter(|(count, _)| *count > 0).map(|(_, operator)| operator)
}

/// Whether the text fits the pattern: its parts stand in it in this order, the first and last at the ends.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str) -> OwnerName {
        name.parse().unwrap()
    }

    #[test]
    fn the_data_reads_and_knows_every_adapter() {
        assert_eq!(operators(), serde_json::from_str::<Vec<Operator>>(DATA).unwrap());
        for facts in catalogue().filter(|facts| facts.key != "rfc2136") {
            let known = operators().iter().find(|operator| operator.key == facts.key);
            assert_eq!(known.map(|operator| operator.name.as_str()), Some(facts.name), "{}", facts.key);
        }
        let mut keys: Vec<_> = operators().iter().map(|operator| &operator.key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), operators().len());
    }

    #[test]
    fn operators_are_known_by_their_servers() {
        const CASES: &[(&[&str], Option<&str>)] = &[
            (&["ada.ns.cloudflare.com", "BOB.ns.cloudflare.com."], Some("cloudflare")),
            (&["ns-1536.awsdns-00.co.uk", "ns-0.awsdns-00.com"], Some("route53")),
            (&["ns-cloud-a1.googledomains.com"], Some("gcpdns")),
            (&["ns1-04.azure-dns.com", "ns2-04.azure-dns.net"], Some("azuredns")),
            (&["ns01.domaincontrol.com"], Some("godaddy")),
            (&["ns1.desec.io", "ns2.desec.org"], Some("desec")),
            (&["hydrogen.ns.hetzner.com", "oxygen.ns.hetzner.com", "helium.ns.hetzner.de"], Some("hetzner")),
            (&["dns1.registrar-servers.com"], Some("namecheap")),
            (&["ns1.squarespacedns.com"], Some("squarespace")),
            (&["ns1.example.com", "ns-7.awsdns-1.org"], Some("route53")),
            (&["ns1.example.com"], None),
            (&["evil-ns.cloudflare.com.example.net"], None),
            (&[], None),
        ];
        for (servers, key) in CASES {
            let servers: Vec<_> = servers.iter().map(|name| owner(name)).collect();
            assert_eq!(operator_of(&servers).map(|operator| operator.key.as_str()), *key, "{servers:?}");
        }
    }

    #[test]
    fn records_are_named_as_each_form_wants_them() {
        let form = |key: &str, record: &str| {
            let operator = operators().iter().find(|operator| operator.key == key).unwrap();
            operator.host_in_form(&owner(record), &owner("example.com"))
        };
        assert_eq!(form("godaddy", "shop.example.com"), "shop");
        assert_eq!(form("godaddy", "example.com"), "@");
        assert_eq!(form("ovh", "example.com"), "");
        assert_eq!(form("netlify", "shop.example.com"), "shop.example.com");
        assert_eq!(form("godaddy", "_c.a.example.com"), "_c.a");
    }
}
