//! What the DNS says.

use dns::{
    Answer, Role,
    check::{Finding, FindingCode, ObservedRecord, ServerView, Severity},
    merge::{Verdict, Vote},
};

use crate::doctor::{Challenge, Check, Facts, Status};

pub(super) fn delegation(facts: &Facts) -> Check {
    let name = "delegation";
    match &facts.delegation {
        None => Check::new(name, Status::Skipped, "the zone's own servers are not asked (dns.ask_authority is off)"),
        Some(Answer::Present((zone, servers))) => Check::new(name, Status::Ok, format!("the zone is {zone}"))
            .details(servers.iter().map(|server| format!("served by {server}"))),
        Some(Answer::Absent(_)) => Check::new(name, Status::Problem, "no zone holds the name")
            .todo(format!("Register the domain of {}, or have its registrar delegate it.", facts.hostname)),
        Some(Answer::Indeterminate(reason)) => {
            Check::new(name, Status::Unknown, format!("the zone's servers cannot be found: {reason}")).todo(format!(
                "Check the name servers that the registrar has for {}; if they are right, try again.",
                facts.hostname
            ))
        }
    }
}

pub(super) fn challenge(facts: &Facts) -> Option<Check> {
    let known = facts.connection.as_ref()?;
    let Challenge { name, expected, seen } = facts.challenge.as_ref()?;
    let check = |status, summary: String| Check::new("challenge", status, summary).details(views(&seen.servers));
    let add = || format!("Add a TXT record for {name} with the value {expected}.");
    Some(match seen.state {
        Verdict::Present { .. } => check(Status::Ok, format!("TXT {name} is there")),
        _ if known.is_proven => check(Status::Ok, "ownership was shown; the record may stay away".to_owned()),
        Verdict::Propagating => check(Status::Problem, format!("TXT {name} is seen by some servers only"))
            .todo("Wait for the challenge to reach every server; this can take as long as the old record's TTL."),
        Verdict::Absent => check(Status::Problem, format!("TXT {name} is not there")).todo(add()),
        Verdict::Indeterminate(reason) => {
            check(Status::Unknown, format!("TXT {name} cannot be read: {reason}")).todo(unread(facts))
        }
    })
}

pub(super) fn records(facts: &Facts) -> Check {
    if facts.records.is_empty() {
        return Check::new("records", Status::Skipped, "the connection has no records that can be checked");
    }
    let wrong: Vec<&ObservedRecord> = facts.records.iter().filter(|record| !record.propagated).collect();
    let Some(first) = wrong.first() else {
        let all = facts.records.iter().map(describe);
        return Check::new("records", Status::Ok, format!("{} points here", facts.hostname)).details(all);
    };
    let details = wrong.iter().flat_map(|record| std::iter::once(describe(record)).chain(views(&record.servers)));
    let (host, kind, value) = (&first.desired.host, first.desired.value.kind().as_str(), &first.desired.value);
    let check = |status, summary: String| Check::new("records", status, summary).details(details);
    match (first.state, &first.observed_value) {
        (Verdict::Indeterminate(reason), _) => {
            check(Status::Unknown, format!("{kind} of {host} cannot be read: {reason}")).todo(unread(facts))
        }
        (Verdict::Present { .. } | Verdict::Propagating, _) => {
            check(Status::Problem, format!("{kind} of {host} is seen by some servers only"))
                .todo("Wait for the records to reach every server; this can take as long as the old ones' TTL.")
        }
        (Verdict::Absent, None) => check(Status::Problem, format!("{kind} of {host} is not there"))
            .todo(format!("Add a {kind} record for {host} with the value {value}.")),
        (Verdict::Absent, Some(seen)) => check(Status::Problem, format!("{host} points elsewhere: {seen}"))
            .todo(format!("Change the {kind} record for {host} to {value}.")),
    }
}

fn unread(facts: &Facts) -> String {
    format!("Have the DNS provider of {} look at the zone: its servers do not answer.", facts.hostname)
}

fn describe(record: &ObservedRecord) -> String {
    let (host, kind, value) = (&record.desired.host, record.desired.value.kind().as_str(), &record.desired.value);
    let mark = if record.propagated { "is there" } else { "is wanted" };
    format!("{kind} {host} {value} {mark}")
}

fn views(servers: &[ServerView]) -> Vec<String> {
    let view = |view: &ServerView| {
        let who = match view.role {
            Role::Authority => "name server",
            Role::Recursive => "resolver",
        };
        let said = match (&view.vote, &view.seen) {
            (Vote::Unknown(reason), _) => format!("says nothing: {reason}"),
            (_, Some(seen)) => format!("shows {seen}"),
            (_, None) => "shows nothing".to_owned(),
        };
        format!("{who} {} {said}", view.server)
    };
    servers.iter().map(view).collect()
}

pub(super) fn caa(facts: &Facts) -> Check {
    let found = |finding: &&Finding| finding.code.as_str().starts_with("caa_");
    if let Some(finding) = facts.findings.iter().find(found) {
        return of_finding("caa", finding);
    }
    let shown = match &facts.caa {
        Answer::Present((at, records)) => {
            records.iter().map(|record| format!("{at} CAA {} \"{}\"", record.tag, record.value)).collect()
        }
        Answer::Absent(_) => vec!["there are no CAA records".to_owned()],
        Answer::Indeterminate(reason) => vec![format!("the CAA records cannot be read: {reason}")],
    };
    match facts.caa_is_judged {
        true => Check::new("caa", Status::Ok, "our certificate authority may issue").details(shown),
        false => {
            Check::new("caa", Status::Skipped, "not judged: acme.caa does not say who our authority is").details(shown)
        }
    }
}

/// Stray addresses, CDNs in front, conflicts: whatever else stands in the way.
pub(super) fn findings(facts: &Facts) -> Check {
    let others = || facts.findings.iter().filter(|finding| !finding.code.as_str().starts_with("caa_"));
    let Some(first) = others().next() else {
        return Check::new("obstacles", Status::Ok, "no stray address, no CDN in front, no conflicting record");
    };
    let rest = others().skip(1).map(|finding| format!("{}: {}", finding.code.as_str(), finding.message));
    let mut check = of_finding("obstacles", first).details(rest);
    // The records' own line has said what to add.
    if matches!(first.code, FindingCode::DnsNoAddress | FindingCode::DnsNxdomain) && records(facts).todo.is_some() {
        check.todo = None;
    }
    check
}

fn of_finding(name: &'static str, finding: &Finding) -> Check {
    let status = match finding.severity {
        Severity::Warning => Status::Warning,
        Severity::Blocking | Severity::Pending | Severity::Unclear => Status::Problem,
    };
    let check = Check::new(name, status, format!("{}: {}", finding.code.as_str(), finding.message));
    let check = match &finding.record {
        Some(record) => check.details([format!(
            "{} {}: expected {}, seen {}",
            record.kind,
            record.host,
            finding.expected.as_deref().unwrap_or("nothing"),
            finding.seen.as_deref().unwrap_or("nothing")
        )]),
        None => check,
    };
    match finding.severity {
        Severity::Warning => check,
        Severity::Blocking | Severity::Pending | Severity::Unclear => check.todo(finding.user_message.clone()),
    }
}
