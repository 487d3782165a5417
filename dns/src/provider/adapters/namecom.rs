//! Name.com, API v4.
//!
//! Source: `docs.name.com` and `StackExchange/dnscontrol` of 2026.
//!
//! - Basic authentication with the account's name and an API token.
//! - Hosts are relative, an empty text is the top; answers are plain, targets without the final dot.
//! - TTL from 300 s. At most 1,000 records a page; the last page has no `nextPage`.
//! - NS records of the top are not shown. ANAME is a type of its own.
//! - 20 requests a second, 3,000 an hour; 429.

use std::sync::Arc;

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
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
    key: "namecom",
    name: "Name.com",
    credential: "user:token",
    setup: "Account > API > generate a production token; the credential is your user name, a colon and the token",
    gate: None,
    caveat: None,
    min_ttl: 300,
    flattens_apex: false,
};

const PER_PAGE: usize = 1000;

#[derive(Debug)]
struct Namecom(Api);

pub(in crate::provider) fn connect(http: &Http, secret: &Secret, _: Option<&str>) -> Result<Arc<dyn Adapter>, Problem> {
    let [_, token] = secret.split().ok_or(Problem::BadCredential(FACTS.credential))?;
    let basic = Secret::new(&STANDARD.encode(secret.reveal()));
    let api = Api::new(http, &FACTS, "https://api.name.com/v4", |_| None).hide(&token).hide(secret);
    Ok(Arc::new(Rest(Namecom(api.header("authorization", "Basic ", &basic)))))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    /// Left out of the answer for a zone without records.
    records: Option<Vec<Json>>,
    #[serde(default)]
    next_page: usize,
}

fn stored(zone: &Zone, wire: Json) -> Stored {
    let kind = text(&wire, "type").to_ascii_uppercase();
    let data = canonical(&kind, &text(&wire, "answer"));
    let (name, id, ttl) = (zone.below(&text(&wire, "host")), text(&wire, "id"), seconds(&wire, "ttl"));
    Stored { name, kind, data, ttl, id, ours: false, wire }
}

#[async_trait]
impl Wire for Namecom {
    const EDIT: Option<Method> = Some(Method::PUT);

    fn api(&self) -> &Api {
        &self.0
    }

    fn path(&self, zone: &Zone) -> Vec<String> {
        vec!["domains".into(), zone.id.clone(), "records".into()]
    }

    fn body(&self, zone: &Zone, record: &Record) -> Json {
        let host = zone.relative(&record.name, "");
        json!({ "host": host, "type": record.kind.as_str(), "answer": record.data, "ttl": record.ttl })
    }

    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError> {
        let found: Option<Json> = self.0.get(&["domains", name]).found().await?;
        Ok(found.map(|_| Zone::new(&FACTS, name, name)))
    }

    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        let (mut all, mut pages) = (Vec::new(), self.0.pages());
        let mut number = 1;
        loop {
            let call = self.0.get(&["domains", &zone.id, "records"]);
            let page: Page = call.query("perPage", PER_PAGE).query("page", number).json().await?;
            all.extend(page.records.into_iter().flatten().map(|wire| stored(zone, wire)));
            if page.next_page <= number {
                return Ok(all);
            }
            number = page.next_page;
            pages.turn(all.len())?;
        }
    }
}
