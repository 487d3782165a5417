//! The DNS providers: what can be written by us, and how a record is entered by hand.

use axum::Json;
use dns::provider::{Facts, HostForm, Operator, catalogue, operators};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ApiError, auth::KeyOrToken, error::Problem};
use crate::core::Scope;

/// All providers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Providers {
    data: Vec<ProviderView>,
}

/// A DNS provider.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Provider)]
pub(crate) struct ProviderView {
    #[schema(example = "cloudflare")]
    key: String,
    #[schema(example = "Cloudflare")]
    name: String,
    /// How records get there: `automatic` with a credential, `domain_connect` by a page of the provider, `manual`.
    #[schema(example = json!(["automatic", "manual"]))]
    methods: Vec<&'static str>,
    /// For `automatic`.
    credential: Option<CredentialForm>,
    /// For `manual`.
    form: Option<RecordForm>,
}

/// What a credential is and how it is made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CredentialForm {
    /// What `token` must hold.
    #[schema(example = "an API token")]
    format: &'static str,
    /// How the customer makes it.
    setup: &'static str,
    /// What the account must fulfil first.
    gate: Option<&'static str>,
    /// What to know before records are written.
    caveat: Option<&'static str>,
    /// The shortest time to live, in seconds.
    min_ttl: u32,
    /// Whether a CNAME can stand at the top of a zone.
    apex_cname: bool,
}

/// How the provider's form wants a record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordForm {
    /// The way to it.
    #[serde(rename = "where")]
    place: String,
    /// `relative`: what stands before the zone's name; `full`: the whole name.
    host: &'static str,
    /// What is entered for the top of the zone; may be empty.
    apex: String,
    /// Whether names in values end with a dot.
    dotted: bool,
    /// The type by which the top of a zone can be led to a name outside: `ALIAS`, `ANAME`, or `CNAME` where it is flattened;
    /// null: none that we know.
    #[schema(example = "ALIAS")]
    alias: Option<String>,
    /// What else its customers should know, in sentences for them.
    notes: Vec<String>,
}

impl From<&Facts> for CredentialForm {
    fn from(facts: &Facts) -> Self {
        let Facts { credential: format, setup, gate, caveat, min_ttl, flattens_apex: apex_cname, .. } = *facts;
        Self { format, setup, gate, caveat, min_ttl, apex_cname }
    }
}

impl From<&Operator> for ProviderView {
    fn from(operator: &Operator) -> Self {
        let facts = operator.facts();
        let host = match operator.host {
            HostForm::Full => "full",
            HostForm::Relative => "relative",
        };
        let methods = [facts.map(|_| "automatic"), operator.domain_connect.then_some("domain_connect"), Some("manual")];
        Self {
            key: operator.key.clone(),
            name: operator.name.clone(),
            methods: methods.into_iter().flatten().collect(),
            credential: facts.map(Into::into),
            form: Some(RecordForm {
                place: operator.place.clone(),
                host,
                apex: operator.apex.clone(),
                dotted: operator.dotted,
                alias: operator.alias().map(str::to_owned),
                notes: operator.notes.clone(),
            }),
        }
    }
}

impl From<&Facts> for ProviderView {
    fn from(facts: &Facts) -> Self {
        let (key, name) = (facts.key.to_owned(), facts.name.to_owned());
        Self { key, name, methods: vec!["automatic"], credential: Some(facts.into()), form: None }
    }
}

/// The DNS providers that are known, and what each supports. Needs `connections:read`.
#[utoipa::path(get, path = "/v1/providers", tag = "applications",
    responses((status = 200, body = Providers), (status = "4XX", body = Problem)))]
pub(crate) async fn list(KeyOrToken(caller): KeyOrToken) -> Result<Json<Providers>, ApiError> {
    caller.require(Scope::ConnectionsRead)?;
    // Servers of one's own are nobody's product, so they are in no list of operators.
    let others = catalogue().filter(|facts| !operators().iter().any(|operator| operator.key == facts.key));
    let data = operators().iter().map(ProviderView::from).chain(others.map(ProviderView::from)).collect();
    Ok(Json(Providers { data }))
}
