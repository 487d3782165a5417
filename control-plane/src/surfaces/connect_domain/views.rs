//! What this API shows of the core's things.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::state_word;
use crate::core::{
    ApiKey, Application, Attempt, Certificate, Connection, Fix, Moment, ReasonCode, Record, Scope, SetupType,
    TemplateRecord,
};

/// An application.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Application)]
pub(crate) struct ApplicationView {
    id: String,
    name: String,
    #[schema(example = "test")]
    environment: &'static str,
    allowed_origins: Vec<String>,
    /// Empty: a CNAME for subdomains, addresses for apexes.
    record_template: Vec<TemplateRecord>,
    /// Where requests go when a connection does not say.
    default_origin: Option<String>,
    default_keep_host: bool,
    created_at: Time,
    updated_at: Time,
}

/// RFC 3339 with milliseconds, in UTC.
#[derive(Debug, Serialize, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-21T12:00:00.000Z")]
pub(crate) struct Time(Moment);

impl From<Moment> for Time {
    fn from(moment: Moment) -> Self {
        Self(moment)
    }
}

impl From<Application> for ApplicationView {
    fn from(from: Application) -> Self {
        Self {
            id: from.id,
            name: from.name,
            environment: from.environment.as_str(),
            allowed_origins: from.allowed_origins.0,
            record_template: from.record_template.0,
            default_origin: from.default_origin,
            default_keep_host: from.default_keep_host.0,
            created_at: from.created_at.into(),
            updated_at: from.updated_at.into(),
        }
    }
}

/// A key. Its secret is shown once, when it is made.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct KeyView {
    id: String,
    application_id: String,
    name: String,
    prefix: String,
    last4: String,
    #[schema(example = "test")]
    environment: &'static str,
    #[schema(value_type = Vec<String>, example = json!(["connections:read"]))]
    scopes: Vec<Scope>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Moment>,
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Moment>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Moment,
    /// Only in the answer that makes the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl From<ApiKey> for KeyView {
    fn from(from: ApiKey) -> Self {
        Self {
            id: from.id,
            application_id: from.application_id,
            name: from.name,
            prefix: from.prefix,
            last4: from.last4,
            environment: from.environment.as_str(),
            scopes: from.scopes.0,
            last_used_at: from.last_used_at,
            revoked_at: from.revoked_at,
            created_at: from.created_at,
            secret: None,
        }
    }
}

impl KeyView {
    pub(crate) fn with_secret(self, secret: &str) -> Self {
        Self { secret: Some(secret.to_owned()), ..self }
    }
}

/// The TXT record that shows ownership.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChallengeView {
    #[schema(example = "_customdomain-challenge.app.customer.com")]
    name: String,
    #[serde(rename = "type")]
    #[schema(example = "TXT")]
    record_type: &'static str,
    #[schema(example = "cd-verify-…")]
    value: String,
}

/// A record that the customer must publish.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DesiredView {
    host: String,
    #[serde(rename = "type")]
    record_type: String,
    value: String,
    ttl: i64,
    priority: Option<i64>,
}

/// What was seen of a record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ObservedView {
    host: String,
    #[serde(rename = "type")]
    record_type: String,
    value: String,
    propagated: bool,
    observed_value: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    observed_at: Option<Moment>,
}

impl From<&Record> for ObservedView {
    fn from(from: &Record) -> Self {
        Self {
            host: from.host.clone(),
            record_type: from.record_type.clone(),
            value: from.value.clone(),
            propagated: from.propagated.0,
            observed_value: from.observed_value.clone(),
            observed_at: from.observed_at,
        }
    }
}

/// The certificate as the edges tell.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CertificateView {
    #[schema(example = "valid")]
    status: &'static str,
    #[schema(value_type = Option<String>, format = DateTime)]
    not_after: Option<Moment>,
    ca: Option<String>,
    /// The authority's last problem document (RFC 9457).
    problem: Option<Value>,
}

/// One record to change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FixView {
    pub(super) record: FixRecord,
    /// What should stand there; null: nothing.
    pub(super) expected: Option<String>,
    /// What stands there.
    pub(super) seen: Vec<String>,
}

/// Which record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FixRecord {
    pub(super) host: String,
    #[serde(rename = "type")]
    pub(super) record_type: String,
}

impl From<&Fix> for FixView {
    fn from(from: &Fix) -> Self {
        let record = FixRecord { host: from.host.clone(), record_type: from.record_type.clone() };
        Self { record, expected: from.expected.clone(), seen: from.seen.clone() }
    }
}

/// Something that was tried.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttemptView {
    #[schema(value_type = String, format = DateTime)]
    at: Moment,
    /// `ownership`, `routing`, `certificate` or `domain_connect` (a customer came back from the provider's page).
    kind: String,
    /// `ok`, `waiting` or `failed`.
    outcome: String,
    reason_code: Option<String>,
    /// The reason, or the edge's report with the authority's problem document.
    detail: Option<Value>,
}

