//! DNSimple, API v2.
//!
//! Source: `developer.dnsimple.com/v2` and `StackExchange/dnscontrol` of 2026.
//!
//! - Every path begins with the account's id, which `whoami` tells of an account token. A user token
//!   reaches every account of its owner; it is refused.
//! - Names are relative, an empty text is the top. Contents are plain, targets without the final dot; TXT comes in quotes.
//! - TTL from 60 s. Types of its own: ALIAS, URL, POOL.
//! - Records of the system (`system_record`) are its SOA and NS.
//! - 2,400 requests an hour; 429 with `x-ratelimit-reset`.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::sync::OnceCell;

use crate::{
    check::RecordKind,
    provider::{
        adapter::{Adapter, Records, Writes},
        api::Api,
        encoding::{quote, unquote},
        error::{Problem, ProviderError},
        facts::Facts,
        http::Http,
        record::{Record, Stored, Zone, canonical},
        rest::{seconds, text},
        secret::Secret,
    },
};

pub(in crate::provider) static FACTS: Facts = Facts {
    key: "dnsimple",
    name: "DNSimple",
    credential: "an account access token",
    setup: "Account > Automation > API tokens > Add (an account token, not a user token)",
    gate: None,
    caveat: None,
    min_ttl: 60,
    flattens_apex: false,
};

const PER_PAGE: usize = 100;

#[derive(Debug)]
struct Dnsimple {
    api: Api,
    account: OnceCell<String>,
}

pub(in crate::provider) fn connect(http: &Http, token: &Secret, _: Option<&str>) -> Result<Arc<dyn Adapter>, Problem> {
    let api = Api::new(http, &FACTS, "https://api.dnsimple.com/v2", |_| None);
    Ok(Arc::new(Dnsimple { api: api.header("authorization", "Bearer ", token), account: OnceCell::new() }))
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
    pagination: Option<Pagination>,
}

#[derive(Deserialize)]
struct Pagination {
    total_pages: usize,
}

#[derive(Deserialize)]
struct Who {
    account: Option<Account>,
}

#[derive(Deserialize)]
struct Account {
    id: u64,
}

fn stored(zone: &Zone, wire: Json) -> Stored {
    let kind = text(&wire, "type").to_ascii_uppercase();
    let content = text(&wire, "content");
    let data = if kind == "TXT" { unquote(&content) } else { canonical(&kind, &content) };
    let (name, id, ttl) = (zone.below(&text(&wire, "name")), text(&wire, "id"), seconds(&wire, "ttl"));
    Stored { name, kind, data, ttl, id, ours: false, wire }
}

fn body(zone: &Zone, record: &Record) -> Json {
    let content = if record.kind == RecordKind::Txt { quote(&record.data) } else { record.data.clone() };
    let name = zone.relative(&record.name, "");
    json!({ "name": name, "type": record.kind.as_str(), "content": content, "ttl": record.ttl })
}

impl Dnsimple {
    async fn account(&self) -> Result<&str, ProviderError> {
        let ask = || async {
            let who: Data<Who> = self.api.get(&["whoami"]).json().await?;
            let account = who.data.account.ok_or_else(|| self.api.error(Problem::BadCredential(FACTS.credential)))?;
            Ok(account.id.to_string())
        };
        self.account.get_or_try_init(ask).await.map(String::as_str)
    }
}

#[async_trait]
impl Adapter for Dnsimple {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError> {
        let found: Option<Json> = self.api.get(&[self.account().await?, "zones", name]).found().await?;
        Ok(found.map(|_| Zone::new(&FACTS, name, name)))
    }

    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        let (mut all, mut pages) = (Vec::new(), self.api.pages());
        for number in 1.. {
            let call = self.api.get(&[self.account().await?, "zones", &zone.id, "records"]);
            let page: Data<Vec<Json>> = call.query("per_page", PER_PAGE).query("page", number).json().await?;
            all.extend(page.data.into_iter().map(|wire| stored(zone, wire)));
            if page.pagination.is_none_or(|pages| number >= pages.total_pages) {
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
impl Records for Dnsimple {
    async fn create(&self, zone: &Zone, record: &Record) -> Result<(), ProviderError> {
        let call = self.api.post(&[self.account().await?, "zones", &zone.id, "records"]);
        call.body_json(&body(zone, record)).done().await
    }

    async fn replace(&self, zone: &Zone, old: &Stored, new: &Record) -> Result<(), ProviderError> {
        let call = self.api.patch(&[self.account().await?, "zones", &zone.id, "records", &old.id]);
        call.body_json(&body(zone, new)).done().await
    }

    async fn delete(&self, zone: &Zone, old: &Stored) -> Result<(), ProviderError> {
        self.api.delete(&[self.account().await?, "zones", &zone.id, "records", &old.id]).gone().await
    }
}
