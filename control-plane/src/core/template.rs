//! The record template of an application: which records its connections need.

use serde::{Deserialize, Serialize};

use super::{DesiredRecord, EdgeTarget, Kind, name_rules::Claimable};

/// One record of a template. `host` and `value` may hold `{hostname}`, `{apex}`, `{edge_target}`; a value of
/// `{edge_ipv4}` or `{edge_ipv6}` becomes one record an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateRecord {
    /// Only for names of this kind; both when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "subdomain")]
    pub kind: Option<Kind>,
    /// Owner name.
    #[schema(example = "{hostname}")]
    pub host: String,
    /// Record type.
    #[serde(rename = "type")]
    #[schema(example = "CNAME")]
    pub record_type: String,
    /// Record value.
    #[schema(example = "{edge_target}")]
    pub value: String,
    /// In seconds.
    #[serde(default = "default_ttl")]
    pub ttl: i64,
    /// For MX and SRV.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
}

/// Short, because it is the first thing that a customer waits for.
pub(crate) const DEFAULT_TTL: i64 = 300;

fn default_ttl() -> i64 {
    DEFAULT_TTL
}

/// The records of a name. An empty template is the built-in one: a CNAME where one may stand, else addresses, else
/// the provider's own flattening.
pub(crate) fn expand(template: &[TemplateRecord], name: &Claimable, edge: &EdgeTarget) -> Vec<DesiredRecord> {
    let built_in = built_in(edge);
    let template = if template.is_empty() { &built_in } else { template };
    let fits = template.iter().filter(|record| record.kind.is_none_or(|kind| kind == name.kind));
    fits.flat_map(|record| expand_one(record, name, edge)).collect()
}

fn expand_one(record: &TemplateRecord, name: &Claimable, edge: &EdgeTarget) -> Vec<DesiredRecord> {
    let fill = |text: &str| {
        text.replace("{hostname}", name.hostname.as_str())
            .replace("{apex}", &name.apex)
            .replace("{edge_target}", &edge.cname)
    };
    let with = |value: String| DesiredRecord {
        host: fill(&record.host),
        record_type: record.record_type.to_ascii_uppercase(),
        value,
        ttl: record.ttl,
        priority: record.priority,
    };
    match record.value.as_str() {
        "{edge_ipv4}" => edge.ipv4.iter().map(|ip| with(ip.to_string())).collect(),
        "{edge_ipv6}" => edge.ipv6.iter().map(|ip| with(ip.to_string())).collect(),
        value => vec![with(fill(value))],
    }
}

fn built_in(edge: &EdgeTarget) -> Vec<TemplateRecord> {
    let record = |kind, record_type: &str, value: &str| TemplateRecord {
        kind: Some(kind),
        host: "{hostname}".to_owned(),
        record_type: record_type.to_owned(),
        value: value.to_owned(),
        ttl: DEFAULT_TTL,
        priority: None,
    };
    let has_addresses = !edge.ipv4.is_empty() || !edge.ipv6.is_empty();
    let mut records = match edge.cname.is_empty() {
        false => vec![record(Kind::Subdomain, "CNAME", "{edge_target}")],
        true => vec![record(Kind::Subdomain, "A", "{edge_ipv4}"), record(Kind::Subdomain, "AAAA", "{edge_ipv6}")],
    };
    match has_addresses {
        true => records.extend([record(Kind::Apex, "A", "{edge_ipv4}"), record(Kind::Apex, "AAAA", "{edge_ipv6}")]),
        false => records.push(record(Kind::Apex, "ALIAS", "{edge_target}")),
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{CoreSettings, name_rules::claimable};

    #[test]
    fn an_apex_gets_addresses_and_a_subdomain_a_cname() {
        let edge = EdgeTarget {
            cname: "edge.example".to_owned(),
            ipv4: vec!["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()],
            ipv6: Vec::new(),
        };
        let records = |text: &str| {
            let name = claimable(text, &CoreSettings::default()).unwrap();
            let show = |record: DesiredRecord| format!("{} {} {}", record.host, record.record_type, record.value);
            expand(&[], &name, &edge).into_iter().map(show).collect::<Vec<_>>()
        };
        assert_eq!(records("app.customer.com"), ["app.customer.com CNAME edge.example"]);
        assert_eq!(records("customer.com"), ["customer.com A 192.0.2.1", "customer.com A 192.0.2.2"]);
    }
}