impl From<&Attempt> for AttemptView {
    fn from(from: &Attempt) -> Self {
        Self {
            at: from.at,
            kind: from.kind.clone(),
            outcome: from.outcome.clone(),
            reason_code: from.reason_code.clone(),
            detail: from.detail.as_ref().map(|detail| detail.0.clone()),
        }
    }
}

/// A connection.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Connection)]
pub(crate) struct ConnectionView {
    id: String,
    /// The same as `id`.
    #[serde(rename = "jobId")]
    job_id: String,
    application_id: String,
    hostname: String,
    /// `apex` or `subdomain`.
    kind: &'static str,
    setup_type: &'static str,
    provider: Option<String>,
    batch_id: Option<String>,
    #[schema(example = "pending_ownership")]
    state: &'static str,
    error_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ownership_challenge: Option<ChallengeView>,
    desired_records: Vec<DesiredView>,
    observed_records: Vec<ObservedView>,
    certificate: CertificateView,
    /// Where requests go; null: the application's default.
    origin: Option<String>,
    keep_host: bool,
    /// Why it is not live, for programs.
    reason_code: Option<String>,
    /// The same for you.
    message: Option<String>,
    /// The same for your customer.
    user_message: Option<String>,
    /// The record to change.
    fix: Option<FixView>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_checked_at: Option<Moment>,
    #[schema(value_type = Option<String>, format = DateTime)]
    next_check_at: Option<Moment>,
    /// When the next certificate order is tried.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<Moment>,
    /// The newest first.
    attempts: Vec<AttemptView>,
    /// Why a person should look at the name; empty for nearly all. `brand`: it has the name of a domain that the operator
    /// listed, or what looks like it. `confusable`: letters of another script look like Latin ones. `mixed_script`: a label
    /// mixes scripts that no language mixes. Nothing is refused for it. There may be more words later.
    #[schema(example = json!([]))]
    review: Vec<&'static str>,
    #[schema(value_type = Option<String>, format = DateTime)]
    verified_at: Option<Moment>,
    #[schema(value_type = Option<String>, format = DateTime)]
    live_at: Option<Moment>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Moment,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Moment,
}

impl From<Connection> for ConnectionView {
    fn from(from: Connection) -> Self {
        // Nobody has to publish what we write, unless what we write does not get where it should.
        let is_lost = from.reason().is_some_and(|reason| reason.is(ReasonCode::RecordsNotServed));
        let by_hand = from.claim.setup_type == SetupType::Manual || is_lost;
        let challenge = from.challenge().filter(|_| by_hand).map(|proof| ChallengeView {
            name: proof.name.clone(),
            record_type: "TXT",
            value: proof.expected.clone(),
        });
        let reason = from.reason();
        Self {
            job_id: from.claim.id.clone(),
            hostname: from.claim.hostname.as_str().to_owned(),
            kind: from.claim.kind.as_str(),
            setup_type: from.claim.setup_type.as_str(),
            state: state_word(&from.claim),
            ownership_challenge: challenge,
            desired_records: from.records.iter().map(desired).collect(),
            observed_records: from
                .records
                .iter()
                .filter(|record| record.observed_at.is_some())
                .map(Into::into)
                .collect(),
            certificate: certificate(from.certificate.as_ref(), &from.claim),
            keep_host: from.claim.keep_host.0,
            reason_code: reason.map(|reason| reason.code.clone()),
            message: reason.map(crate::core::Reason::message),
            user_message: reason.map(crate::core::Reason::user_message),
            fix: reason.and_then(|reason| reason.fix.as_ref()).map(Into::into),
            attempts: from.attempts.iter().map(Into::into).collect(),
            review: from.review.iter().map(|suspicion| suspicion.code()).collect(),
            application_id: from.claim.application_id,
            provider: from.claim.provider,
            batch_id: from.claim.batch_id,
            error_code: from.claim.error_code,
            origin: from.claim.origin,
            last_checked_at: from.claim.last_checked_at,
            next_check_at: from.claim.next_check_at,
            next_attempt_at: from.claim.next_attempt_at,
            verified_at: from.claim.verified_at,
            live_at: from.claim.live_at,
            created_at: from.claim.created_at,
            updated_at: from.claim.updated_at,
            id: from.claim.id,
        }
    }
}

fn desired(record: &Record) -> DesiredView {
    DesiredView {
        host: record.host.clone(),
        record_type: record.record_type.clone(),
        value: record.value.clone(),
        ttl: record.ttl,
        priority: record.priority,
    }
}

fn certificate(known: Option<&Certificate>, claim: &crate::core::Claim) -> CertificateView {
    CertificateView {
        status: claim.certificate.as_str(),
        not_after: known.and_then(|known| known.not_after),
        ca: known.and_then(|known| known.ca.clone()),
        problem: known.and_then(|known| known.problem.clone()).map(|problem| problem.0),
    }
}
