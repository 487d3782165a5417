//! Errors on the wire: one object that RFC 9457 clients and clients of the original API both read.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use names::HostnameError;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    core::{CoreError, NameRule},
    db::DbError,
    surfaces::request_id,
};

/// When to come again while the database is away or a request is under way.
const RETRY_AFTER: u64 = 2;

/// What a client is told instead of its result.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: Option<Box<Value>>,
    pointer: Option<String>,
    /// When to come again.
    retry_after: Option<u64>,
    /// Beside `error` as well: the original documents it in both places.
    beside: Option<Box<Value>>,
}

/// The error object.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Problem {
    /// Always `about:blank`: the code says what happened.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// For people.
    detail: String,
    /// For programs; the same as `error.code`.
    code: &'static str,
    /// The same as the X-Request-Id header.
    request_id: String,
    /// Which values of the body break which rule (RFC 6901 pointers).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// The same in the form of the original API.
    error: ErrorBody,
    /// Where to get a larger plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    upgrade_url: Option<Box<Value>>,
}

/// A value that breaks a rule.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct FieldError {
    /// Where it stands in the body.
    pointer: String,
    /// The rule.
    detail: String,
}

/// The error in the form of the original API.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ErrorBody {
    /// For programs.
    code: &'static str,
    /// For people.
    message: String,
    /// More, by code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    details: Option<Box<Value>>,
    /// Where to get a larger plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    upgrade_url: Option<Box<Value>>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: None, pointer: None, retry_after: None, beside: None }
    }

    pub(crate) fn details(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    pub(crate) fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        let pointer = pointer.into();
        let error = Self::new(StatusCode::BAD_REQUEST, "invalid", message);
        Self { details: Some(Box::new(json!({"pointer": pointer}))), pointer: Some(pointer), ..error }
    }

    /// A text that is no hostname.
    pub(crate) fn bad_name(pointer: &str, rule: HostnameError) -> Self {
        Self::against_rule(pointer, rule.code(), &CoreError::BadHostname(rule))
    }

    /// A hostname that nobody may claim.
    pub(crate) fn refused_name(pointer: &str, rule: NameRule) -> Self {
        Self::against_rule(pointer, rule.code(), &CoreError::NameRefused(rule))
    }

    fn against_rule(pointer: &str, rule: &str, error: &CoreError) -> Self {
        let error = Self::invalid(pointer, telemetry::chain(error).to_string());
        error.details(json!({"pointer": pointer, "rule": rule}))
    }

    pub(crate) fn no_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this route has no such method; see Allow")
    }

    pub(crate) fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "no such route")
    }

    /// Told to come again after a while; in whole seconds, so that it is not told twice.
    pub(crate) fn too_often(wait: Duration) -> Self {
        let message = "this was asked for too often; the service looks by itself meanwhile";
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self { retry_after: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message) }
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "the key or token is missing, not valid or revoked")
    }
}

impl From<CoreError> for ApiError {
    fn from(error: CoreError) -> Self {
        let text = error.to_string();
        let with = |status, code| Self::new(status, code, text.clone());
        match error {
            CoreError::NotFound { .. } => with(StatusCode::NOT_FOUND, "not_found"),
            CoreError::Unauthorized => Self::unauthorized(),
            CoreError::LacksScope { scope } => {
                with(StatusCode::FORBIDDEN, "forbidden").details(json!({"scope": scope}))
            }
            CoreError::Invalid { pointer, .. } => Self::invalid(pointer, text),
            CoreError::BadHostname(rule) => Self::bad_name("/hostname", rule),
            CoreError::NameRefused(rule) => Self::refused_name("/hostname", rule),
            CoreError::HostnameConflict { hostname, own_connection } => with(StatusCode::CONFLICT, "HostnameConflict")
                .details(json!({"hostname": hostname, "connection_id": own_connection})),
            CoreError::OwnershipNotFound { reason } => {
                with(StatusCode::CONFLICT, "ownership_not_found").details(json!({
                    "reason_code": reason.code, "message": reason.message(), "user_message": reason.user_message(),
                    "fix": reason.fix,
                }))
            }
            CoreError::WrongState { lifecycle } => {
                with(StatusCode::CONFLICT, "wrong_state").details(json!({"state": lifecycle}))
            }
            CoreError::EndpointDisabled => with(StatusCode::CONFLICT, "endpoint_disabled"),
            CoreError::QuotaExceeded { kind, limit, plan } => with(StatusCode::PAYMENT_REQUIRED, "QuotaExceeded")
                .details(json!({"limit": limit, "plan": plan, "kind": kind})),
            CoreError::IdempotencyInFlight => with(StatusCode::CONFLICT, "idempotency_in_flight"),
            CoreError::IdempotencyReused => with(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
            CoreError::NoKeyring => with(StatusCode::SERVICE_UNAVAILABLE, "no_key_file"),
            CoreError::Raced => with(StatusCode::CONFLICT, "conflict"),
            CoreError::Db(DbError::Unavailable(_)) => unavailable(&error),
            CoreError::Db(_) | CoreError::Seal(_) => internal(&error),
        }
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        CoreError::from(error).into()
    }
}

fn unavailable(error: &CoreError) -> ApiError {
    tracing::warn!(error = %telemetry::chain(error), request_id = request_id::current(), "the database is away");
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the service cannot reach its database; try again")
}

/// What went wrong stays in the log: a driver's words are nobody's business outside.
fn internal(error: &CoreError) -> ApiError {
    tracing::error!(error = %telemetry::chain(error), request_id = request_id::current(), "a request failed");
    let message = "something went wrong on our side; name the request id when you ask about it";
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
}

impl ApiError {
    /// Puts where to upgrade into the answer of a reached limit.
    pub(crate) fn upgrade_at(mut self, url: Option<&str>) -> Self {
        if self.code == "QuotaExceeded" {
            self.beside = url.map(|url| Box::new(Value::from(url)));
        }
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { status, code, message, details, pointer, retry_after, beside } = self;
        let problem = Problem {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: message.clone(),
            code,
            request_id: request_id::current(),
            errors: pointer.map(|pointer| FieldError { pointer, detail: message.clone() }).into_iter().collect(),
            error: ErrorBody { code, message, details, upgrade_url: beside.clone() },
            upgrade_url: beside,
        };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(super::problems::PROBLEM_TYPE));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let is_passing = status == StatusCode::SERVICE_UNAVAILABLE || code == "idempotency_in_flight";
        if let Some(seconds) = retry_after.or_else(|| is_passing.then_some(RETRY_AFTER)) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
