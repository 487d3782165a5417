//! IONOS, DNS API v1.
//!
//! Source: `developer.hosting.ionos.com/docs/dns` and `go-acme/lego` of 2026.
//!
//! - The key is `prefix.secret` in the header `x-api-key`.
//! - Names are full; TXT comes in quotes; targets are without the final dot.
//! - Records are made as a list; an edit changes value and TTL alone. A zone comes with all its records in one answer.
//! - TTL from 60 s. Records that the customer has switched off are shown, are not served, and are passed over.
//! - Errors are a list of `code` and `message`.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::provider::{
    adapter::Adapter,
    api::Api,
    encoding::unquote,
    error::{Problem, ProviderError},
    facts::Facts,
    http::Http,
    record::{Record, Stored, Zone, bare, canonical},
    rest::{Rest, Wire, seconds, text},
    secret::Secret,
};

pub(in crate::provider) static FACTS: Facts = Facts {
    key: "ionos",
    name: "IONOS",
    credential: "prefix.secret",
    setup: "developer.hosting.ionos.com > Manage keys > Create; the credential is the public prefix, a dot and the secret",
    gate: None,
    caveat: None,
    min_ttl: 60,
    flattens_apex: false,
};

#[derive(Debug)]
struct Ionos(Api);

pub(in crate::provider) fn connect(http: &Http, key: &Secret, _: Option<&str>) -> Result<Arc<dyn Adapter>, Problem> {
    let parts = key.reveal().split_once('.').filter(|(prefix, secret)| !prefix.is_empty() && !secret.is_empty());
    let (_, secret) = parts.ok_or(Problem::BadCredential(FACTS.credential))?;
    let api = Api::new(http, &FACTS, "https://api.hosting.ionos.com/dns/v1", |_| None).hide(&Secret::new(secret));
    Ok(Arc::new(Rest(Ionos(api.header("x-api-key", "", key)))))
}

#[derive(Deserialize)]
struct WireZone {
    records: Vec<Json>,
}

fn stored(wire: Json) -> Option<Stored> {
    let kind = text(&wire, "type").to_ascii_uppercase();
    let content = text(&wire, "content");
    let data = if kind == "TXT" { unquote(&content) } else { canonical(&kind, &content) };
    let (name, id, ttl) = (bare(&text(&wire, "name")), text(&wire, "id"), seconds(&wire, "ttl"));
    let served = wire.get("disabled") != Some(&Json::Bool(true));
    served.then_some(Stored { name, kind, data, ttl, id, ours: false, wire })
}

#[async_trait]
impl Wire for Ionos {
    const EDIT: Option<Method> = Some(Method::PUT);

    fn api(&self) -> &Api {
        &self.0
    }

    fn path(&self, zone: &Zone) -> Vec<String> {
        vec!["zones".into(), zone.id.clone(), "records".into()]
    }

    fn body(&self, _: &Zone, record: &Record) -> Json {
        let (kind, content) = (record.kind.as_str(), content(record));
        json!([{ "name": record.name, "type": kind, "content": content, "ttl": record.ttl, "disabled": false }])
    }

    fn edit(&self, _: &Zone, record: &Record) -> Json {
        json!({ "content": content(record), "ttl": record.ttl, "disabled": false })
    }

    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError> {
        let all: Vec<Json> = self.0.get(&["zones"]).json().await?;
        let found = all.iter().find(|zone| bare(&text(zone, "name")) == name);
        Ok(found.map(|zone| Zone::new(&FACTS, text(zone, "id"), name)))
    }

    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        let whole: WireZone = self.0.get(&["zones", &zone.id]).json().await?;
        Ok(whole.records.into_iter().filter_map(stored).collect())
    }
}

fn content(record: &Record) -> String {
    use crate::{check::RecordKind, provider::encoding::quote};
    match record.kind {
        RecordKind::Txt => quote(&record.data),
        RecordKind::A | RecordKind::Aaaa | RecordKind::Cname => record.data.clone(),
    }
}
