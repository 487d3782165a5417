//! Netlify DNS, API v1.
//!
//! Source: `open-api.netlify.com` and `StackExchange/dnscontrol` of 2026.
//!
//! - Records cannot be edited: a new one is made and the old one deleted; where both cannot stand (a CNAME) there is a
//!   moment without.
//! - Host names are full. Values are plain, targets without the final dot.
//! - A zone's records come in one answer; zones come in pages of at most 100.
//! - Types of its own (`NETLIFY`, `NETLIFYv6`) lead to its sites and are managed by it.
//! - 500 requests a minute; 429 with `x-ratelimit-reset`.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
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
    key: "netlify",
    name: "Netlify",
    credential: "a personal access token",
    setup: "User Settings > Applications > Personal access tokens > New access token",
    gate: Some("The domain must be a Netlify DNS zone."),
    caveat: Some("Netlify cannot edit records: while a CNAME is exchanged the name leads nowhere for a moment."),
    min_ttl: 60,
    flattens_apex: false,
};

const PER_PAGE: usize = 100;

#[derive(Debug)]
struct Netlify(Api);

pub(in crate::provider) fn connect(http: &Http, token: &Secret, _: Option<&str>) -> Result<Arc<dyn Adapter>, Problem> {
    let api = Api::new(http, &FACTS, "https://api.netlify.com/api/v1", |_| None);
    Ok(Arc::new(Rest(Netlify(api.header("authorization", "Bearer ", token)))))
}

fn stored(wire: Json) -> Stored {
    let kind = text(&wire, "type").to_ascii_uppercase();
    let data = canonical(&kind, &text(&wire, "value"));
    let (name, id, ttl) = (bare(&text(&wire, "hostname")), text(&wire, "id"), seconds(&wire, "ttl"));
    Stored { name, kind, data, ttl, id, ours: false, wire }
}

#[async_trait]
impl Wire for Netlify {
    const EDIT: Option<Method> = None;

    fn api(&self) -> &Api {
        &self.0
    }

    fn path(&self, zone: &Zone) -> Vec<String> {
        vec!["dns_zones".into(), zone.id.clone(), "dns_records".into()]
    }

    fn body(&self, _: &Zone, record: &Record) -> Json {
        json!({ "type": record.kind.as_str(), "hostname": record.name, "value": record.data, "ttl": record.ttl })
    }

    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError> {
        let (mut seen, mut pages) = (0, self.0.pages());
        for number in 1.. {
            let call = self.0.get(&["dns_zones"]).query("per_page", PER_PAGE).query("page", number);
            let page: Vec<Json> = call.json().await?;
            if let Some(zone) = page.iter().find(|zone| bare(&text(zone, "name")) == name) {
                return Ok(Some(Zone::new(&FACTS, text(zone, "id"), name)));
            }
            if page.len() < PER_PAGE {
                break;
            }
            seen += page.len();
            pages.turn(seen)?;
        }
        Ok(None)
    }

    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        let all: Vec<Json> = self.0.get(&["dns_zones", &zone.id, "dns_records"]).json().await?;
        Ok(all.into_iter().map(stored).collect())
    }
}
