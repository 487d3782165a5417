//! Google Cloud DNS, API v1.
//!
//! Source: `cloud.google.com/dns/docs/reference/rest/v1`, the OAuth 2.0 flow for service accounts, and `go-acme/lego` of
//! 2026.
//!
//! - The credential is the service account's key file, with the zone's name in Google's sense added as `managed_zone`;
//!   without it the zone is looked for by its DNS name.
//! - A signed assertion (RS256) is exchanged for a token of an hour. The key file names where; that is not followed: a
//!   file with another address would have us send signed assertions there.
//! - One change happens as a whole or not at all. Old sets are named in full, so that it fails (412) when somebody else
//!   changed a set meanwhile.
//! - Zone-file values; names with the final dot. Private zones are passed over. Sets with a routing policy are shown
//!   under a type of their own and never changed.
//! - Rate limits come as 429, or as 403 with a reason.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::provider::{
    adapter::{Adapter, SetChange, Sets, Writes},
    api::{Api, Call},
    error::{Problem, ProviderError},
    facts::Facts,
    http::Http,
    record::{Stored, Zone, bare},
    reply::Reply,
    rest::text,
    secret::Secret,
    token::{Assertion, Token, Tokens},
    zonefile,
};

pub(in crate::provider) static FACTS: Facts = Facts {
    key: "gcpdns",
    name: "Google Cloud DNS",
    credential: "the service account's JSON key with a managed_zone field",
    setup: "A service account with roles/dns.admin (or narrower) on the project; its JSON key with \"managed_zone\" added, \
            the zone's name in Cloud DNS",
    gate: None,
    caveat: None,
    min_ttl: 1,
    flattens_apex: false,
};

const TOKEN: &str = "https://oauth2.googleapis.com";
const API: &str = "https://dns.googleapis.com/dns/v1";
const SCOPE: &str = "https://www.googleapis.com/auth/ndev.clouddns.readwrite";
const PER_PAGE: usize = 500;

#[derive(Deserialize)]
struct KeyFile {
    project_id: String,
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: String,
    managed_zone: Option<String>,
}

#[derive(Debug)]
struct GcpDns {
    api: Api,
    tokens: Tokens,
    project: String,
    managed_zone: Option<String>,
}

pub(in crate::provider) fn connect(http: &Http, secret: &Secret, _: Option<&str>) -> Result<Arc<dyn Adapter>, Problem> {
    let bad = || Problem::BadCredential(FACTS.credential);
    let file: KeyFile = serde_json::from_str(secret.reveal()).map_err(|_| bad())?;
    let key = Secret::new(&file.private_key);
    let assertion = Assertion::new(&key, file.private_key_id, file.client_email, SCOPE).ok_or_else(bad)?;
    let login = Api::new(http, &FACTS, TOKEN, dialect).hide(&key);
    let api = Api::new(http, &FACTS, API, dialect).hide(&key);
    let tokens = Tokens::assertion(login, assertion);
    Ok(Arc::new(GcpDns { api, tokens, project: file.project_id, managed_zone: file.managed_zone }))
}

fn dialect(reply: &Reply) -> Option<Problem> {
    let body = reply.value();
    let reason = body.pointer("/error/errors/0/reason").and_then(Json::as_str).unwrap_or_default();
    let limited = ["rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"].contains(&reason);
    match reply.status.as_u16() {
        403 if limited => Some(Problem::RateLimited { retry_after: None }),
        412 => Some(Problem::Transient("the records changed meanwhile")),
        // The token's own answers: the key is unknown, or was deleted.
        400 if ["invalid_grant", "invalid_client"].contains(&text(&body, "error").as_str()) => Some(Problem::Auth),
        _ => None,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    rrsets: Vec<Set>,
    /// Tells this answer from any other: the field is in every one.
    #[serde(rename = "kind")]
    _kind: String,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Set {
    name: String,
    r#type: String,
    #[serde(default)]
    ttl: u32,
    #[serde(default)]
    rrdatas: Vec<String>,
    routing_policy: Option<Json>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Zones {
    #[serde(default)]
    managed_zones: Vec<Json>,
}

impl Set {
    fn stored(&self, zone: &Zone) -> Vec<Stored> {
        let name = zone.absolute(&self.name);
        let policy = [self.routing_policy.as_ref().map(Json::to_string).unwrap_or_default()];
        let (kind, values) = match &self.routing_policy {
            Some(_) => ("POLICY", policy.as_slice()),
            None => (self.r#type.as_str(), self.rrdatas.as_slice()),
        };
        let mut all = zonefile::stored(zone, "@", kind, self.ttl, values);
        all.iter_mut().for_each(|record| record.name.clone_from(&name));
        all
    }
}

fn public(zone: &Json, name: &str) -> Option<Zone> {
    let hit = bare(&text(zone, "dnsName")) == name && text(zone, "visibility") != "private";
    hit.then(|| Zone::new(&FACTS, text(zone, "name"), name))
}

impl GcpDns {
    async fn call<'a>(&self, call: Call<'a>) -> Result<Call<'a>, ProviderError> {
        let Token(token) = self.tokens.get().await?;
        Ok(call.bearer(&token))
    }

    fn zones<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        [&["projects", &self.project, "managedZones"][..], rest].concat()
    }
}

#[async_trait]
impl Adapter for GcpDns {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError> {
        if let Some(id) = &self.managed_zone {
            let found: Json = self.call(self.api.get(&self.zones(&[id]))).await?.json().await?;
            return Ok(public(&found, name));
        }
        let call = self.api.get(&self.zones(&[])).query("dnsName", format!("{name}."));
        let found: Zones = self.call(call).await?.json().await?;
        Ok(found.managed_zones.iter().find_map(|zone| public(zone, name)))
    }

    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        let (mut all, mut pages) = (Vec::new(), self.api.pages());
        let mut token: Option<String> = None;
        loop {
            let call = self.api.get(&self.zones(&[&zone.id, "rrsets"])).query("maxResults", PER_PAGE);
            let call = token.iter().fold(call, |call, token| call.query("pageToken", token));
            let page: Page = self.call(call).await?.json().await?;
            all.extend(page.rrsets.iter().flat_map(|set| set.stored(zone)));
            token = page.next_page_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(all);
            }
            pages.turn(all.len())?;
        }
    }

    fn writes(&self) -> Writes<'_> {
        Writes::Sets(self)
    }
}

#[async_trait]
impl Sets for GcpDns {
    fn atomic(&self) -> bool {
        true
    }

    async fn write(&self, zone: &Zone, changes: &[SetChange<'_>]) -> Result<(), ProviderError> {
        let set = |change: &SetChange<'_>, ttl: u32, values: Vec<String>| json!({ "name": format!("{}.", change.name), "type": change.kind.as_str(), "ttl": ttl, "rrdatas": values });
        let old = |change: &&SetChange<'_>| !change.before.is_empty();
        let deletions: Vec<_> = changes
            .iter()
            .filter(old)
            .map(|change| {
                let values = change.before.iter().map(|old| old.wire.as_str().unwrap_or(&old.data).to_owned());
                set(change, change.before.first().map_or(0, |old| old.ttl), values.collect())
            })
            .collect();
        let additions: Vec<_> = changes
            .iter()
            .filter(|change| !change.after.is_empty())
            .map(|change| set(change, change.ttl.max(zone.min_ttl), zonefile::values(&change.after)))
            .collect();
        let call = self.api.post(&self.zones(&[&zone.id, "changes"]));
        let body = json!({ "additions": additions, "deletions": deletions });
        self.call(call.body_json(&body)).await?.done().await
    }
}
