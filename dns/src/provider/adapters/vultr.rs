//! Vultr, API v2.
//!
//! Source: `vultr.com/api` and `StackExchange/dnscontrol` of 2026.
//!
//! - Names are relative, an empty text is the top; targets are without the final dot.
//! - TXT values stand in quotes, and a quote within one is not taken.
//! - Pages by cursor, at most 500 records. TTL from 120 s.
//! - A key may be limited to addresses: 401 with "Unauthorized IP address".
//! - 30 requests a second; 429, or 503 with a sentence.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::{
    check::RecordKind,
    provider::{
        adapter::Adapter,
        api::Api,
        error::{Problem, ProviderError},
        facts::Facts,
        http::Http,
        record::{Record, Stored, Zone, canonical},
        reply::Reply,
        rest::{Rest, Wire, seconds, text},
        secret::Secret,
    },
};

pub(in crate::provider) static FACTS: Facts = Facts {
    key: "vultr",
    name: "Vultr",
    credential: "an API key",
    setup: "Account > API > Enable API; under Access Control add this server's addresses, or any",
    gate: None,
    caveat: Some("Vultr takes no quotation marks in TXT records."),
    min_ttl: 120,
    flattens_apex: false,
};

const PER_PAGE: usize = 500;

#[derive(Debug)]
struct Vultr(Api);

pub(in crate::provider) fn connect(http: &Http, key: &Secret, _: Option<&str>) -> Result<Arc<dyn Adapter>, Problem> {
    let api = Api::new(http, &FACTS, "https://api.vultr.com/v2", dialect);
    Ok(Arc::new(Rest(Vultr(api.header("authorization", "Bearer ", key)))))
}

fn dialect(reply: &Reply) -> Option<Problem> {
    let outside = reply.status.as_u16() == 401 && reply.said().is_some_and(|said| said.contains("IP address"));
    outside.then_some(Problem::NotEligible("the API key's access control does not have this server's address"))
}

#[derive(Deserialize)]
struct Page {
    records: Vec<Json>,
    meta: Meta,
}

#[derive(Deserialize)]
struct Meta {
    links: Links,
}

#[derive(Deserialize)]
struct Links {
    #[serde(default)]
    next: String,
}

fn stored(zone: &Zone, wire: Json) -> Stored {
    let kind = text(&wire, "type").to_ascii_uppercase();
    let value = text(&wire, "data");
    let data = match kind.as_str() {
        "TXT" => value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(&value).to_owned(),
        _ => canonical(&kind, &value),
    };
    let (name, id, ttl) = (zone.below(&text(&wire, "name")), text(&wire, "id"), seconds(&wire, "ttl"));
    Stored { name, kind, data, ttl, id, ours: false, wire }
}

#[async_trait]
impl Wire for Vultr {
    const EDIT: Option<Method> = Some(Method::PATCH);

    fn api(&self) -> &Api {
        &self.0
    }

    fn path(&self, zone: &Zone) -> Vec<String> {
        vec!["domains".into(), zone.id.clone(), "records".into()]
    }

    fn body(&self, zone: &Zone, record: &Record) -> Json {
        let data = match record.kind {
            RecordKind::Txt => format!("\"{}\"", record.data),
            RecordKind::A | RecordKind::Aaaa | RecordKind::Cname => record.data.clone(),
        };
        json!({ "type": record.kind.as_str(), "name": zone.relative(&record.name, ""), "data": data, "ttl": record.ttl })
    }

    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError> {
        let found: Option<Json> = self.0.get(&["domains", name]).found().await?;
        Ok(found.map(|_| Zone::new(&FACTS, name, name)))
    }

    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        let (mut all, mut pages) = (Vec::new(), self.0.pages());
        let mut cursor = String::new();
        loop {
            let call = self.0.get(&["domains", &zone.id, "records"]).query("per_page", PER_PAGE);
            let page: Page = call.query("cursor", &cursor).json().await?;
            all.extend(page.records.into_iter().map(|wire| stored(zone, wire)));
            cursor = page.meta.links.next;
            if cursor.is_empty() {
                return Ok(all);
            }
            pages.turn(all.len())?;
        }
    }
}
