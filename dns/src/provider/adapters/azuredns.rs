//! Azure DNS, API 2018-05-01 of the resource manager.
//!
//! Source: `learn.microsoft.com/rest/api/dns`, the client credentials flow of Entra ID, and `go-acme/lego` of 2026.
//!
//! - The credential is JSON: tenant, client, secret, subscription, resource group. The last part of every address comes
//!   from it, as one path segment each.
//! - Record sets, each type with a field of its own. `@` is the top.
//! - `If-Match` with the set's mark, `If-None-Match: *` for a new one: a set that somebody else changed meanwhile is
//!   refused with 412.
//! - Sets that point at an Azure resource (`targetResource`) are shown under a type of their own and never changed.
//! - Sets have metadata: our mark, on sets that are wholly ours.
//! - TTL from 1 s. 500 reads and 200 writes in five minutes for a zone; 429 with `retry-after`.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::{
    check::RecordKind,
    provider::{
        adapter::{Adapter, SetChange, Sets, Value, Writes},
        api::{Api, Call},
        error::{Problem, ProviderError},
        facts::Facts,
        http::Http,
        record::{Stored, Zone, canonical},
        reply::Reply,
        rest::text,
        secret::Secret,
        token::{Token, Tokens},
    },
};

pub(in crate::provider) static FACTS: Facts = Facts {
    key: "azuredns",
    name: "Azure DNS",
    credential: "JSON with tenant_id, client_id, client_secret, subscription_id, resource_group",
    setup: "Register an app in Entra ID, create a client secret, and give the app the role DNS Zone Contributor on the \
            resource group that holds the zone",
    gate: None,
    caveat: None,
    min_ttl: 1,
    flattens_apex: false,
};

const LOGIN: &str = "https://login.microsoftonline.com";
const API: &str = "https://management.azure.com";
const SCOPE: &str = "https://management.azure.com/.default";
const VERSION: &str = "2018-05-01";
const PER_PAGE: usize = 100;
/// What tells our sets from others.
const MARK: &str = "namegate";

#[derive(Deserialize)]
struct Credential {
    tenant_id: String,
    client_id: String,
    client_secret: String,
    subscription_id: String,
    resource_group: String,
}

#[derive(Debug)]
struct AzureDns {
    api: Api,
    tokens: Tokens,
    subscription: String,
    group: String,
}

pub(in crate::provider) fn connect(http: &Http, secret: &Secret, _: Option<&str>) -> Result<Arc<dyn Adapter>, Problem> {
    let parsed: Result<Credential, _> = serde_json::from_str(secret.reveal());
    let all = parsed.map_err(|_| Problem::BadCredential(FACTS.credential))?;
    let client_secret = Secret::new(&all.client_secret);
    let login = Api::new(http, &FACTS, LOGIN, dialect).hide(&client_secret);
    let api = Api::new(http, &FACTS, API, dialect).hide(&client_secret);
    let tokens = Tokens::client(login, all.tenant_id, all.client_id, client_secret, SCOPE);
    Ok(Arc::new(AzureDns { api, tokens, subscription: all.subscription_id, group: all.resource_group }))
}

