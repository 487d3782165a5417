//! `domains:check`: what a domain is, before anybody connects it.

use axum::{Json, extract::State};
use dns::{
    check::{Finding, Severity},
    provider::Operator,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ApiError, AppState,
    auth::KeyOrToken,
    body::Body,
    error::Problem,
    views::{FixRecord, FixView},
};
use crate::{
    checks,
    core::{Caller, CoreError, Kind, Prospect},
    domains::{Delegation, Offer, Sight, Standing},
};

/// Which domain.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckDomain {
    /// In any spelling, Unicode too.
    #[schema(example = "shop.customer.com")]
    domain: String,
    /// For which application: its records and credentials count. A widget token has its own.
    #[serde(default)]
    application_id: Option<String>,
}

/// What a domain is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckedDomain {
    /// The domain in its one spelling.
    #[schema(example = "shop.customer.com")]
    domain: String,
    /// `apex` or `subdomain`.
    kind: &'static str,
    /// The domain that its owner registered.
    #[schema(example = "customer.com")]
    apex: String,
    zone: ZoneView,
    /// Who runs the zone's servers, as far as their names tell.
    provider: Option<OperatorView>,
    /// The way that costs the customer least; the first of `setup_types`.
    #[schema(example = "domain_connect")]
    setup_type: &'static str,
    /// All ways that are open: `automatic`, `domain_connect`, `manual`.
    setup_types: Vec<&'static str>,
    domain_connect: OfferView,
    /// Whether the provider can lead the top of a zone to a name (ALIAS, ANAME, a flattened CNAME); null: not known.
    apex_flattening: Option<bool>,
    /// Connect `www` and redirect the apex there: the provider cannot lead an apex to us.
    www_redirect_recommended: bool,
    capabilities: Capabilities,
    current: CurrentRecords,
    /// What would keep the domain from working as it stands, the worst first.
    findings: Vec<FindingView>,
}

/// The zone that holds the domain.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ZoneView {
    /// Its name; the registered domain while it could not be told.
    #[schema(example = "customer.com")]
    name: String,
    name_servers: SightView,
}

/// Who runs a zone.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OperatorView {
    #[schema(example = "cloudflare")]
    key: String,
    #[schema(example = "Cloudflare")]
    name: String,
}

/// Whether the provider writes the records itself, after the customer said yes there.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OfferView {
    /// null: it could not be told.
    available: Option<bool>,
    /// The provider by its own name.
    provider_name: Option<String>,
    /// Why not, or why it could not be told.
    #[schema(example = "no_template")]
    reason: Option<&'static str>,
}

/// What can be had for the domain.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Capabilities {
    /// Whether `*.` of the domain can be connected.
    wildcard: bool,
}

/// What stands at the domain now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CurrentRecords {
    a: SightView,
    aaaa: SightView,
    cname: SightView,
    /// From the domain or the nearest name above it that has some.
    caa: SightView,
    mx: SightView,
}

/// What was seen of one type.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SightView {
    /// `present`, `absent` or `indeterminate`.
    #[schema(example = "present")]
    status: &'static str,
    values: Vec<String>,
    /// Why it could not be told.
    reason: Option<&'static str>,
}

/// One thing that stands, or may stand, in the way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FindingView {
    #[schema(example = "caa_forbids")]
    code: &'static str,
    /// `blocking`, `unclear`, `pending` or `warning`.
    severity: &'static str,
    /// For you.
    message: String,
    /// For your customer.
    user_message: String,
    /// The record to change.
    fix: Option<FixView>,
}

/// Analyse a domain before it is connected: whose servers it is at, which ways of setting it up are open, what stands there
/// now and what would be in the way. Nothing is kept. Needs `connections:read` or `connections:write`.
#[utoipa::path(post, path = "/v1/domains:check", tag = "connections", request_body = CheckDomain,
    responses((status = 200, body = CheckedDomain),
        (status = 429, body = Problem, description = "`rate_limited`: asked too often", headers(("Retry-After" = u64,
            description = "Seconds until the next look"))),
        (status = "4XX", body = Problem)))]
pub(crate) async fn check(
    State(state): State<AppState>,
    KeyOrToken(caller): KeyOrToken,
    body: Body<CheckDomain>,
) -> Result<Json<CheckedDomain>, ApiError> {
    let CheckDomain { domain, application_id } = body.value;
    let prospect = state.core.prospect(&caller, application_id.as_deref(), &domain).await.map_err(at_domain)?;
    throttle(&state, &caller, &prospect).inspect_err(|_| state.metrics.checks_refused.inc())?;
    let desired: Vec<_> = prospect.records.iter().filter_map(checks::foreseen).collect();
    let all = (desired.len() == prospect.records.len()).then_some(desired.as_slice());
    let domains = &state.domains;
    let (standing, findings, (delegation, offer)) =
        futures::join!(domains.standing(&prospect.hostname), domains.findings(&prospect.hostname, &desired), async {
            let delegation = domains.delegation(&prospect.hostname).await;
            let offer = domains.offer(&prospect.hostname, &delegation.zone, all).await;
            (delegation, offer)
        });
    Ok(Json(view(&state, prospect, delegation, offer, standing, &findings)))
}

