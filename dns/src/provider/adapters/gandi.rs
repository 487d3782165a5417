//! Gandi LiveDNS, API v5.
//!
//! Source: `api.gandi.net/docs/livedns` and `go-acme/lego` of 2026.
//!
//! - Record sets. `PUT` replaces one; the name `@` is the top.
//! - TTL from 300 s to 2,592,000 s.
//! - Values are as in a zone file: TXT in quotes, a target without the final dot is relative to the zone.
//! - A key of the old kind (24 characters) is sent as `Apikey`, a personal access token as `Bearer`; the first kind is
//!   deprecated and still works.
//! - A listing is cut at `per_page`; servers that do not page give everything at once.

use std::sync::Arc;

use async_trait::async_trait;
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
    key: "gandi",
    name: "Gandi",
    credential: "a personal access token, or an API key of the old kind",
    setup: "Account > Security > API key (LiveDNS), or a personal access token with the right \"Manage domain technical \
            configurations\"",
    gate: None,
    caveat: None,
    min_ttl: 300,
    flattens_apex: false,
};

const API: &str = "https://api.gandi.net/v5/livedns";
const PER_PAGE: usize = 500;
/// The length of keys of the old kind.
const OLD_KEY: usize = 24;

#[derive(Debug)]
struct Gandi(Api);

pub(in crate::provider) fn connect(http: &Http, key: &Secret, _: Option<&str>) -> Result<Arc<dyn Adapter>, Problem> {
    let scheme = if key.reveal().len() == OLD_KEY { "Apikey " } else { "Bearer " };
    Ok(Arc::new(Gandi(Api::new(http, &FACTS, API, dialect).header("authorization", scheme, key))))
}

fn dialect(_: &Reply) -> Option<Problem> {
    None
}

#[derive(Deserialize)]
struct Set {
    rrset_name: String,
    rrset_type: String,
    #[serde(default)]
    rrset_ttl: u32,
    rrset_values: Vec<String>,
}

#[async_trait]
impl Adapter for Gandi {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError> {
        let found: Option<Json> = self.0.get(&["domains", name]).found().await?;
        Ok(found.map(|_| Zone::new(&FACTS, name, name)))
    }

    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        let (mut all, mut pages) = (Vec::new(), self.0.pages());
        for number in 1.. {
            let call = self.0.get(&["domains", &zone.id, "records"]);
            let page: Vec<Set> = call.query("per_page", PER_PAGE).query("page", number).json().await?;
            let whole = page.len() == PER_PAGE;
            all.extend(page.iter().flat_map(|set| {
                zonefile::stored(zone, &set.rrset_name, &set.rrset_type, set.rrset_ttl, &set.rrset_values)
            }));
            if !whole {
                break;
            }
            pages.turn(all.len())?;
        }
        Ok(all)
    }

    fn writes(&self) -> Writes<'_> {
        Writes::Sets(self)
    }
}

#[async_trait]
impl Sets for Gandi {
    async fn write(&self, zone: &Zone, changes: &[SetChange<'_>]) -> Result<(), ProviderError> {
        for change in changes {
            let path = ["domains", &zone.id, "records", zone.relative(change.name, "@"), change.kind.as_str()];
            if change.after.is_empty() {
                self.0.delete(&path).gone().await?;
            } else {
                let values = zonefile::values(&change.after);
                let body = json!({ "rrset_ttl": change.ttl.max(zone.min_ttl), "rrset_values": values });
                self.0.put(&path).body_json(&body).done().await?;
            }
        }
        Ok(())
    }
}
