//! Facts by hand, and what is said about them.

use std::net::{IpAddr, SocketAddr};

use clock::Timestamp;
use dns::{
    Absence, Answer, Reason, Role,
    check::{
        DesiredRecord, Finding, FindingCode, ObservedRecord, Ownership, RecordRef, RecordValue, ServerView, Severity,
    },
    merge::{Verdict, Vote},
};
use names::Hostname;

use super::judge;
use crate::doctor::{
    Challenge, Check, Facts, GateAnswer, Greeting, GreetingError, KnownConnection, Link, Port, Report, Served, Status,
    Trust,
};

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn view(vote: Vote, seen: Option<&str>) -> ServerView {
    ServerView { server: address("192.0.2.53:53"), role: Role::Authority, vote, seen: seen.map(str::to_owned) }
}

fn served() -> Served {
    let link = |subject: &str, issuer: &str| Link { subject: subject.to_owned(), issuer: issuer.to_owned() };
    Served {
        names: vec!["shop.customer.example".to_owned()],
        not_before: Timestamp::from_secs(NOW - DAY),
        not_after: Timestamp::from_secs(NOW + 89 * DAY),
        chain: vec![link("shop.customer.example", "R10"), link("R10", "Root X1")],
        trust: Trust::Trusted,
    }
}

fn greeting(outcome: Result<Served, GreetingError>) -> Greeting {
    Greeting { address: address("192.0.2.1:443"), is_edge: true, outcome }
}

/// A name that is as it should be.
fn well() -> Facts {
    let name = "shop.customer.example".parse().unwrap();
    let desired =
        DesiredRecord { host: name, value: RecordValue::Cname("edge.saas.example".parse().unwrap()), ttl: 300 };
    let seen = vec![view(Vote::Match, Some("CNAME edge.saas.example"))];
    let port = |text: &str, is_tls| Port { address: address(text), is_tls, problem: None };
    Facts {
        hostname: Hostname::parse("shop.customer.example").unwrap(),
        at: Timestamp::from_secs(NOW),
        database: Ok("sqlite"),
        connection: Some(KnownConnection {
            id: "con_1".to_owned(),
            account_id: "acc_1".to_owned(),
            application_id: "app_1".to_owned(),
            state: "live",
            why: None,
            user_message: None,
            is_proven: true,
            others: 0,
            problem: None,
        }),
        gate: Some(GateAnswer::Allowed { origin: Some("https://app.saas.example".to_owned()) }),
        delegation: Some(Answer::Present((
            "customer.example".parse().unwrap(),
            vec!["ns1.provider.example".parse().unwrap()],
        ))),
        challenge: Some(Challenge {
            name: "_customdomain-challenge.shop.customer.example".to_owned(),
            expected: "cd-verify-x".to_owned(),
            seen: Ownership { state: Verdict::Present { everywhere: true }, observed_value: None, servers: Vec::new() },
        }),
        records: vec![ObservedRecord {
            desired,
            state: Verdict::Present { everywhere: true },
            propagated: true,
            observed_value: None,
            servers: seen,
        }],
        caa: Answer::Absent(Absence::NoData),
        caa_is_judged: true,
        findings: Vec::new(),
        ports: vec![port("192.0.2.1:80", false), port("192.0.2.1:443", true)],
        served: vec![greeting(Ok(served()))],
    }
}

fn find<'r>(report: &'r Report, name: &str) -> &'r Check {
    report.checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no {name} in {report:?}"))
}

/// Holds what is said of changed facts against the check that must speak, its status and a part of the first advice.
fn expect(change: impl FnOnce(&mut Facts), name: &str, status: Status, part: &str, first: &str) {
    let mut facts = well();
    change(&mut facts);
    let report = judge(&facts);
    let check = find(&report, name);
    assert_eq!(check.status, status, "{check:?}");
    assert!(check.summary.contains(part), "`{part}` is not in {check:?}");
    assert_eq!(report.healthy, matches!(status, Status::Ok | Status::Skipped | Status::Warning), "{report:?}");
    assert!(report.next.first().map_or(first.is_empty(), |next| next.contains(first)), "{:?}", report.next);
}

#[test]
fn a_name_that_is_as_it_should_be_is_healthy_and_nothing_is_to_be_done() {
    let report = judge(&well());
    assert!(report.healthy, "{report:?}");
    assert!(report.next.is_empty());
    let names: Vec<_> = report.checks.iter().map(|check| check.name).collect();
    let stable = [
        "database",
        "connection",
        "delegation",
        "challenge",
        "records",
        "caa",
        "obstacles",
        "gate",
        "ports",
        "certificate",
        "chain",
    ];
    assert_eq!(names, stable);
    assert!(report.checks.iter().all(|check| check.status == Status::Ok));
}

#[test]
fn the_first_advice_is_about_what_everything_else_waits_for() {
    let missing = |facts: &mut Facts| {
        let challenge = facts.challenge.as_mut().unwrap();
        challenge.seen.state = Verdict::Absent;
        challenge.seen.servers = vec![view(Vote::Miss, None)];
        let known = facts.connection.as_mut().unwrap();
        (known.state, known.is_proven) = ("pending_ownership", false);
        facts.gate = Some(GateAnswer::Denied);
        facts.served = vec![greeting(Err(GreetingError::UnknownName))];
    };
    expect(
        missing,
        "challenge",
        Status::Problem,
        "is not there",
        "Add a TXT record for _customdomain-challenge.shop.customer.example with the value cd-verify-x",
    );
    expect(missing, "gate", Status::Problem, "ownership is not shown", "Add a TXT record");
    expect(missing, "certificate", Status::Problem, "unrecognized_name", "Add a TXT record");
}

