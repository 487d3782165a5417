//! Hetzner, DNS of the Cloud API v1 (`api.hetzner.cloud`), which replaced the DNS Console's own interface.
//!
//! Source: `docs.hetzner.cloud`, `go-acme/lego` and `StackExchange/dnscontrol` of 2026.
//!
//! - Record sets with zone-file values: TXT in quotes, targets with the final dot; `@` is the top.
//! - A set is made by one call and changed by another (`set_records`); its TTL is changed by a third, which is not
//!   needed: a set that stays keeps its own. A set without a TTL has the zone's.
//! - A change is an action that may still run when the answer comes; it is asked for until it has ended.
//! - Each record has a comment: our mark.
//! - Old tokens of the DNS Console are unknown here.
//! - 3,600 requests an hour; 429 with `ratelimit-reset`. 423: another action holds the zone.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::provider::{
    adapter::{Adapter, SetChange, Sets, Value, Writes},
    api::{Api, Call},
    error::{Problem, ProviderError},
    facts::Facts,
    http::Http,
    record::{Stored, Zone},
    reply::Reply,
    rest::text,
    secret::Secret,
    zonefile,
};

pub(in crate::provider) static FACTS: Facts = Facts {
    key: "hetzner",
    name: "Hetzner",
    credential: "an API token of the Hetzner Console",
    setup: "Hetzner Console > the project with the zone > Security > API tokens > Generate, Read & Write",
    gate: None,
    caveat: None,
    min_ttl: 60,
    flattens_apex: false,
};

const PER_PAGE: usize = 100;
/// What tells our records from others.
const MARK: &str = "namegate";
/// How often a running action is asked for.
const LOOKS: u32 = 30;

#[derive(Debug)]
struct Hetzner(Api);

pub(in crate::provider) fn connect(http: &Http, token: &Secret, _: Option<&str>) -> Result<Arc<dyn Adapter>, Problem> {
    let api = Api::new(http, &FACTS, "https://api.hetzner.cloud/v1", dialect);
    Ok(Arc::new(Hetzner(api.header("authorization", "Bearer ", token))))
}

fn dialect(reply: &Reply) -> Option<Problem> {
    (reply.status.as_u16() == 423).then_some(Problem::Transient("another change of the zone is under way"))
}

#[derive(Deserialize)]
struct OneZone {
    zone: Json,
}

#[derive(Deserialize)]
struct Page {
    rrsets: Vec<Set>,
    meta: Meta,
}

#[derive(Deserialize)]
struct Meta {
    pagination: Pagination,
}

#[derive(Deserialize)]
struct Pagination {
    next_page: Option<usize>,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    r#type: String,
    ttl: Option<u32>,
    records: Vec<Json>,
}

#[derive(Deserialize)]
struct Started {
    action: Action,
}

#[derive(Deserialize)]
struct Action {
    id: u64,
    status: String,
}

impl Set {
    fn stored(self, zone: &Zone) -> Vec<Stored> {
        let values: Vec<_> = self.records.iter().map(|record| text(record, "value")).collect();
        let mut all = zonefile::stored(zone, &self.name, &self.r#type, self.ttl.unwrap_or(0), &values);
        for (stored, wire) in all.iter_mut().zip(self.records) {
            stored.ours = text(&wire, "comment") == MARK;
            stored.wire = wire;
        }
        all
    }
}

fn records(after: &[Value<'_>]) -> Vec<Json> {
    let one = |value: &Value<'_>| match value {
        Value::Kept(stored) => stored.wire.clone(),
        Value::New(record) => {
            let comment = record.wire.as_ref().map_or_else(|| MARK.to_owned(), |wire| text(wire, "comment"));
            json!({ "value": record.presentation(), "comment": comment })
        }
    };
    after.iter().map(one).collect()
}

impl Hetzner {
    /// Sends a change and waits until it has happened.
    async fn act(&self, call: Call<'_>) -> Result<(), ProviderError> {
        let mut action = call.json::<Started>().await?.action;
        for _ in 0..LOOKS {
            match action.status.as_str() {
                "success" => return Ok(()),
                "error" => return Err(self.0.error(Problem::Invalid)),
                _ => tokio::time::sleep(self.0.http.limits.pause).await,
            }
            action = self.0.get(&["actions", &action.id.to_string()]).json::<Started>().await?.action;
        }
        Err(self.0.error(Problem::Transient("the change is still under way")))
    }
}

#[async_trait]
impl Adapter for Hetzner {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError> {
        let found: Option<OneZone> = self.0.get(&["zones", name]).found().await?;
        Ok(found.map(|found| Zone::new(&FACTS, text(&found.zone, "id"), name)))
    }

    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        let (mut all, mut pages) = (Vec::new(), self.0.pages());
        let mut number = 1;
        loop {
            let call = self.0.get(&["zones", &zone.id, "rrsets"]);
            let page: Page = call.query("per_page", PER_PAGE).query("page", number).json().await?;
            all.extend(page.rrsets.into_iter().flat_map(|set| set.stored(zone)));
            match page.meta.pagination.next_page {
                Some(next) if next > number => number = next,
                _ => return Ok(all),
            }
            pages.turn(all.len())?;
        }
    }

    fn writes(&self) -> Writes<'_> {
        Writes::Sets(self)
    }
}

#[async_trait]
impl Sets for Hetzner {
    async fn write(&self, zone: &Zone, changes: &[SetChange<'_>]) -> Result<(), ProviderError> {
        for change in changes {
            let (name, kind) = (zone.relative(change.name, "@"), change.kind.as_str());
            let sets = ["zones", &zone.id, "rrsets"];
            let call = match (change.before.is_empty(), change.after.is_empty()) {
                (_, true) => self.0.delete(&[&sets[..], &[name, kind]].concat()),
                (true, false) => self.0.post(&sets).body_json(&json!({
                    "name": name, "type": kind, "ttl": change.ttl.max(zone.min_ttl), "records": records(&change.after),
                })),
                (false, false) => {
                    let path = [&sets[..], &[name, kind, "actions", "set_records"]].concat();
                    self.0.post(&path).body_json(&json!({ "records": records(&change.after) }))
                }
            };
            self.act(call).await?;
        }
        Ok(())
    }
}