/// The core calls it a hostname.
fn at_domain(error: CoreError) -> ApiError {
    match error {
        CoreError::BadHostname(rule) => ApiError::bad_name("/domain", rule),
        CoreError::NameRefused(rule) => ApiError::refused_name("/domain", rule),
        other => other.into(),
    }
}

/// A look costs dozens of questions to other people's servers: of one domain as of one connection, of all together as of
/// one application.
fn throttle(state: &AppState, caller: &Caller, prospect: &Prospect) -> Result<(), ApiError> {
    let whose = prospect.application_id.as_ref().unwrap_or(&caller.account_id);
    let domain = format!("{whose}/{}", prospect.apex);
    state.take_look(&domain, whose)
}

fn view(
    state: &AppState,
    prospect: Prospect,
    delegation: Delegation,
    offer: Offer,
    standing: Standing,
    findings: &[Finding],
) -> CheckedDomain {
    let apex_flattening = delegation.operator.and_then(Operator::flattens);
    let has_addresses = !state.domains.edge().addresses.is_empty();
    let setup_types = setup_types(&prospect, &delegation, &offer);
    CheckedDomain {
        domain: prospect.hostname.as_str().to_owned(),
        kind: prospect.kind.as_str(),
        apex: prospect.apex,
        provider: delegation
            .operator
            .map(|operator| OperatorView { key: operator.key.clone(), name: operator.name.clone() }),
        zone: ZoneView { name: delegation.zone.to_string(), name_servers: sight(delegation.servers) },
        setup_type: setup_types.first().copied().unwrap_or(MANUAL),
        setup_types,
        domain_connect: offer.into(),
        apex_flattening,
        www_redirect_recommended: prospect.kind == Kind::Apex && !has_addresses && apex_flattening != Some(true),
        capabilities: Capabilities { wildcard: prospect.wildcard },
        current: CurrentRecords {
            a: sight(standing.a),
            aaaa: sight(standing.aaaa),
            cname: sight(standing.cname),
            caa: sight(standing.caa),
            mx: sight(standing.mx),
        },
        findings: findings.iter().map(Into::into).collect(),
    }
}

const MANUAL: &str = "manual";

/// The ways in the order of what they cost the customer. Servers of one's own have no operator.
fn setup_types(prospect: &Prospect, delegation: &Delegation, offer: &Offer) -> Vec<&'static str> {
    let key = delegation.operator.map_or("rfc2136", |operator| operator.key.as_str());
    let automatic = prospect.credentials.iter().any(|provider| provider == key);
    let offered = matches!(offer, Offer::Given { .. });
    [automatic.then_some("automatic"), offered.then_some("domain_connect"), Some(MANUAL)]
        .into_iter()
        .flatten()
        .collect()
}

impl From<&Operator> for OperatorView {
    fn from(from: &Operator) -> Self {
        Self { key: from.key.clone(), name: from.name.clone() }
    }
}

impl From<Offer> for OfferView {
    fn from(offer: Offer) -> Self {
        let no = |available, reason| Self { available, provider_name: None, reason: Some(reason) };
        match offer {
            Offer::Given { settings, certain, .. } => Self {
                available: certain.then_some(true),
                provider_name: Some(settings.provider_name.clone()),
                reason: (!certain).then_some("not_answered"),
            },
            Offer::None(why) => no(why.is_no().then_some(false), why.code()),
            Offer::Off => no(Some(false), "not_configured"),
            Offer::OtherRecords => no(Some(false), "other_records"),
        }
    }
}

fn sight(sight: Sight<impl ToString>) -> SightView {
    let (status, reason) = match &sight {
        Sight::Absent => ("absent", None),
        Sight::Present(_) => ("present", None),
        Sight::Unknown(reason) => ("indeterminate", Some(*reason)),
    };
    SightView { status, values: sight.values().iter().map(ToString::to_string).collect(), reason }
}

impl From<&Finding> for FindingView {
    fn from(from: &Finding) -> Self {
        let fix = from.record.as_ref().map(|record| FixView {
            record: FixRecord { host: record.host.to_string(), record_type: record.kind.to_owned() },
            expected: from.expected.clone(),
            seen: from.seen.clone().into_iter().collect(),
        });
        let severity = match from.severity {
            Severity::Blocking => "blocking",
            Severity::Unclear => "unclear",
            Severity::Pending => "pending",
            Severity::Warning => "warning",
        };
        let (message, user_message) = (from.message.clone(), from.user_message.clone());
        Self { code: from.code.as_str(), severity, message, user_message, fix }
    }
}
