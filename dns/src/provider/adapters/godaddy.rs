//! GoDaddy, Domains API v1.
//!
//! Source: `developer.godaddy.com/doc/endpoint/domains` and `go-acme/lego` of 2026.
//!
//! - Record sets: `PUT` on type and name replaces one. Names are relative, `@` is the top, as a target too; targets are
//!   without the final dot; TXT is plain.
//! - TTL from 600 s. At most 500 records a page, by offset.
//! - Accounts below a threshold are answered with 403 and `ACCESS_DENIED`, whatever the key: the interface is for
//!   accounts with ten domains or more, or of certain plans.
//! - 60 requests a minute; 429 with `retryAfterSec` in the body.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value as Json, json};

use crate::provider::{
    adapter::{Adapter, SetChange, Sets, Value, Writes},
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
    key: "godaddy",
    name: "GoDaddy",
    credential: "key:secret",
    setup: "developer.godaddy.com > API Keys > Create New API Key > Production",
    gate: Some(GATE),
    caveat: None,
    min_ttl: 600,
    flattens_apex: false,
};

const GATE: &str = "GoDaddy opens its interface to accounts with ten domains or more, and to some plans. Connect by Domain \
                    Connect or by hand instead.";
const PER_PAGE: usize = 500;

#[derive(Debug)]
struct Godaddy(Api);

pub(in crate::provider) fn connect(http: &Http, secret: &Secret, _: Option<&str>) -> Result<Arc<dyn Adapter>, Problem> {
    let [key, half] = secret.split().ok_or(Problem::BadCredential(FACTS.credential))?;
    let api = Api::new(http, &FACTS, "https://api.godaddy.com/v1", dialect).hide(&key).hide(&half);
    Ok(Arc::new(Godaddy(api.header("authorization", "sso-key ", secret))))
}

fn dialect(reply: &Reply) -> Option<Problem> {
    let body = reply.value();
    match (reply.status.as_u16(), text(&body, "code").as_str()) {
        (403, "ACCESS_DENIED") => Some(Problem::NotEligible(GATE)),
        (429, _) => {
            let seconds = body.get("retryAfterSec").and_then(Json::as_u64);
            Some(Problem::RateLimited { retry_after: seconds.map(Duration::from_secs) })
        }
        _ => None,
    }
}

fn stored(zone: &Zone, wire: Json) -> Stored {
    let kind = text(&wire, "type").to_ascii_uppercase();
    let value = text(&wire, "data");
    let data = if kind == "CNAME" && value == "@" { zone.name.clone() } else { canonical(&kind, &value) };
    let (name, ttl) = (zone.below(&text(&wire, "name")), seconds(&wire, "ttl"));
    Stored { name, kind, data, ttl, id: String::new(), ours: false, wire }
}

#[async_trait]
impl Adapter for Godaddy {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError> {
        let found: Option<Json> = self.0.get(&["domains", name]).found().await?;
        Ok(found.map(|_| Zone::new(&FACTS, name, name)))
    }

    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        let (mut all, mut pages) = (Vec::new(), self.0.pages());
        loop {
            let call = self.0.get(&["domains", &zone.id, "records"]);
            let page: Vec<Json> = call.query("limit", PER_PAGE).query("offset", all.len()).json().await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page.into_iter().map(|wire| stored(zone, wire)));
            pages.turn(all.len())?;
        }
    }

    fn writes(&self) -> Writes<'_> {
        Writes::Sets(self)
    }
}

#[async_trait]
impl Sets for Godaddy {
    async fn write(&self, zone: &Zone, changes: &[SetChange<'_>]) -> Result<(), ProviderError> {
        for change in changes {
            let (kind, name) = (change.kind.as_str(), zone.relative(change.name, "@"));
            let path = ["domains", &zone.id, "records", kind, name];
            if change.after.is_empty() {
                self.0.delete(&path).gone().await?;
                continue;
            }
            let one = |value: &Value<'_>| match value {
                Value::Kept(stored) => json!({ "data": text(&stored.wire, "data"), "ttl": stored.ttl }),
                Value::New(record) => json!({ "data": record.data, "ttl": record.ttl.max(zone.min_ttl) }),
            };
            let set: Vec<_> = change.after.iter().map(one).collect();
            self.0.put(&path).body_json(&set).done().await?;
        }
        Ok(())
    }
}
