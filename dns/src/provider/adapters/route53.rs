//! Amazon Route 53, API 2013-04-01.
//!
//! Source: the Route 53 API reference and `go-acme/lego` of 2026.
//!
//! - XML over SigV4, region `us-east-1` unless the credential names one.
//! - The customer gives the hosted zone's id; without one the zone is looked for by name, which needs a further right
//!   (`route53:ListHostedZonesByName`). Private zones are passed over: nobody outside sees them.
//! - One change batch happens as a whole or not at all. Old sets are named in full (`DELETE` with TTL and values), so that
//!   a batch fails when somebody else changed a set meanwhile.
//! - Names end with a dot and have other characters as octal escapes (`\052` is `*`); TXT values are quoted strings.
//! - Sets with a routing policy (`SetIdentifier`) and alias sets are shown under types of their own and never changed.
//! - At most 300 sets a page. 5 requests a second for an account: 400 with the code `Throttling`; a change to a zone
//!   that has one under way: `PriorRequestNotComplete`. Neither has happened.

use std::{fmt::Write as _, sync::Arc};

use async_trait::async_trait;
use quick_xml::{de, escape::escape};
use serde::{Deserialize, de::DeserializeOwned};

use crate::provider::{
    adapter::{Adapter, SetChange, Sets, Writes},
    api::{Api, Call},
    aws::Signing,
    error::{Problem, ProviderError},
    facts::Facts,
    http::Http,
    record::{Stored, Zone, bare},
    reply::Reply,
    secret::Secret,
    zonefile,
};

pub(in crate::provider) static FACTS: Facts = Facts {
    key: "route53",
    name: "Amazon Route 53",
    credential: "accessKeyId:secretAccessKey or accessKeyId:secretAccessKey:region",
    setup: "An IAM user with route53:ChangeResourceRecordSets, route53:ListResourceRecordSets and route53:GetHostedZone on \
            the hosted zone; the connection's zone is the hosted zone's id",
    gate: None,
    caveat: None,
    min_ttl: 1,
    flattens_apex: false,
};

const API: &str = "https://route53.amazonaws.com/2013-04-01";
const PER_PAGE: usize = 300;
const SPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

#[derive(Debug)]
struct Route53 {
    api: Api,
    zone_id: Option<String>,
}

pub(in crate::provider) fn connect(
    http: &Http,
    secret: &Secret,
    zone_id: Option<&str>,
) -> Result<Arc<dyn Adapter>, Problem> {
    let (key_id, secret, region) = match (secret.split::<3>(), secret.split::<2>()) {
        (Some([id, key, region]), _) => (id, key, region.reveal().to_owned()),
        (None, Some([id, key])) => (id, key, "us-east-1".to_owned()),
        (None, None) => return Err(Problem::BadCredential(FACTS.credential)),
    };
    let api = Api::new(http, &FACTS, API, dialect).hide(&secret).hide(&key_id);
    let signing = Signing { key_id, secret, region, service: "route53", clock: Arc::clone(&http.clock) };
    let api = api.signed(Box::new(move |method, url, body, headers| signing.sign(method, url, body, headers)));
    Ok(Arc::new(Route53 { api, zone_id: zone_id.map(|id| id.trim_start_matches("/hostedzone/").to_owned()) }))
}

