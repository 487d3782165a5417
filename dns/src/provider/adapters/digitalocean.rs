//! DigitalOcean, API v2.
//!
//! Source: `docs.digitalocean.com/reference/api` and `StackExchange/dnscontrol` of 2026.
//!
//! - Names are relative, `@` is the top; a target `@` is the zone itself.
//! - Targets are sent with the final dot, else they are taken as relative; they come back without it.
//! - TXT values are plain. TTL from 30 s.
//! - Two records of which one is a CNAME: 422 with a sentence. 5,000 requests an hour, 250 a minute; 429 with
//!   `ratelimit-reset`.

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
    record::{Record, Stored, Zone, canonical},
    rest::{Rest, Wire, seconds, text},
    secret::Secret,
};

pub(in crate::provider) static FACTS: Facts = Facts {
    key: "digitalocean",
    name: "DigitalOcean",
    credential: "a personal access token",
    setup: "API > Tokens > Generate New Token, with the scopes domain:read, domain:create, domain:update, domain:delete",
    gate: None,
    caveat: None,
    min_ttl: 30,
    flattens_apex: false,
};

const PER_PAGE: usize = 200;

#[derive(Debug)]
struct DigitalOcean(Api);

pub(in crate::provider) fn connect(http: &Http, token: &Secret, _: Option<&str>) -> Result<Arc<dyn Adapter>, Problem> {
    let api = Api::new(http, &FACTS, "https://api.digitalocean.com/v2", |_| None);
    Ok(Arc::new(Rest(DigitalOcean(api.header("authorization", "Bearer ", token)))))
}

#[derive(Deserialize)]
struct Page {
    domain_records: Vec<Json>,
    #[serde(default)]
    links: Links,
}

#[derive(Default, Deserialize)]
struct Links {
    #[serde(default)]
    pages: Next,
}

#[derive(Default, Deserialize)]
struct Next {
    next: Option<String>,
}

fn stored(zone: &Zone, wire: Json) -> Stored {
    let kind = text(&wire, "type").to_ascii_uppercase();
    let value = text(&wire, "data");
    let data = if kind == "CNAME" && value == "@" { zone.name.clone() } else { canonical(&kind, &value) };
    let (name, id, ttl) = (zone.below(&text(&wire, "name")), text(&wire, "id"), seconds(&wire, "ttl"));
    Stored { name, kind, data, ttl, id, ours: false, wire }
}

#[async_trait]
impl Wire for DigitalOcean {
    const EDIT: Option<Method> = Some(Method::PUT);

    fn api(&self) -> &Api {
        &self.0
    }

    fn path(&self, zone: &Zone) -> Vec<String> {
        vec!["domains".into(), zone.id.clone(), "records".into()]
    }

    fn body(&self, zone: &Zone, record: &Record) -> Json {
        let name = zone.relative(&record.name, "@");
        json!({ "type": record.kind.as_str(), "name": name, "data": record.dotted(), "ttl": record.ttl })
    }

    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError> {
        let found: Option<Json> = self.0.get(&["domains", name]).found().await?;
        Ok(found.map(|_| Zone::new(&FACTS, name, name)))
    }

    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        let (mut all, mut pages) = (Vec::new(), self.0.pages());
        for number in 1.. {
            let call = self.0.get(&["domains", &zone.id, "records"]);
            let page: Page = call.query("per_page", PER_PAGE).query("page", number).json().await?;
            all.extend(page.domain_records.into_iter().map(|wire| stored(zone, wire)));
            if page.links.pages.next.is_none() {
                break;
            }
            pages.turn(all.len())?;
        }
        Ok(all)
    }
}
