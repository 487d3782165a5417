//! Namecheap, XML API.
//!
//! Source: `namecheap.com/support/api`, `go-acme/lego` and `StackExchange/dnscontrol` of 2026.
//!
//! - A zone is read by `getHosts` and written as a whole by `setHosts`: every record that is not sent is gone. All come
//!   back with the values they came with, and `EmailType` with them, without which mail forwarding is reset.
//! - SRV records are not shown by the interface and cannot be sent: writing a zone that has some loses them. Nothing in
//!   the answers tells whether there are any, so the customer is told before.
//! - Host names are relative, `@` is the top; texts are plain; targets come back with the final dot. TTL from 60 s; 1,799
//!   means automatic.
//! - The zone is asked for in two parts: the public suffix, and what stands before it.
//! - Credentials are parameters, with our own address, which must be on the account's list.
//! - Errors come with 200 and a number. Too many requests: 405, or the number 500000. 50 a minute, 700 an hour.

use std::sync::Arc;

use async_trait::async_trait;
use quick_xml::de;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::provider::{
    adapter::{Adapter, Value, Whole, Writes},
    api::Api,
    error::{Problem, ProviderError},
    facts::Facts,
    http::Http,
    record::{Stored, Zone, canonical},
    reply::Reply,
    rest::{seconds, text},
    secret::Secret,
};

pub(in crate::provider) static FACTS: Facts = Facts {
    key: "namecheap",
    name: "Namecheap",
    credential: "apiUser:apiKey:clientIp",
    setup: "Profile > Tools > API Access > on; add this server's public address to Whitelisted IPs",
    gate: Some(GATE),
    caveat: Some(
        "Namecheap's interface does not show SRV records and cannot keep them: a domain that has some must be changed by \
         hand.",
    ),
    min_ttl: 60,
    flattens_apex: false,
};

const GATE: &str = "Namecheap opens its interface to accounts with 20 domains, or a balance or spending of $50.";
const API: &str = "https://api.namecheap.com";

#[derive(Debug)]
struct Namecheap {
    api: Api,
    user: Secret,
    key: Secret,
    ip: String,
}

pub(in crate::provider) fn connect(http: &Http, secret: &Secret, _: Option<&str>) -> Result<Arc<dyn Adapter>, Problem> {
    let [user, key, ip] = secret.split().ok_or(Problem::BadCredential(FACTS.credential))?;
    let api = Api::new(http, &FACTS, API, dialect).hide(&key);
    Ok(Arc::new(Namecheap { api, user, key, ip: ip.reveal().to_owned() }))
}

fn dialect(reply: &Reply) -> Option<Problem> {
    if reply.status.as_u16() == 405 {
        return Some(Problem::RateLimited { retry_after: None });
    }
    let answer: Answer = de::from_str(&reply.text()).ok()?;
    if answer.status != "ERROR" {
        return None;
    }
    let number = answer.errors.and_then(|errors| errors.all.into_iter().next()).map(|error| error.number);
    Some(match number.as_deref().unwrap_or_default() {
        "500000" => Problem::RateLimited { retry_after: None },
        "1010101" | "1010102" | "1011102" | "1017101" | "1017411" | "1019103" | "1050900" => Problem::Auth,
        "1010105" | "1011105" | "1011150" | "1017105" | "1017150" => {
            Problem::NotEligible("this server's address is not among the account's whitelisted addresses")
        }
        "1016103" | "1017103" | "2030166" => Problem::Forbidden,
        "2019166" | "2016166" => Problem::ZoneNotFound,
        "2030288" => Problem::NotEligible("the domain does not use Namecheap's own name servers (BasicDNS)"),
        _ => Problem::Invalid,
    })
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "@Status")]
    status: String,
    #[serde(rename = "Errors")]
    errors: Option<Errors>,
    #[serde(rename = "CommandResponse")]
    response: Option<Response>,
}

#[derive(Deserialize)]
struct Errors {
    #[serde(rename = "Error", default)]
    all: Vec<WireError>,
}

#[derive(Deserialize)]
struct WireError {
    #[serde(rename = "@Number")]
    number: String,
}

#[derive(Deserialize)]
struct Response {
    #[serde(rename = "DomainDNSGetHostsResult")]
    hosts: Option<Hosts>,
    #[serde(rename = "DomainDNSSetHostsResult")]
    set: Option<Set>,
}

#[derive(Deserialize)]
struct Hosts {
    #[serde(rename = "@EmailType")]
    email_type: Option<String>,
    #[serde(rename = "host", default)]
    all: Vec<Host>,
}

#[derive(Deserialize)]
struct Set {
    #[serde(rename = "@IsSuccess")]
    success: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all(deserialize = "PascalCase"))]
struct Host {
    #[serde(rename(deserialize = "@Name"))]
    name: String,
    #[serde(rename(deserialize = "@Type"))]
    kind: String,
    #[serde(rename(deserialize = "@Address"))]
    address: String,
    #[serde(rename(deserialize = "@MXPref"), default)]
    mx_pref: String,
    #[serde(rename(deserialize = "@TTL"), default)]
    ttl: String,
}