fn dialect(reply: &Reply) -> Option<Problem> {
    let error = text(&reply.value(), "error");
    match reply.status.as_u16() {
        412 => Some(Problem::Transient("the records changed meanwhile")),
        // The token's own answers.
        400 if ["invalid_client", "unauthorized_client", "invalid_request"].contains(&error.as_str()) => {
            Some(Problem::Auth)
        }
        _ => None,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    value: Vec<Set>,
    next_link: Option<String>,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    r#type: String,
    #[serde(default)]
    etag: String,
    properties: Json,
}

impl Set {
    fn stored(&self, zone: &Zone) -> Vec<Stored> {
        let own = self.r#type.rsplit('/').next().unwrap_or_default().to_ascii_uppercase();
        let alias = !text(self.properties.get("targetResource").unwrap_or(&Json::Null), "id").is_empty();
        let kind = if alias { "ALIAS".to_owned() } else { own };
        let ours = self.properties.pointer(&format!("/metadata/{MARK}")).is_some();
        let ttl = self.properties.get("TTL").and_then(Json::as_u64).and_then(|ttl| u32::try_from(ttl).ok());
        let one = |(data, wire)| Stored {
            name: zone.below(&self.name),
            kind: kind.clone(),
            data,
            ttl: ttl.unwrap_or(0),
            // What the set must still be when it is changed.
            id: self.etag.clone(),
            ours,
            wire,
        };
        self.values(&kind).into_iter().map(one).collect()
    }

    /// Values with the form that they came in. A type that is never written has one value: all of it.
    fn values(&self, kind: &str) -> Vec<(String, Json)> {
        let list = |field: &str| self.properties.get(field).and_then(Json::as_array).cloned().unwrap_or_default();
        let texts = |wire: &Json| {
            let parts = wire.get("value").and_then(Json::as_array).into_iter().flatten();
            parts.filter_map(Json::as_str).collect::<String>()
        };
        match kind {
            "A" => list("ARecords").into_iter().map(|w| (canonical("A", &text(&w, "ipv4Address")), w)).collect(),
            "AAAA" => {
                list("AAAARecords").into_iter().map(|w| (canonical("AAAA", &text(&w, "ipv6Address")), w)).collect()
            }
            "TXT" => list("TXTRecords").into_iter().map(|w| (texts(&w), w)).collect(),
            "CNAME" => {
                let wire = self.properties.get("CNAMERecord").cloned().unwrap_or(Json::Null);
                vec![(canonical("CNAME", &text(&wire, "cname")), wire)]
            }
            _ => vec![(self.properties.to_string(), self.properties.clone())],
        }
    }
}

/// A value as the set's field holds it.
fn wire(value: &Value<'_>) -> Json {
    let record = match value {
        Value::Kept(stored) => return stored.wire.clone(),
        Value::New(record) => record,
    };
    match record.kind {
        RecordKind::A => json!({ "ipv4Address": record.data }),
        RecordKind::Aaaa => json!({ "ipv6Address": record.data }),
        RecordKind::Cname => json!({ "cname": record.data }),
        RecordKind::Txt => json!({ "value": pieces(&record.data) }),
    }
}

/// A text in strings of at most 255 bytes.
fn pieces(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for c in text.chars() {
        if all.last().is_some_and(|last| last.len() + c.len_utf8() > 255) {
            all.push(String::new());
        }
        if let Some(last) = all.last_mut() {
            last.push(c);
        }
    }
    all
}

fn properties(change: &SetChange<'_>, ttl: u32) -> Json {
    let values: Vec<_> = change.after.iter().map(wire).collect();
    // A set keeps one mark: it is ours when all of it is.
    let ours = change.after.iter().all(|value| match value {
        Value::Kept(stored) => stored.ours,
        Value::New(record) => record.wire.is_none(),
    });
    let metadata = if ours { json!({ MARK: "1" }) } else { json!({}) };
    let (field, value) = match change.kind {
        RecordKind::A => ("ARecords", Json::Array(values)),
        RecordKind::Aaaa => ("AAAARecords", Json::Array(values)),
        RecordKind::Txt => ("TXTRecords", Json::Array(values)),
        RecordKind::Cname => ("CNAMERecord", values.into_iter().next().unwrap_or(Json::Null)),
    };
    json!({ "TTL": ttl, "metadata": metadata, field: value })
}

/// Only for the set as it was seen.
fn guarded<'a>(call: Call<'a>, etag: Option<&str>) -> Call<'a> {
    match etag {
        Some(etag) => call.header("if-match", etag),
        None => call.header("if-none-match", "*"),
    }
}

impl AzureDns {
    async fn call<'a>(&self, call: Call<'a>) -> Result<Call<'a>, ProviderError> {
        let Token(token) = self.tokens.get().await?;
        Ok(call.bearer(&token))
    }

    fn zone_path<'a>(&'a self, zone: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
        let (subscription, group) = (self.subscription.as_str(), self.group.as_str());
        let place = ["subscriptions", subscription, "resourceGroups", group, "providers", "Microsoft.Network"];
        [&place[..], &["dnsZones", zone], rest].concat()
    }
}

#[async_trait]
impl Adapter for AzureDns {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError> {
        let call = self.api.get(&self.zone_path(name, &[])).query("api-version", VERSION);
        let found: Option<Json> = self.call(call).await?.found().await?;
        Ok(found.map(|_| Zone::new(&FACTS, name, name)))
    }

    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        let (mut all, mut pages) = (Vec::new(), self.api.pages());
        let first = self.api.get(&self.zone_path(&zone.id, &["recordsets"])).query("api-version", VERSION);
        let mut call = first.query("$top", PER_PAGE);
        loop {
            let page: Page = self.call(call).await?.json().await?;
            all.extend(page.value.iter().flat_map(|set| set.stored(zone)));
            let Some(link) = page.next_link else { return Ok(all) };
            pages.turn(all.len())?;
            call = self.api.follow(&link);
        }
    }

    fn writes(&self) -> Writes<'_> {
        Writes::Sets(self)
    }
}

#[async_trait]
impl Sets for AzureDns {
    async fn write(&self, zone: &Zone, changes: &[SetChange<'_>]) -> Result<(), ProviderError> {
        for change in changes {
            let path = self.zone_path(&zone.id, &[change.kind.as_str(), zone.relative(change.name, "@")]);
            let etag = change.before.first().map(|old| old.id.as_str());
            if change.after.is_empty() {
                let call = guarded(self.api.delete(&path), etag).query("api-version", VERSION);
                self.call(call).await?.gone().await?;
                continue;
            }
            let body = json!({ "properties": properties(change, change.ttl.max(zone.min_ttl)) });
            let call = guarded(self.api.put(&path), etag).query("api-version", VERSION);
            self.call(call.body_json(&body)).await?.done().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = "ü".repeat(200);
        let cut = pieces(&text);
        assert!(cut.len() == 2 && cut.iter().all(|piece| piece.len() <= 255));
        assert_eq!(cut.concat(), text);
        assert_eq!(pieces(""), [""]);
    }
}
