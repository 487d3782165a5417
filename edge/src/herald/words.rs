//! Reports in the words that both planes share. Pure.

use certs::{Attempt, Failure, Leaf};
use clock::Timestamp;
use control_api::{CertificateReport, Problem, ReportKind, Subproblem};
use control_client::Listed;
use names::Hostname;
use serde_json::Value;

/// Longest text of a problem that is passed on, in characters; the CA decides its length.
const LONGEST: usize = 1000;
/// Most subproblems that are passed on: orders are for one name.
const SUBPROBLEMS: usize = 10;

/// The report of a first certificate.
pub(super) fn issued(name: &Hostname, leaf: &Leaf, listed: &Listed, issuer: &str, at: Timestamp) -> CertificateReport {
    CertificateReport {
        id: format!("{}.{}", listed.connection_id.as_deref().unwrap_or(name.as_str()), leaf.serial()),
        serial: Some(leaf.serial().to_owned()),
        not_before_ms: Some(leaf.not_before().as_millis()),
        not_after_ms: Some(leaf.not_after().as_millis()),
        ..blank(name, ReportKind::Issued, issuer, at)
    }
}

/// The report of a failed order: the last issuer's words that hold a problem document, else the last issuer's.
pub(super) fn failed(
    name: &Hostname,
    failure: &Failure,
    issuer: impl Fn(&str) -> String,
    again: Option<Timestamp>,
    at: Timestamp,
) -> CertificateReport {
    let told = failure.last.iter().rfind(|attempt| attempt.problem.is_some()).or_else(|| failure.last.last());
    CertificateReport {
        attempt: failure.in_a_row().max(1),
        problem: told.map(problem),
        next_attempt_ms: again.map(Timestamp::as_millis),
        ..blank(name, ReportKind::Failed, &told.map(|told| issuer(&told.issuer)).unwrap_or_default(), at)
    }
}

/// An empty id is filled in by the reporter.
fn blank(name: &Hostname, kind: ReportKind, issuer: &str, at: Timestamp) -> CertificateReport {
    CertificateReport {
        id: String::new(),
        hostname: name.clone(),
        kind,
        at_ms: at.as_millis(),
        issuer: issuer.to_owned(),
        attempt: 1,
        serial: None,
        not_before_ms: None,
        not_after_ms: None,
        problem: None,
        next_attempt_ms: None,
    }
}

/// The CA's own document, or our words in its form.
fn problem(attempt: &Attempt) -> Problem {
    let Some(document) = attempt.problem.as_ref().filter(|document| document.is_object()) else {
        let kind = format!("urn:namegate:{}", attempt.reason);
        return Problem { kind, detail: short(&attempt.detail), ..Problem::default() };
    };
    let status = document.get("status").and_then(Value::as_u64);
    let parts = document.get("subproblems").and_then(Value::as_array);
    Problem {
        kind: text(document, "type"),
        detail: text(document, "detail"),
        status: status.and_then(|status| u16::try_from(status).ok()),
        subproblems: parts.into_iter().flatten().take(SUBPROBLEMS).map(subproblem).collect(),
    }
}

fn subproblem(document: &Value) -> Subproblem {
    // RFC 8555 section 6.7.1: `{"type":"dns","value":"shop.example"}`.
    let identifier = document.get("identifier").map(|identifier| text(identifier, "value"));
    Subproblem { kind: text(document, "type"), detail: text(document, "detail"), identifier }
}

fn text(document: &Value, key: &str) -> String {
    document.get(key).and_then(Value::as_str).map(short).unwrap_or_default()
}

fn short(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use certs::Fault;
    use serde_json::json;

    use super::*;

    fn attempt(issuer: &str, problem: Option<Value>) -> Attempt {
        Attempt {
            issuer: issuer.to_owned(),
            reason: "unreachable".to_owned(),
            detail: "the CA cannot be used now: refused".to_owned(),
            problem,
            fault: Fault::Ca,
            retry_after: None,
        }
    }

    fn report(last: Vec<Attempt>) -> CertificateReport {
        let failure = Failure { last, attempts: 2, ..Failure::default() };
        let at = Timestamp::from_secs(5);
        failed(&"shop.example".parse().unwrap(), &failure, |key| format!("https://{key}"), Some(at), at)
    }

    #[test]
    fn the_ca_s_document_is_passed_on_whole_and_its_identifiers_as_names() {
        let document = json!({"type": "urn:ietf:params:acme:error:compound", "detail": "x".repeat(5000), "status": 403,
            "subproblems": [{"type": "urn:ietf:params:acme:error:caa", "detail": "CAA forbids",
                "identifier": {"type": "dns", "value": "shop.example"}}]});
        let report = report(vec![attempt("a", Some(document)), attempt("b", None)]);
        let problem = report.problem.unwrap();
        assert_eq!((report.issuer.as_str(), report.attempt, report.next_attempt_ms), ("https://a", 2, Some(5000)));
        assert_eq!((problem.kind.as_str(), problem.status), ("urn:ietf:params:acme:error:compound", Some(403)));
        assert_eq!(problem.detail.len(), LONGEST);
        assert_eq!(problem.subproblems[0].identifier.as_deref(), Some("shop.example"));
        assert_eq!(problem.subproblems[0].detail, "CAA forbids");
    }

    #[test]
    fn without_a_document_the_edge_s_own_words_take_its_form() {
        for odd in [None, Some(json!("cut to a text"))] {
            let report = report(vec![attempt("a", odd)]);
            assert_eq!(report.problem.unwrap().kind, "urn:namegate:unreachable");
        }
        assert_eq!(report(Vec::new()).problem, None);
    }
}
