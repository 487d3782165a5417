//! Cloudflare, API v4.
//!
//! Source: `developers.cloudflare.com/api` (zones, DNS records), read through `go-acme/lego` and `StackExchange/dnscontrol`
//! of 2026.
//!
//! - A zone is found by its exact name; the token needs `Zone:Read` beside `DNS:Edit`, which the template "Edit zone DNS"
//!   gives. Only zones that the token may see are listed.
//! - A CNAME that is proxied hides its target and answers for us: everything is written with `proxied: false`. A record
//!   that is put back gets its own setting again.
//! - TTL 1 means automatic; otherwise 60 s at least (30 s for enterprise zones).
//! - TXT content is kept as written; since 2024 the API asks for quotes around it. Both forms are read.
//! - A CNAME at the top is flattened and stands beside MX and TXT.
//! - A malformed token is answered with 400 and code 6003, an unknown one with 401 or 403 and code 9109 or 10000.
//! - 1,200 requests in five minutes for a user; 429 with `retry-after`.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::{
    check::RecordKind,
    provider::{
        adapter::{Adapter, Records, Writes},
        api::Api,
        encoding::{quote, unquote},
        error::{Problem, ProviderError},
        facts::Facts,
        http::Http,
        record::{Record, Stored, Zone, bare, canonical},
        reply::Reply,
        secret::Secret,
    },
};

pub(in crate::provider) static FACTS: Facts = Facts {
    key: "cloudflare",
    name: "Cloudflare",
    credential: "an API token",
    setup: "My Profile > API Tokens > Create Token > template \"Edit zone DNS\", limited to the zone",
    gate: None,
    caveat: None,
    min_ttl: 60,
    flattens_apex: true,
};

const API: &str = "https://api.cloudflare.com/client/v4";
/// What tells our records from others; shown in the dashboard.
const MARK: &str = "namegate";
const PER_PAGE: usize = 500;

#[derive(Debug)]
struct Cloudflare(Api);

pub(in crate::provider) fn connect(http: &Http, token: &Secret, _: Option<&str>) -> Result<Arc<dyn Adapter>, Problem> {
    Ok(Arc::new(Cloudflare(Api::new(http, &FACTS, API, dialect).header("authorization", "Bearer ", token))))
}

fn dialect(reply: &Reply) -> Option<Problem> {
    let body = reply.value();
    if reply.status.is_success() {
        return (body.get("success") == Some(&Json::Bool(false))).then_some(Problem::Invalid);
    }
    let errors = body.get("errors").and_then(Json::as_array)?;
    errors.iter().find_map(|error| match error.get("code")?.as_u64()? {
        6003 | 6111 => Some(Problem::Auth),
        9109 if error.get("message")?.as_str()?.contains("access token") => Some(Problem::Auth),
        81_053..=81_058 => Some(Problem::Conflict),
        _ => None,
    })
}

#[derive(Deserialize)]
struct Page<T> {
    result: Vec<T>,
    #[serde(default)]
    result_info: Info,
}

#[derive(Default, Deserialize)]
struct Info {
    #[serde(default)]
    total_pages: usize,
}

#[derive(Deserialize)]
struct WireZone {
    id: String,
    name: String,
}

fn stored(wire: Json) -> Option<Stored> {
    let text = |field: &str| wire.get(field).and_then(Json::as_str).unwrap_or_default();
    let kind = text("type").to_ascii_uppercase();
    let data = if kind == "TXT" { unquote(text("content")) } else { canonical(&kind, text("content")) };
    let ours = text("comment") == MARK;
    let (id, name) = (text("id").to_owned(), bare(text("name")));
    let ttl = wire.get("ttl").and_then(Json::as_u64).and_then(|ttl| u32::try_from(ttl).ok()).unwrap_or(0);
    (!id.is_empty()).then_some(Stored { name, kind, data, ttl, id, ours, wire })
}

fn body(record: &Record) -> Json {
    let content = match record.kind {
        RecordKind::Txt => quote(&record.data),
        RecordKind::A | RecordKind::Aaaa | RecordKind::Cname => record.data.clone(),
    };
    let own = |field: &str| record.wire.as_ref().and_then(|wire| wire.get(field)).cloned();
    json!({
        "type": record.kind.as_str(),
        "name": record.name,
        "content": content,
        "ttl": record.ttl,
        "proxied": own("proxied").unwrap_or(Json::Bool(false)),
        "comment": if record.wire.is_some() { own("comment").unwrap_or(Json::Null) } else { MARK.into() },
    })
}

#[async_trait]
impl Adapter for Cloudflare {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError> {
        let page: Page<WireZone> = self.0.get(&["zones"]).query("name", name).query("per_page", 50).json().await?;
        let zone = page.result.into_iter().find(|zone| bare(&zone.name) == name);
        Ok(zone.map(|zone| Zone::new(&FACTS, zone.id, name)))
    }

    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        let (mut all, mut pages) = (Vec::new(), self.0.pages());
        for number in 1.. {
            let call = self.0.get(&["zones", &zone.id, "dns_records"]);
            let page: Page<Json> = call.query("per_page", PER_PAGE).query("page", number).json().await?;
            all.extend(page.result.into_iter().filter_map(stored));
            if number >= page.result_info.total_pages {
                break;
            }
            pages.turn(all.len())?;
        }
        Ok(all)
    }

    fn writes(&self) -> Writes<'_> {
        Writes::Records(self)
    }
}

#[async_trait]
impl Records for Cloudflare {
    async fn create(&self, zone: &Zone, record: &Record) -> Result<(), ProviderError> {
        self.0.post(&["zones", &zone.id, "dns_records"]).body_json(&body(record)).done().await
    }

    async fn replace(&self, zone: &Zone, old: &Stored, new: &Record) -> Result<(), ProviderError> {
        self.0.patch(&["zones", &zone.id, "dns_records", &old.id]).body_json(&body(new)).done().await
    }

    async fn delete(&self, zone: &Zone, old: &Stored) -> Result<(), ProviderError> {
        self.0.delete(&["zones", &zone.id, "dns_records", &old.id]).gone().await
    }
}
