//! [`template`]: what a provider is asked to know before it can write our records, and [`Wish`]: whether a name's records
//! are those of the template.
//!
//! Two templates, because a CNAME cannot stand at the top of a zone: one for names below it, one for the top itself.
//! Whatever can be fixed is fixed, so that an address can lead a customer nowhere else; the rest is signed.

use std::net::IpAddr;

use serde_json::{Map, Value, json};
use url::Url;

use crate::{
    OwnerName,
    check::{DesiredRecord, EdgeTargets, RecordValue},
};

/// In seconds; some providers take nothing below it.
const TTL: u32 = 600;
/// To be raised with each change of what the templates write.
const VERSION: u32 = 1;

/// A template by its ids, as providers know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Whose, usually a domain.
    pub provider_id: String,
    /// Which of theirs.
    pub service_id: String,
}

impl Service {
    /// Its address below a prefix.
    pub(super) fn within(&self, prefix: &Url) -> Option<Url> {
        let mut url = prefix.clone();
        let path = ["v2", "domainTemplates", "providers", &self.provider_id, "services", &self.service_id];
        url.path_segments_mut().ok()?.pop_if_empty().extend(path);
        Some(url)
    }
}

/// What templates say besides their records.
#[derive(Debug, Clone)]
pub struct TemplateText<'a> {
    /// The operator's name for people.
    pub provider_name: &'a str,
    /// The service's name for people.
    pub service_name: &'a str,
    /// A picture of it.
    pub logo_url: Option<&'a str>,
    /// The domain that holds the public key.
    pub key_domain: &'a str,
    /// The host that browsers come back to.
    pub redirect_domain: &'a str,
    /// The label of the challenge.
    pub challenge_label: &'a str,
    /// What the challenge begins with.
    pub challenge_prefix: &'a str,
}

/// The template for names below the top of a zone (`None` for `addresses`), or for the top itself.
pub fn template(service: &Service, text: &TemplateText<'_>, addresses: Option<&[IpAddr]>) -> Value {
    let mut all = Map::new();
    let mut set = |key: &str, value: Value| drop(all.insert(key.to_owned(), value));
    set("providerId", json!(service.provider_id));
    set("providerName", json!(text.provider_name));
    set("serviceId", json!(service.service_id));
    set("serviceName", json!(text.service_name));
    set("version", json!(VERSION));
    if let Some(logo) = text.logo_url {
        set("logoUrl", json!(logo));
    }
    set("description", json!("Leads a hostname to the service and shows whose it is"));
    let mut variables = vec!["token: the changing part of the value that shows whose the hostname is"];
    if addresses.is_none_or(<[IpAddr]>::is_empty) {
        variables.insert(0, "target: the name that the hostname leads to");
    }
    set("variableDescription", json!(variables.join("; ")));
    set("syncBlock", json!(false));
    set("syncPubKeyDomain", json!(text.key_domain));
    set("syncRedirectDomain", json!(text.redirect_domain));
    set("hostRequired", json!(addresses.is_none()));
    let mut records = match addresses {
        None => vec![json!({"type": "CNAME", "host": "@", "pointsTo": "%target%", "ttl": TTL})],
        // An extension that not every provider has; without addresses there is no other way.
        Some([]) => vec![json!({"type": "APEXCNAME", "pointsTo": "%target%", "ttl": TTL})],
        Some(addresses) => addresses.iter().map(address).collect(),
    };
    records.push(json!({
        "type": "TXT", "host": text.challenge_label, "data": format!("{}%token%", text.challenge_prefix), "ttl": TTL,
        "txtConflictMatchingMode": "Prefix", "txtConflictMatchingPrefix": text.challenge_prefix,
        // Once it was seen, nothing hangs on it.
        "essential": "OnApply",
    }));
    set("records", Value::Array(records));
    Value::Object(all)
}

fn address(address: &IpAddr) -> Value {
    let kind = if address.is_ipv4() { "A" } else { "AAAA" };
    json!({"type": kind, "host": "@", "pointsTo": address.to_string(), "ttl": TTL})
}

/// A name whose records a template writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// What stands before the zone's name; empty for the zone itself, which has the other template.
    pub host: String,
    /// The values of the template's variables, but for the challenge's `token`.
    pub variables: Vec<(&'static str, String)>,
}

