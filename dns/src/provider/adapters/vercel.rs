//! Vercel, DNS records of API v2 to v5.
//!
//! Source: `vercel.com/docs/rest-api/dns` and `StackExchange/dnscontrol` of 2026.
//!
//! - A listing holds at most 100 records; the next page is asked for by the time (`until`) that this one ends with.
//! - Names are relative, an empty text is the top. TXT values are plain. TTL from 60 s.
//! - Edits have a path of their own (`/v1/domains/records/{id}`).
//! - Records that Vercel makes by itself (`creator: "system"`) step back behind the customer's and are passed over.
//! - Comments are kept with a record: our mark.
//! - An unknown token is answered with 403 and `invalidToken`. A token sees the team that it was made for.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::provider::{
    adapter::{Adapter, Records, Writes},
    api::Api,
    error::{Problem, ProviderError},
    facts::Facts,
    http::Http,
    record::{Record, Stored, Zone, canonical},
    reply::Reply,
    rest::{seconds, text},
    secret::Secret,
};

pub(in crate::provider) static FACTS: Facts = Facts {
    key: "vercel",
    name: "Vercel",
    credential: "an access token",
    setup: "Account Settings > Tokens > Create, limited to the team that holds the domain",
    gate: None,
    caveat: None,
    min_ttl: 60,
    flattens_apex: false,
};

const PER_PAGE: usize = 100;
/// What tells our records from others.
const MARK: &str = "namegate";

#[derive(Debug)]
struct Vercel(Api);

pub(in crate::provider) fn connect(http: &Http, token: &Secret, _: Option<&str>) -> Result<Arc<dyn Adapter>, Problem> {
    let api = Api::new(http, &FACTS, "https://api.vercel.com", dialect);
    Ok(Arc::new(Vercel(api.header("authorization", "Bearer ", token))))
}

fn dialect(reply: &Reply) -> Option<Problem> {
    let unknown = reply.value().pointer("/error/invalidToken") == Some(&Json::Bool(true));
    (!reply.status.is_success() && unknown).then_some(Problem::Auth)
}

#[derive(Deserialize)]
struct Page {
    records: Vec<Json>,
    pagination: Pagination,
}

#[derive(Deserialize)]
struct Pagination {
    next: Option<i64>,
}

fn stored(zone: &Zone, wire: Json) -> Option<Stored> {
    let kind = text(&wire, "type").to_ascii_uppercase();
    let data = canonical(&kind, &text(&wire, "value"));
    let ours = text(&wire, "comment") == MARK;
    let (name, id, ttl) = (zone.below(&text(&wire, "name")), text(&wire, "id"), seconds(&wire, "ttl"));
    (text(&wire, "creator") != "system").then_some(Stored { name, kind, data, ttl, id, ours, wire })
}

fn body(zone: &Zone, record: &Record) -> Json {
    let comment = record.wire.as_ref().map_or_else(|| MARK.to_owned(), |wire| text(wire, "comment"));
    json!({
        "name": zone.relative(&record.name, ""), "type": record.kind.as_str(), "value": record.data, "ttl": record.ttl,
        "comment": comment,
    })
}

#[async_trait]
impl Adapter for Vercel {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError> {
        let found: Option<Json> = self.0.get(&["v5", "domains", name]).found().await?;
        Ok(found.map(|_| Zone::new(&FACTS, name, name)))
    }

    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        let (mut all, mut pages) = (Vec::new(), self.0.pages());
        let mut until: Option<i64> = None;
        loop {
            let call = self.0.get(&["v4", "domains", &zone.id, "records"]).query("limit", PER_PAGE);
            let call = until.iter().fold(call, |call, until| call.query("until", until));
            let page: Page = call.json().await?;
            all.extend(page.records.into_iter().filter_map(|wire| stored(zone, wire)));
            match page.pagination.next {
                Some(next) => until = Some(next),
                None => return Ok(all),
            }
            pages.turn(all.len())?;
        }
    }

    fn writes(&self) -> Writes<'_> {
        Writes::Records(self)
    }
}

#[async_trait]
impl Records for Vercel {
    async fn create(&self, zone: &Zone, record: &Record) -> Result<(), ProviderError> {
        self.0.post(&["v2", "domains", &zone.id, "records"]).body_json(&body(zone, record)).done().await
    }

    async fn replace(&self, zone: &Zone, old: &Stored, new: &Record) -> Result<(), ProviderError> {
        self.0.patch(&["v1", "domains", "records", &old.id]).body_json(&body(zone, new)).done().await
    }

    async fn delete(&self, zone: &Zone, old: &Stored) -> Result<(), ProviderError> {
        self.0.delete(&["v2", "domains", &zone.id, "records", &old.id]).gone().await
    }
}