#[test]
fn a_name_without_a_connection_is_told_so_and_examined_all_the_same() {
    let nobody = |facts: &mut Facts| {
        (facts.connection, facts.challenge) = (None, None);
        facts.gate = Some(GateAnswer::Denied);
    };
    expect(nobody, "connection", Status::Problem, "no account has a connection", "Create a connection for shop.");
    expect(nobody, "gate", Status::Problem, "there is no connection", "Create a connection");
}

#[test]
fn without_a_database_the_rest_is_examined_and_the_report_is_not_healthy() {
    let gone = |facts: &mut Facts| {
        facts.database = Err("refused".to_owned());
        (facts.connection, facts.challenge, facts.gate) = (None, None, None);
    };
    expect(gone, "database", Status::Unknown, "refused", "Mend the database");
    let mut facts = well();
    gone(&mut facts);
    let report = judge(&facts);
    assert_eq!(find(&report, "gate").status, Status::Skipped);
    assert_eq!(find(&report, "certificate").status, Status::Ok);
}

#[test]
fn records_that_lead_elsewhere_are_told_with_what_each_server_shows() {
    let elsewhere = |facts: &mut Facts| {
        let record = facts.records.first_mut().unwrap();
        (record.state, record.propagated) = (Verdict::Absent, false);
        record.observed_value = Some("192.0.2.99".to_owned());
        record.servers = vec![view(Vote::Miss, Some("192.0.2.99")), view(Vote::Unknown(Reason::Timeout), None)];
    };
    expect(
        elsewhere,
        "records",
        Status::Problem,
        "points elsewhere: 192.0.2.99",
        "Change the CNAME record for shop.customer.example to edge.saas.example.",
    );
    let mut facts = well();
    elsewhere(&mut facts);
    let details = find(&judge(&facts), "records").details.join("\n");
    assert!(details.contains("name server 192.0.2.53:53 shows 192.0.2.99"), "{details}");
    assert!(details.contains("says nothing: no answer in time"), "{details}");
}

#[test]
fn findings_of_the_dns_go_where_they_belong() {
    let finding = |code, severity| Finding {
        code,
        severity,
        message: "found".to_owned(),
        user_message: "Mend it.".to_owned(),
        record: Some(RecordRef { host: "customer.example".parse().unwrap(), kind: "CAA" }),
        expected: Some("0 issue \"ca.example\"".to_owned()),
        seen: None,
    };
    let add = |code, severity| move |facts: &mut Facts| facts.findings.push(finding(code, severity));
    expect(add(FindingCode::CaaForbids, Severity::Blocking), "caa", Status::Problem, "caa_forbids", "Mend it.");
    expect(add(FindingCode::AaaaElsewhere, Severity::Blocking), "obstacles", Status::Problem, "aaaa_elsewhere", "Mend");
    expect(add(FindingCode::CdnInFront, Severity::Blocking), "obstacles", Status::Problem, "cdn_in_front", "Mend");
    expect(add(FindingCode::WildcardAnswer, Severity::Warning), "obstacles", Status::Warning, "wildcard_answer", "");
    expect(|facts| facts.caa_is_judged = false, "caa", Status::Skipped, "acme.caa does not say", "");
}

#[test]
fn a_closed_port_is_a_problem_for_tls_and_a_warning_for_challenges() {
    let close = |index: usize| move |facts: &mut Facts| facts.ports[index].problem = Some("refused".to_owned());
    expect(close(1), "ports", Status::Problem, "port for TLS is closed", "Start the edge");
    expect(close(0), "ports", Status::Warning, "port for challenges", "Let port 80 through");
    expect(|facts| facts.ports.clear(), "ports", Status::Unknown, "no address", "Set edge.addresses");
}

#[test]
fn a_certificate_is_judged_by_its_name_its_time_and_its_chain() {
    let serve = |change: fn(&mut Served)| {
        move |facts: &mut Facts| {
            let mut bad = served();
            change(&mut bad);
            facts.served = vec![greeting(Ok(bad))];
        }
    };
    let other = serve(|served| served.names = vec!["other.example".to_owned(), "*.example".to_owned()]);
    expect(other, "certificate", Status::Problem, "not for shop.customer.example", "namegate-edge explain");
    let wildcard = serve(|served| served.names = vec!["*.customer.example".to_owned()]);
    expect(wildcard, "certificate", Status::Ok, "from R10", "");
    let ended = serve(|served| served.not_after = Timestamp::from_secs(NOW - DAY));
    expect(ended, "certificate", Status::Problem, "ended at", "renewal has failed");
    let soon = serve(|served| served.not_after = Timestamp::from_secs(NOW + DAY));
    expect(soon, "certificate", Status::Warning, "ends soon", "renewal has failed");
    let lone = serve(|served| (served.chain.truncate(1), served.trust = Trust::Unanchored).1);
    expect(lone, "chain", Status::Problem, "ends at R10", "If R10 is a private authority");
    let mixed = serve(|served| served.chain.reverse());
    expect(mixed, "chain", Status::Problem, "out of order", "send its own certificate first");
}

#[test]
fn a_stranger_where_the_name_leads_is_told_apart_from_the_edge() {
    let stranger = |facts: &mut Facts| {
        let ip: IpAddr = "192.0.2.99".parse().unwrap();
        let refused = Err(GreetingError::Connect("refused".to_owned()));
        facts.served.push(Greeting { address: SocketAddr::new(ip, 443), is_edge: false, outcome: refused });
    };
    expect(stranger, "certificate", Status::Problem, "192.0.2.99:443: no connection", "which is not ours");
}
