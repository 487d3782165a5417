//! [`preflight`]: everything in the DNS that would make an order fail or visitors land elsewhere, found before a CA is
//! asked. Failed validations are counted by the CA against the name; questions here are free.
//!
//! [`gather`](facts) asks, [`routing`] and [`trust`] judge. Judging is pure.

mod facts;
mod routing;
mod trust;

use names::Hostname;

use super::{DesiredRecord, EdgeTargets, Finding, FindingCode, caa::CaIdentity};
use crate::{OwnerName, Resolvers};

/// Longest name that the certificate stores can keep: a file's name is at most 255 bytes, its ending takes 5.
const MAX_STORED: usize = 250;
/// Labels that public CAs accept (Boulder's limit).
const MAX_LABELS: usize = 10;

/// What should be the case.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// Where the name must lead.
    pub edge: &'a EdgeTargets,
    /// The records that the customer was told to make.
    pub desired: &'a [DesiredRecord],
    /// The CA that will be asked.
    pub ca: &'a CaIdentity,
}

/// Everything that stands in the way, blocking things first. Empty: an order has no reason to fail in the DNS.
pub async fn preflight(resolvers: &Resolvers, hostname: &Hostname, expected: &Expectation<'_>) -> Vec<Finding> {
    resolvers.metrics().checked("preflight");
    let host = OwnerName::from(hostname);
    let facts = Box::pin(facts::gather(resolvers, hostname, &host, expected)).await;
    let mut findings = name_rules(hostname, &host);
    findings.extend(routing::judge(&facts, expected));
    findings.extend(trust::judge(&facts, expected));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn name_rules(hostname: &Hostname, host: &OwnerName) -> Vec<Finding> {
    let (length, labels) = (hostname.as_str().len(), hostname.as_str().split('.').count());
    let mut findings = Vec::new();
    if length > MAX_STORED {
        findings.push(Finding::new(
            FindingCode::NameTooLong,
            format!("{host} has {length} bytes; certificates can be stored for names of up to {MAX_STORED}"),
            format!("The name is too long. Please use one of at most {MAX_STORED} characters."),
        ));
    }
    if labels > MAX_LABELS {
        findings.push(Finding::new(
            FindingCode::NameTooDeep,
            format!("{host} has {labels} labels; public CAs accept {MAX_LABELS}"),
            format!("The name has too many parts. Please use one with at most {MAX_LABELS} parts between dots."),
        ));
    }
    findings
}
