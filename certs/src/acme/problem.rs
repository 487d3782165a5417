//! From what the CA or the ACME library says to [`IssueError`].

use http::StatusCode;
use instant_acme::{Error, Problem};
use serde_json::{Value, json};

use super::http::{CaError, kind_of};
use crate::IssueError;

/// A call is made up to this often when the CA keeps calling good nonces bad; the library signs each up to three times.
/// Where one nonce in five is refused, twelve signatures fail one call in two hundred million.
pub(super) const NONCE_CALLS: u32 = 4;

/// Awaits an ACME call anew as long as its nonce is called bad, within [`NONCE_CALLS`].
macro_rules! signed {
    ($call:expr) => {{
        let mut left = $crate::acme::problem::NONCE_CALLS;
        loop {
            left -= 1;
            match $call.await {
                Err(error) if left > 0 && $crate::acme::problem::is_bad_nonce(&error) => {}
                result => break result,
            }
        }
    }};
}
pub(super) use signed;

/// Whether a nonce that we got from the CA was called bad.
pub(super) fn is_bad_nonce(error: &Error) -> bool {
    matches!(error, Error::Api(problem) if problem.r#type.as_deref().is_some_and(|kind| kind.ends_with(":badNonce")))
}

/// What a failed call means.
pub(super) fn issue_error(error: Error) -> IssueError {
    match error {
        Error::Api(problem) => refused(document(&problem), None, Refusal::Request),
        Error::Other(other) => match other.downcast::<CaError>() {
            Ok(error) => ca_error(*error),
            Err(other) => unreachable(other.as_ref(), None),
        },
        error => unreachable(&error, None),
    }
}

fn ca_error(error: CaError) -> IssueError {
    match error {
        CaError::Problem { status, problem, retry_after } => match status.is_server_error() {
            true => {
                let problem = format!("{status}: {problem}");
                IssueError::Unreachable { problem, retry_after }
            }
            false => {
                let kind = status_kind(status, &problem);
                refused_as(kind, problem, retry_after, Refusal::Request)
            }
        },
        CaError::Status { retry_after, .. } => unreachable(&error, retry_after),
        CaError::TooLong | CaError::Transport(_) => unreachable(&error, None),
    }
}

/// A refusal for being too fast is one, whatever type the problem bears.
fn status_kind(status: StatusCode, problem: &Value) -> String {
    match status {
        StatusCode::TOO_MANY_REQUESTS => "rateLimited".to_owned(),
        _ => kind_of(problem).to_owned(),
    }
}

fn unreachable(error: &(dyn std::error::Error + 'static), retry_after: Option<std::time::Duration>) -> IssueError {
    IssueError::Unreachable { problem: telemetry::chain(error).to_string(), retry_after }
}

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The proof of control.
    Authorization,
    /// A request.
    Request,
}

/// A refusal with its problem document.
pub(super) fn refused(problem: Value, retry_after: Option<std::time::Duration>, refusal: Refusal) -> IssueError {
    refused_as(kind_of(&problem).to_owned(), problem, retry_after, refusal)
}

fn refused_as(kind: String, problem: Value, retry_after: Option<std::time::Duration>, refusal: Refusal) -> IssueError {
    let detail = problem.get("detail").and_then(Value::as_str).unwrap_or("no detail was given").to_owned();
    let authorization = refusal == Refusal::Authorization;
    IssueError::Refused { kind, detail, problem, retry_after, authorization }
}

/// The library's parsed problem as a document again.
pub(super) fn document(problem: &Problem) -> Value {
    let subproblems: Vec<_> = problem
        .subproblems
        .iter()
        .map(|sub| json!({"type": sub.r#type, "detail": sub.detail, "identifier": sub.identifier}))
        .collect();
    json!({
        "type": problem.r#type,
        "detail": problem.detail,
        "status": problem.status,
        "subproblems": subproblems,
    })
}

/// The problem type of a refusal.
pub(super) fn refusal_kind(error: &IssueError) -> Option<&str> {
    match error {
        IssueError::Refused { kind, .. } => Some(kind),
        IssueError::Dns(_)
        | IssueError::Obstacle(_)
        | IssueError::Unreachable { .. }
        | IssueError::Unusable { .. }
        | IssueError::TimedOut { .. }
        | IssueError::Store(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn problem(status: u16, kind: &str) -> IssueError {
        let status = StatusCode::from_u16(status).unwrap();
        let problem = json!({"type": format!("urn:ietf:params:acme:error:{kind}"), "detail": "d"});
        let retry_after = Some(Duration::from_secs(9));
        issue_error(Error::Other(Box::new(CaError::Problem { status, problem, retry_after })))
    }

    #[test]
    fn refusals_keep_type_detail_and_wait() {
        let IssueError::Refused { kind, detail, retry_after, authorization, .. } = problem(403, "caa") else {
            panic!()
        };
        assert_eq!((&*kind, &*detail, retry_after, authorization), ("caa", "d", Some(Duration::from_secs(9)), false));
        assert_eq!(refusal_kind(&problem(429, "malformed")), Some("rateLimited"));
    }

    #[test]
    fn a_failing_ca_is_unreachable_and_not_a_refusal() {
        for error in [
            problem(503, "rateLimited"),
            problem(500, "serverInternal"),
            issue_error(Error::Other(Box::new(CaError::TooLong))),
            issue_error(Error::Str("no nonce")),
            issue_error(Error::Other("replaces field mismatch".into())),
        ] {
            assert!(matches!(error, IssueError::Unreachable { .. }), "{error:?}");
        }
    }
}