fn dialect(reply: &Reply) -> Option<Problem> {
    if reply.status.is_success() {
        return None;
    }
    let text = reply.text();
    // A page of a proxy may hold such words as well; codes stand in elements of their own.
    let code = |code: &str| text.contains(&format!("<Code>{code}</Code>"));
    let any = |codes: &[&str]| codes.iter().any(|wanted| code(wanted));
    if any(&["Throttling", "ThrottlingException", "PriorRequestNotComplete"]) {
        return Some(Problem::RateLimited { retry_after: None });
    }
    if any(&["InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken", "MissingAuthenticationToken"]) {
        return Some(Problem::Auth);
    }
    // Somebody else changed a set between our look and our write.
    let lost = text.contains("but it was not found") || text.contains("values provided do not match");
    let taken = text.contains("conflicts with") || text.contains("already exists");
    match (text.contains("<InvalidChangeBatch"), lost, taken) {
        (true, true, _) => Some(Problem::Transient("the records changed meanwhile")),
        (true, false, true) => Some(Problem::Conflict),
        _ => None,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OneZone {
    hosted_zone: WireZone,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ZonesByName {
    hosted_zones: WireZones,
}

#[derive(Deserialize)]
struct WireZones {
    #[serde(rename = "HostedZone", default)]
    all: Vec<WireZone>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireZone {
    id: String,
    name: String,
    config: Option<ZoneConfig>,
}

#[derive(Deserialize)]
struct ZoneConfig {
    #[serde(rename = "PrivateZone", default)]
    private: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SetPage {
    resource_record_sets: WireSets,
    is_truncated: bool,
    next_record_name: Option<String>,
    next_record_type: Option<String>,
    next_record_identifier: Option<String>,
}

#[derive(Deserialize)]
struct WireSets {
    #[serde(rename = "ResourceRecordSet", default)]
    all: Vec<WireSet>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireSet {
    name: String,
    r#type: String,
    #[serde(rename = "TTL", default)]
    ttl: u32,
    set_identifier: Option<String>,
    alias_target: Option<Alias>,
    resource_records: Option<WireRecords>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Alias {
    #[serde(rename = "DNSName")]
    name: String,
}

#[derive(Deserialize)]
struct WireRecords {
    #[serde(rename = "ResourceRecord", default)]
    all: Vec<WireRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireRecord {
    value: String,
}

impl Route53 {
    async fn xml<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, ProviderError> {
        let reply = call.send().await?;
        let parsed = de::from_str(&reply.text());
        parsed.map_err(|_| self.api.error(Problem::Transient("an answer that is not of the documented form")))
    }

    /// The zone whose id the customer gave, if it has this name.
    async fn given(&self, id: &str, name: &str) -> Result<Option<Zone>, ProviderError> {
        let found: OneZone = self.xml(self.api.get(&["hostedzone", id])).await?;
        Ok(public(&found.hosted_zone, name))
    }
}

fn public(zone: &WireZone, name: &str) -> Option<Zone> {
    let private = zone.config.as_ref().is_some_and(|config| config.private);
    let id = zone.id.trim_start_matches("/hostedzone/");
    (!private && bare(&zone.name) == name).then(|| Zone::new(&FACTS, id, name))
}

impl WireSet {
    /// Its records; sets that are more than their values get a type that is never written.
    fn stored(&self, zone: &Zone) -> Vec<Stored> {
        let name = zone.absolute(&unescape(&self.name));
        let kind = match (&self.alias_target, &self.set_identifier) {
            (Some(_), _) => "ALIAS",
            (None, Some(_)) => "POLICY",
            (None, None) => self.r#type.as_str(),
        };
        let values = self.resource_records.iter().flat_map(|records| &records.all).map(|record| &record.value);
        let values: Vec<_> = values.chain(self.alias_target.iter().map(|alias| &alias.name)).cloned().collect();
        let mut all = zonefile::stored(zone, "@", kind, self.ttl, &values);
        all.iter_mut().for_each(|record| record.name.clone_from(&name));
        all
    }
}

/// `\052.example.com.` is `*.example.com.`.
fn unescape(name: &str) -> String {
    let mut parts = name.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (code, part.get(3..)) {
            (Some(code), Some(rest)) => {
                out.push(char::from(code));
                out.push_str(rest);
            }
            _ => out.push_str(part),
        }
    }
    out
}

fn change_xml(out: &mut String, action: &str, set: &SetChange<'_>, ttl: u32, values: &[String]) {
    let _ = write!(
        out,
        "<Change><Action>{action}</Action><ResourceRecordSet><Name>{}.</Name><Type>{}</Type><TTL>{ttl}</TTL>\
         <ResourceRecords>",
        escape(set.name),
        set.kind.as_str()
    );
    for value in values {
        let _ = write!(out, "<ResourceRecord><Value>{}</Value></ResourceRecord>", escape(value.as_str()));
    }
    out.push_str("</ResourceRecords></ResourceRecordSet></Change>");
}

fn batch(changes: &[SetChange<'_>]) -> String {
    let mut out = format!("<ChangeResourceRecordSetsRequest xmlns=\"{SPACE}\"><ChangeBatch><Changes>");
    for set in changes.iter().filter(|set| !set.before.is_empty()) {
        let before: Vec<_> = set.before.iter().map(|old| old.wire.as_str().unwrap_or(&old.data).to_owned()).collect();
        change_xml(&mut out, "DELETE", set, set.before.first().map_or(0, |old| old.ttl), &before);
    }
    for set in changes.iter().filter(|set| !set.after.is_empty()) {
        change_xml(&mut out, "CREATE", set, set.ttl.max(FACTS.min_ttl), &zonefile::values(&set.after));
    }
    out.push_str("</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>");
    out
}

#[async_trait]
impl Adapter for Route53 {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError> {
        if let Some(id) = &self.zone_id {
            return self.given(id, name).await;
        }
        let call = self.api.get(&["hostedzonesbyname"]).query("dnsname", format!("{name}.")).query("maxitems", 100);
        let found: ZonesByName = self.xml(call).await?;
        Ok(found.hosted_zones.all.iter().find_map(|zone| public(zone, name)))
    }

    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        let (mut all, mut pages) = (Vec::new(), self.api.pages());
        let mut from: Option<(String, String, Option<String>)> = None;
        loop {
            let mut call = self.api.get(&["hostedzone", &zone.id, "rrset"]).query("maxitems", PER_PAGE);
            if let Some((name, kind, identifier)) = &from {
                call = call.query("name", name).query("type", kind);
                call = identifier.iter().fold(call, |call, identifier| call.query("identifier", identifier));
            }
            let page: SetPage = self.xml(call).await?;
            all.extend(page.resource_record_sets.all.iter().flat_map(|set| set.stored(zone)));
            match (page.is_truncated, page.next_record_name, page.next_record_type) {
                (true, Some(name), Some(kind)) => from = Some((name, kind, page.next_record_identifier)),
                _ => return Ok(all),
            }
            pages.turn(all.len())?;
        }
    }

    fn writes(&self) -> Writes<'_> {
        Writes::Sets(self)
    }
}

#[async_trait]
impl Sets for Route53 {
    fn atomic(&self) -> bool {
        true
    }

    async fn write(&self, zone: &Zone, changes: &[SetChange<'_>]) -> Result<(), ProviderError> {
        self.api.post(&["hostedzone", &zone.id, "rrset"]).body("application/xml", batch(changes)).done().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_are_read() {
        assert_eq!(unescape("\\052.example.com."), "*.example.com.");
        assert_eq!(unescape("a\\040b.example.com."), "a b.example.com.");
        assert_eq!(unescape("plain.example.com."), "plain.example.com.");
        assert_eq!(unescape("odd\\9"), "odd9");
    }
}
