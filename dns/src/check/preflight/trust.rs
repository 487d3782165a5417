//! Whether the answers can be had at all, and whether the CA may issue.

use super::{
    Expectation,
    facts::{Facts, reasons},
};
use crate::{
    Answer, CaaRecord, OwnerName, Reason, Role,
    check::{
        Finding, FindingCode,
        caa::{CaaVerdict, evaluate},
        view::{View, shown},
    },
};

pub(super) fn judge(facts: &Facts, expected: &Expectation<'_>) -> Vec<Finding> {
    let resolution = resolution(facts);
    let caa = caa(facts, expected);
    // A zone that cannot be read cannot be read for CAA either: once is enough.
    let unread = resolution.is_some();
    resolution.into_iter().chain(caa.filter(|found| !(unread && found.code == FindingCode::CaaUnreadable))).collect()
}

/// Why the world cannot resolve the name. One resolver that can is enough: CAs bring their own.
fn resolution(facts: &Facts) -> Option<Finding> {
    let (recursive, authority): (Vec<&View>, Vec<&View>) =
        facts.views.iter().partition(|view| view.voter.role == Role::Recursive);
    let voices = if recursive.is_empty() { authority } else { recursive };
    let definite = voices.iter().any(|view| view.addresses().is_definite() && reasons(view).next().is_none());
    let worst = voices.iter().flat_map(|view| reasons(view)).min()?;
    if facts.bogus {
        return Some(unresolved(facts, Reason::Bogus));
    }
    (!definite).then(|| unresolved(facts, worst))
}

fn unresolved(facts: &Facts, reason: Reason) -> Finding {
    let host = &facts.host;
    let (code, user) = match reason {
        Reason::Bogus => (
            FindingCode::DnsBogus,
            format!(
                "DNSSEC of {host} is broken. Remove the DS record at your registrar, or have the zone signed anew."
            ),
        ),
        Reason::ChainLoop | Reason::ChainTooLong => (
            FindingCode::CnameLoop,
            format!("The CNAME records of {host} lead in a circle. Point the first one straight to its target."),
        ),
        Reason::ServFail => (
            FindingCode::DnsServfail,
            format!("The DNS servers of {host} fail. Please ask your DNS provider to look at the zone."),
        ),
        Reason::TooMany => (
            FindingCode::DnsTooManyRecords,
            format!("{host} has more records than can be checked. Please keep only those that are needed."),
        ),
        Reason::Error
        | Reason::Malformed
        | Reason::Name
        | Reason::NoServer
        | Reason::NotResponsible
        | Reason::Overloaded
        | Reason::Refused
        | Reason::Timeout
        | Reason::Unreachable => (
            FindingCode::DnsUnreachable,
            format!("The DNS servers of {host} do not answer. We keep trying; nothing is needed from you yet."),
        ),
    };
    let finding = Finding::new(code, format!("{host} cannot be resolved: {reason}"), user);
    // Broken signatures and circles are facts; silence and failure may be gone in a minute.
    let is_fact = matches!(code, FindingCode::DnsBogus | FindingCode::CnameLoop);
    let finding = if is_fact { finding } else { finding.unclear() };
    finding.seen(Some(reason.code().to_owned()))
}

fn caa(facts: &Facts, expected: &Expectation<'_>) -> Option<Finding> {
    match &facts.caa {
        Answer::Absent(_) => None,
        Answer::Indeterminate(reason) => Some(unreadable(&facts.host, *reason)),
        Answer::Present((at, records)) => {
            let finding = refused(evaluate(records, false, expected.ca), at, expected)?;
            Some(finding.at(at, "CAA").expected(wanted(expected)).seen(shown_caa(records)))
        }
    }
}

fn refused(verdict: CaaVerdict, at: &OwnerName, expected: &Expectation<'_>) -> Option<Finding> {
    let add = match wanted(expected) {
        Some(record) => format!("Add the CAA record {record} to {at}, or delete its CAA records."),
        None => format!("Delete the CAA records of {at}."),
    };
    let (code, message, user) = match verdict {
        CaaVerdict::Allowed => return None,
        CaaVerdict::OtherIssuer => (
            FindingCode::CaaForbids,
            format!("CAA at {at} does not allow our certificate authority"),
            format!("{at} does not allow our certificate authority. {add}"),
        ),
        CaaVerdict::UnknownCritical => (
            FindingCode::CaaForbids,
            format!("CAA at {at} has a critical property that certificate authorities do not know"),
            format!("A CAA record of {at} is marked critical and unknown. Delete that record."),
        ),
        CaaVerdict::OtherAccount => (
            FindingCode::CaaAccount,
            format!("CAA at {at} names another account (accounturi)"),
            format!("The CAA record of {at} allows another account only. {add}"),
        ),
        CaaVerdict::OtherMethod => (
            FindingCode::CaaMethod,
            format!("CAA at {at} allows other validation methods only (validationmethods)"),
            format!("The CAA record of {at} allows validation methods that we do not use. {add}"),
        ),
    };
    Some(Finding::new(code, message, user))
}

fn unreadable(host: &OwnerName, reason: Reason) -> Finding {
    let message = format!("the CAA records of {host} cannot be read: {reason}");
    let user = format!(
        "Your DNS servers do not answer questions for CAA records of {host}, which certificate authorities insist on. \
         Please ask your DNS provider."
    );
    let finding = Finding::new(FindingCode::CaaUnreadable, message, user).unclear();
    finding.at(host, "CAA").seen(Some(reason.code().to_owned()))
}

/// `None` when it is not known what our CA is called.
fn wanted(expected: &Expectation<'_>) -> Option<String> {
    expected.ca.domains.first().map(|domain| format!("0 issue \"{domain}\""))
}

fn shown_caa(records: &[CaaRecord]) -> Option<String> {
    shown(
        records.iter().map(|record| format!("{} {} \"{}\"", u8::from(record.critical) * 128, record.tag, record.value)),
    )
}
