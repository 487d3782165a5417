//! Porkbun, API v3.
//!
//! Source: `porkbun.com/api/json/v3/documentation` and `StackExchange/dnscontrol` of 2026.
//!
//! - Everything is a POST, and the keys stand in the body.
//! - The interface is switched on for each domain by itself; until then it answers with a sentence.
//! - Names are full in answers and relative in requests; values are plain; TTL from 600 s, as a text.
//! - Notes are kept with a record: our mark.
//! - Errors are a sentence with `status: "ERROR"`, at times with 200.
//! - One request a second is safe; faster ones are answered with 503 or 429.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::provider::{
    adapter::{Adapter, Records, Writes},
    api::{Api, Call},
    error::{Problem, ProviderError},
    facts::Facts,
    http::Http,
    record::{Record, Stored, Zone, bare, canonical},
    reply::Reply,
    rest::{seconds, text},
    secret::Secret,
};

pub(in crate::provider) static FACTS: Facts = Facts {
    key: "porkbun",
    name: "Porkbun",
    credential: "apikey:secretapikey",
    setup: "Account > API Access > Create API Key; then switch on API Access in the domain's details",
    gate: Some("API access must be switched on for the domain (Domain Management > Details > API Access)."),
    caveat: None,
    min_ttl: 600,
    flattens_apex: false,
};

/// What tells our records from others.
const MARK: &str = "namegate";

#[derive(Debug)]
struct Porkbun {
    api: Api,
    key: Secret,
    secret: Secret,
}

pub(in crate::provider) fn connect(http: &Http, secret: &Secret, _: Option<&str>) -> Result<Arc<dyn Adapter>, Problem> {
    let [key, secret] = secret.split().ok_or(Problem::BadCredential(FACTS.credential))?;
    let api = Api::new(http, &FACTS, "https://api.porkbun.com/api/json/v3", dialect).hide(&key).hide(&secret);
    Ok(Arc::new(Porkbun { api, key, secret }))
}

fn dialect(reply: &Reply) -> Option<Problem> {
    if text(&reply.value(), "status") != "ERROR" {
        return None;
    }
    let said = reply.said()?.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    Some(match reply.status.as_u16() {
        429 | 503 => Problem::RateLimited { retry_after: None },
        _ if has(&["opted in", "api access"]) => {
            Problem::NotEligible("API access must be switched on for the domain (Domain Management > Details)")
        }
        _ if has(&["api key", "apikey"]) => Problem::Auth,
        _ if has(&["invalid domain", "invalid record id", "not found"]) => Problem::ZoneNotFound,
        200 => Problem::Invalid,
        _ => return None,
    })
}

#[derive(Deserialize)]
struct Listing {
    records: Vec<Json>,
}

fn stored(wire: Json) -> Stored {
    let kind = text(&wire, "type").to_ascii_uppercase();
    let data = canonical(&kind, &text(&wire, "content"));
    let ours = text(&wire, "notes") == MARK;
    let (name, id, ttl) = (bare(&text(&wire, "name")), text(&wire, "id"), seconds(&wire, "ttl"));
    Stored { name, kind, data, ttl, id, ours, wire }
}

fn body(zone: &Zone, record: &Record) -> Json {
    let notes = record.wire.as_ref().map_or_else(|| MARK.to_owned(), |wire| text(wire, "notes"));
    json!({
        "name": zone.relative(&record.name, ""), "type": record.kind.as_str(), "content": record.data,
        "ttl": record.ttl.to_string(), "notes": notes,
    })
}

impl Porkbun {
    fn post(&self, path: &[&str], mut body: Json) -> Call<'_> {
        if let Some(body) = body.as_object_mut() {
            body.insert("apikey".into(), self.key.reveal().into());
            body.insert("secretapikey".into(), self.secret.reveal().into());
        }
        self.api.post(path).body_json(&body)
    }
}

#[async_trait]
impl Adapter for Porkbun {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError> {
        let found: Option<Listing> = self.post(&["dns", "retrieve", name], json!({})).reads().found().await?;
        Ok(found.map(|_| Zone::new(&FACTS, name, name)))
    }

    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        let all: Listing = self.post(&["dns", "retrieve", &zone.id], json!({})).reads().json().await?;
        Ok(all.records.into_iter().map(stored).collect())
    }

    fn writes(&self) -> Writes<'_> {
        Writes::Records(self)
    }
}

#[async_trait]
impl Records for Porkbun {
    async fn create(&self, zone: &Zone, record: &Record) -> Result<(), ProviderError> {
        self.post(&["dns", "create", &zone.id], body(zone, record)).done().await
    }

    async fn replace(&self, zone: &Zone, old: &Stored, new: &Record) -> Result<(), ProviderError> {
        self.post(&["dns", "edit", &zone.id, &old.id], body(zone, new)).done().await
    }

    async fn delete(&self, zone: &Zone, old: &Stored) -> Result<(), ProviderError> {
        self.post(&["dns", "delete", &zone.id, &old.id], json!({})).gone().await
    }
}
