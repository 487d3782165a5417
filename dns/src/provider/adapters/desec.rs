//! deSEC, API v1.
//!
//! Source: `desec.readthedocs.io` and `StackExchange/dnscontrol` of 2026.
//!
//! - Record sets with zone-file values: TXT in quotes, targets with the final dot. An empty `subname` is the top.
//! - One `PATCH` of a list of sets happens as a whole or not at all; a set without records is removed.
//! - Each zone has its own shortest TTL (`minimum_ttl`, usually 3,600 s).
//! - A listing begins with an empty `cursor`, else more than 500 sets are refused; the next page is in the header `link`.
//! - Few writes are taken in a row; 429 with `retry-after`, at times for a long while.

use std::sync::Arc;

use async_trait::async_trait;
use http::header;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::provider::{
    adapter::{Adapter, SetChange, Sets, Writes},
    api::Api,
    error::{Problem, ProviderError},
    facts::Facts,
    http::Http,
    record::{Stored, Zone},
    reply::Reply,
    secret::Secret,
    zonefile,
};

pub(in crate::provider) static FACTS: Facts = Facts {
    key: "desec",
    name: "deSEC",
    credential: "a token",
    setup: "Account > Token Management > create a token; a policy can limit it to the domain",
    gate: None,
    caveat: None,
    min_ttl: 3600,
    flattens_apex: false,
};

#[derive(Debug)]
struct Desec(Api);

pub(in crate::provider) fn connect(http: &Http, token: &Secret, _: Option<&str>) -> Result<Arc<dyn Adapter>, Problem> {
    let api = Api::new(http, &FACTS, "https://desec.io/api/v1", |_| None);
    Ok(Arc::new(Desec(api.header("authorization", "Token ", token))))
}

#[derive(Deserialize)]
struct WireZone {
    #[serde(default)]
    minimum_ttl: u32,
}

#[derive(Deserialize)]
struct Set {
    subname: String,
    r#type: String,
    ttl: u32,
    records: Vec<String>,
}

/// The address of the next page: `<https://…>; rel="next"`.
fn next(reply: &Reply) -> Option<String> {
    let links = reply.headers.get(header::LINK)?.to_str().ok()?;
    let next = links.split(',').find(|link| link.contains("rel=\"next\""))?;
    let (_, rest) = next.split_once('<')?;
    rest.split_once('>').map(|(address, _)| address.to_owned())
}

#[async_trait]
impl Adapter for Desec {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError> {
        let found: Option<WireZone> = self.0.get(&["domains", name, ""]).found().await?;
        Ok(found.map(|zone| Zone { min_ttl: zone.minimum_ttl, ..Zone::new(&FACTS, name, name) }))
    }

    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        let (mut all, mut pages) = (Vec::new(), self.0.pages());
        let mut reply = self.0.get(&["domains", &zone.id, "rrsets", ""]).query("cursor", "").send().await?;
        loop {
            let broken = || self.0.error(Problem::Transient("an answer that is not of the documented form"));
            let page: Vec<Set> = reply.json().ok_or_else(broken)?;
            all.extend(page.iter().flat_map(|s| zonefile::stored(zone, &s.subname, &s.r#type, s.ttl, &s.records)));
            let Some(link) = next(&reply) else { return Ok(all) };
            pages.turn(all.len())?;
            reply = self.0.follow(&link).send().await?;
        }
    }

    fn writes(&self) -> Writes<'_> {
        Writes::Sets(self)
    }
}

#[async_trait]
impl Sets for Desec {
    fn atomic(&self) -> bool {
        true
    }

    async fn write(&self, zone: &Zone, changes: &[SetChange<'_>]) -> Result<(), ProviderError> {
        let set = |change: &SetChange<'_>| {
            json!({
                "subname": zone.relative(change.name, ""), "type": change.kind.as_str(),
                "ttl": change.ttl.max(zone.min_ttl), "records": zonefile::values(&change.after),
            })
        };
        let sets: Vec<Json> = changes.iter().map(set).collect();
        self.0.patch(&["domains", &zone.id, "rrsets", ""]).body_json(&sets).done().await
    }
}