/// The zone's name before its public suffix, and that suffix.
fn split(name: &str) -> Option<(String, String)> {
    let host = names::Hostname::parse(name).ok()?;
    let registrable = names::registrable(&host)?;
    let (sld, tld) = registrable.split_once('.')?;
    (registrable == name).then(|| (sld.to_owned(), tld.to_owned()))
}

fn stored(zone: &Zone, host: &Host, email_type: &str) -> Stored {
    let kind = host.kind.to_ascii_uppercase();
    let mut wire = serde_json::to_value(host).unwrap_or(Json::Null);
    if let Some(fields) = wire.as_object_mut() {
        fields.insert("email_type".into(), email_type.into());
    }
    let (name, data, ttl) = (zone.below(&host.name), canonical(&kind, &host.address), seconds(&wire, "ttl"));
    Stored { name, kind, data, ttl, id: String::new(), ours: false, wire }
}

impl Namecheap {
    fn form(&self, command: &str, (sld, tld): &(String, String)) -> Vec<(String, String)> {
        let (user, key) = (self.user.reveal(), self.key.reveal());
        let all = [
            ("ApiUser", user),
            ("ApiKey", key),
            ("UserName", user),
            ("ClientIp", &self.ip),
            ("Command", command),
            ("SLD", sld),
            ("TLD", tld),
        ];
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// A command in the body of a POST: nothing of it stands in an address.
    async fn hosts(&self, zone: &(String, String)) -> Result<Hosts, ProviderError> {
        let form = self.form("namecheap.domains.dns.getHosts", zone);
        let reply = self.api.post(&["xml.response"]).form(&form).reads().send().await?;
        let answer: Option<Answer> = de::from_str(&reply.text()).ok();
        let hosts = answer.and_then(|answer| answer.response).and_then(|response| response.hosts);
        hosts.ok_or_else(|| self.api.error(Problem::Transient("an answer that is not of the documented form")))
    }

    fn parts(&self, zone: &Zone) -> Result<(String, String), ProviderError> {
        split(&zone.name).ok_or_else(|| self.api.error(Problem::ZoneNotFound))
    }

    /// How mail is handled, which a write must repeat.
    async fn email_type(&self, zone: &(String, String), all: &[Value<'_>]) -> Result<String, ProviderError> {
        let kept = all.iter().find_map(|value| match value {
            Value::Kept(stored) => Some(text(&stored.wire, "email_type")),
            Value::New(_) => None,
        });
        match kept {
            Some(kept) => Ok(kept),
            None => Ok(self.hosts(zone).await?.email_type.unwrap_or_default()),
        }
    }
}

/// The five parameters of a record.
fn fields(zone: &Zone, value: &Value<'_>) -> [String; 5] {
    match value {
        Value::Kept(stored) => ["name", "kind", "address", "mx_pref", "ttl"].map(|field| text(&stored.wire, field)),
        Value::New(new) => {
            let name = zone.relative(&new.name, "@").to_owned();
            [name, new.kind.as_str().into(), new.dotted().into_owned(), "10".into(), new.ttl.to_string()]
        }
    }
}

#[async_trait]
impl Adapter for Namecheap {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError> {
        let Some(parts) = split(name) else { return Ok(None) };
        match self.hosts(&parts).await {
            Ok(_) => Ok(Some(Zone::new(&FACTS, name, name))),
            Err(error) if error.problem == Problem::ZoneNotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        let hosts = self.hosts(&self.parts(zone)?).await?;
        let email_type = hosts.email_type.unwrap_or_default();
        Ok(hosts.all.iter().map(|host| stored(zone, host, &email_type)).collect())
    }

    fn writes(&self) -> Writes<'_> {
        Writes::Whole(self)
    }
}

#[async_trait]
impl Whole for Namecheap {
    async fn write(&self, zone: &Zone, all: &[Value<'_>]) -> Result<(), ProviderError> {
        let parts = self.parts(zone)?;
        let mut form = self.form("namecheap.domains.dns.setHosts", &parts);
        let email_type = self.email_type(&parts, all).await?;
        if !email_type.is_empty() {
            form.push(("EmailType".into(), email_type));
        }
        for (number, value) in (1..).zip(all) {
            let names = ["HostName", "RecordType", "Address", "MXPref", "TTL"];
            form.extend(names.iter().zip(fields(zone, value)).map(|(name, value)| (format!("{name}{number}"), value)));
        }
        let reply = self.api.post(&["xml.response"]).form(&form).send().await?;
        let answer: Option<Answer> = de::from_str(&reply.text()).ok();
        match answer.and_then(|answer| answer.response).and_then(|response| response.set) {
            Some(set) if set.success == "true" => Ok(()),
            _ => Err(self.api.error(Problem::Transient("the provider did not say that the zone was written"))),
        }
    }
}