impl Wish {
    /// `None` when the name's records are not those that the template writes: more, fewer or others.
    pub fn of(name: &OwnerName, zone: &OwnerName, desired: &[DesiredRecord], edge: &EdgeTargets) -> Option<Self> {
        if !zone.holds(name) || desired.iter().any(|record| record.host != *name) {
            return None;
        }
        let (whole, zone) = (name.to_string(), zone.to_string());
        let host = whole.strip_suffix(&zone)?.trim_end_matches('.').to_owned();
        let mut variables = Vec::new();
        match desired {
            // The top of a zone leads by addresses where there are some, whatever its provider can flatten.
            [DesiredRecord { value: RecordValue::Cname(target), .. }]
                if !host.is_empty() || edge.addresses.is_empty() =>
            {
                variables.push(("target", target.to_string()));
            }
            _ if host.is_empty() && is_addresses(desired, &edge.addresses) => {}
            _ => return None,
        }
        Some(Self { host, variables })
    }
}

fn is_addresses(desired: &[DesiredRecord], edge: &[IpAddr]) -> bool {
    let mut wanted: Vec<_> = desired.iter().filter_map(|record| address_of(&record.value)).collect();
    let mut ours = edge.to_vec();
    wanted.sort_unstable();
    ours.sort_unstable();
    !ours.is_empty() && desired.len() == wanted.len() && wanted == ours
}

fn address_of(value: &RecordValue) -> Option<IpAddr> {
    match value {
        RecordValue::A(ip) => Some((*ip).into()),
        RecordValue::Aaaa(ip) => Some((*ip).into()),
        RecordValue::Cname(_) | RecordValue::Txt(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::RecordKind;

    fn wish(name: &str, zone: &str, desired: &[(&str, RecordKind, &str)], addresses: &[&str]) -> Option<Wish> {
        let desired: Vec<_> = desired
            .iter()
            .map(|(host, kind, value)| DesiredRecord {
                host: host.parse().unwrap(),
                value: RecordValue::parse(*kind, value).unwrap(),
                ttl: 300,
            })
            .collect();
        let edge = EdgeTargets {
            name: "edge.saas.example".parse().unwrap(),
            addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
        };
        Wish::of(&name.parse().unwrap(), &zone.parse().unwrap(), &desired, &edge)
    }

    #[test]
    fn a_name_is_offered_when_the_template_writes_exactly_its_records() {
        const SHOP: &str = "shop.customer.com";
        const TOP: &str = "customer.com";
        let cname = |name| (name, RecordKind::Cname, "edge.saas.example");
        let a = |name, ip| (name, RecordKind::A, ip);
        let shop = wish(SHOP, TOP, &[cname(SHOP)], &["192.0.2.1"]).unwrap();
        assert_eq!(shop.host, "shop");
        assert_eq!(shop.variables, [("target", "edge.saas.example".to_owned())]);
        let top = wish(TOP, TOP, &[a(TOP, "192.0.2.2"), a(TOP, "192.0.2.1")], &["192.0.2.1", "192.0.2.2"]).unwrap();
        assert_eq!((top.host.as_str(), top.variables.len()), ("", 0));
        assert_eq!(wish(TOP, TOP, &[cname(TOP)], &[]).unwrap().variables.len(), 1);
        assert_eq!(wish(TOP, TOP, &[cname(TOP)], &["192.0.2.1"]), None, "the template would write addresses");
        assert_eq!(wish(TOP, TOP, &[a(TOP, "192.0.2.9")], &["192.0.2.1"]), None);
        assert_eq!(wish(TOP, TOP, &[a(TOP, "192.0.2.1")], &["192.0.2.1", "192.0.2.2"]), None);
        assert_eq!(wish(SHOP, TOP, &[a(SHOP, "192.0.2.1")], &["192.0.2.1"]), None);
        let mail = ("customer.com", RecordKind::Txt, "v=spf1 -all");
        assert_eq!(wish(SHOP, TOP, &[cname(SHOP), mail], &[]), None, "one more than the template writes");
        assert_eq!(wish(SHOP, "other.com", &[cname(SHOP)], &[]), None);
    }
}
