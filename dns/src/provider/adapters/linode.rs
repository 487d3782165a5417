//! Linode (Akamai), API v4.
//!
//! Source: `techdocs.akamai.com/linode-api` and `StackExchange/dnscontrol` of 2026.
//!
//! - A zone is found by a filter in the header `x-filter`.
//! - Names are relative, an empty text is the top. TXT values are plain, targets without the final dot.
//! - TTL: 300 s or one of eleven longer values; others are rounded to the nearest.
//! - 500 records a page. 429 with `retry-after`.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::provider::{
    adapter::Adapter,
    api::Api,
    error::{Problem, ProviderError},
    facts::Facts,
    http::Http,
    record::{Record, Stored, Zone, bare, canonical},
    rest::{Rest, Wire, seconds, text},
    secret::Secret,
};

pub(in crate::provider) static FACTS: Facts = Facts {
    key: "linode",
    name: "Linode",
    credential: "a personal access token",
    setup: "Cloud Manager > API Tokens > Create, with Domains: read/write and nothing else",
    gate: None,
    caveat: None,
    min_ttl: 300,
    flattens_apex: false,
};

const PER_PAGE: usize = 500;

#[derive(Debug)]
struct Linode(Api);

pub(in crate::provider) fn connect(http: &Http, token: &Secret, _: Option<&str>) -> Result<Arc<dyn Adapter>, Problem> {
    let api = Api::new(http, &FACTS, "https://api.linode.com/v4", |_| None);
    Ok(Arc::new(Rest(Linode(api.header("authorization", "Bearer ", token)))))
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Json>,
    pages: usize,
}

fn stored(zone: &Zone, wire: Json) -> Stored {
    let kind = text(&wire, "type").to_ascii_uppercase();
    let data = canonical(&kind, &text(&wire, "target"));
    let (name, id, ttl) = (zone.below(&text(&wire, "name")), text(&wire, "id"), seconds(&wire, "ttl_sec"));
    Stored { name, kind, data, ttl, id, ours: false, wire }
}

#[async_trait]
impl Wire for Linode {
    const EDIT: Option<Method> = Some(Method::PUT);

    fn api(&self) -> &Api {
        &self.0
    }

    fn path(&self, zone: &Zone) -> Vec<String> {
        vec!["domains".into(), zone.id.clone(), "records".into()]
    }

    fn body(&self, zone: &Zone, record: &Record) -> Json {
        let name = zone.relative(&record.name, "");
        json!({ "type": record.kind.as_str(), "name": name, "target": record.data, "ttl_sec": record.ttl })
    }

    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError> {
        let filter = json!({ "domain": name }).to_string();
        let page: Page = self.0.get(&["domains"]).header("x-filter", &filter).json().await?;
        let found = page.data.iter().find(|zone| bare(&text(zone, "domain")) == name && text(zone, "type") != "slave");
        Ok(found.map(|zone| Zone::new(&FACTS, text(zone, "id"), name)))
    }

    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        let (mut all, mut pages) = (Vec::new(), self.0.pages());
        for number in 1.. {
            let call = self.0.get(&["domains", &zone.id, "records"]);
            let page: Page = call.query("page_size", PER_PAGE).query("page", number).json().await?;
            all.extend(page.data.into_iter().map(|wire| stored(zone, wire)));
            if number >= page.pages {
                break;
            }
            pages.turn(all.len())?;
        }
        Ok(all)
    }
}
