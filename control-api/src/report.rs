//! What an edge tells of its certificates: `POST /internal/certificates` with a [`Reports`].
//!
//! Delivered at least once: a report whose answer was lost comes again under the same `id`. Any 2xx means that the whole
//! batch is kept. 400, 413 and 422 refuse the batch as it is; the edge then sends its reports one by one and drops
//! those that are refused alone. Everything else is tried again later.

use names::Hostname;
use serde::{Deserialize, Serialize};

/// A batch, in the order in which things happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reports {
    /// At most [`Reports::MOST`].
    pub reports: Vec<CertificateReport>,
}

impl Reports {
    /// Most reports in one batch.
    pub const MOST: usize = 100;
}

/// What happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportKind {
    /// An order failed.
    Failed,
    /// The first certificate of a name.
    Issued,
    /// A certificate that follows another.
    Renewed,
    /// Something that a newer edge tells of.
    #[default]
    #[serde(other)]
    Unknown,
}

/// One step in the life of a name's certificate. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateReport {
    /// The same whenever the same report comes again, another for every other report of any edge.
    pub id: String,
    /// The name.
    pub hostname: Hostname,
    /// What happened.
    pub kind: ReportKind,
    /// When.
    pub at_ms: u64,
    /// Who signs: an ACME directory's URL, or `internal`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub issuer: String,
    /// Which attempt in a row this was, from 1.
    #[serde(default)]
    pub attempt: u32,
    /// Serial number in lower-case hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Start of the certificate's life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before_ms: Option<u64>,
    /// End of the certificate's life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after_ms: Option<u64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// When the edge tries again; nothing when it does not by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_ms: Option<u64>,
}

/// The CA's problem document (RFC 9457, RFC 8555 section 6.7), or the edge's own words in the same form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// `urn:ietf:params:acme:error:…`, or `urn:namegate:…` for a failure on the edge's side.
    #[serde(rename = "type")]
    pub kind: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The HTTP status that it came with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What was wrong with which identifier.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subproblems: Vec<Subproblem>,
}

/// A part of a [`Problem`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subproblem {
    /// As in [`Problem::kind`].
    #[serde(rename = "type")]
    pub kind: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The name that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_needs_no_more_than_what_every_step_has() {
        let text = r#"{"reports":[{"id":"1","hostname":"a.example","kind":"failed","at_ms":5,"problem":
            {"type":"urn:ietf:params:acme:error:caa","detail":"CAA forbids","status":403,"instance":"x"}}]}"#;
        let reports = serde_json::from_str::<Reports>(text).unwrap().reports;
        assert_eq!(reports[0].kind, ReportKind::Failed);
        assert_eq!(reports[0].problem.as_ref().unwrap().kind, "urn:ietf:params:acme:error:caa");
        let again = serde_json::to_string(&reports).unwrap();
        assert_eq!(serde_json::from_str::<Vec<CertificateReport>>(&again).unwrap(), reports);
    }

    #[test]
    fn a_kind_of_the_future_is_no_error() {
        let text = r#"{"id":"1","hostname":"a.example","kind":"revoked","at_ms":5}"#;
        assert_eq!(serde_json::from_str::<CertificateReport>(text).unwrap().kind, ReportKind::Unknown);
    }
}
