//! [`examine`]: asks everybody at once, each within a bound.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use clock::Timestamp;
use dns::{
    Answer, OwnerName,
    check::{self, DesiredRecord, Expectation, desired_records},
};
use futures::future::join_all;
use names::Hostname;
use tokio::time::timeout;

use super::{Challenge, Facts, GateAnswer, KnownConnection, Roots, few, reach};
use crate::{
    checks::{DnsChecks, desired},
    core::{Connection, Core, Ownership, Reason as CoreReason},
    surfaces::connect_domain::state_word,
};

/// How long the database may take: an operator in front of a screen waits no longer.
const DATABASE: Duration = Duration::from_secs(10);
/// What is written for records that are only compared.
const ANY_TTL: u32 = 300;

/// Whom to examine, and from where.
#[derive(Debug, Clone)]
pub struct Patient {
    /// The name.
    pub hostname: Hostname,
    /// The edge's addresses; empty: those of the settings, else those that its name has.
    pub edge: Vec<IpAddr>,
    /// The edge's port for challenges and redirects, usually 80.
    pub http_port: u16,
    /// The edge's port for TLS, usually 443.
    pub https_port: u16,
}

/// Gathers the facts. `core` is the database, or why there is none; the rest is looked at all the same.
pub async fn examine(
    core: Result<&Core, String>,
    checks: &DnsChecks,
    roots: &Roots,
    patient: &Patient,
    at: Timestamp,
) -> Facts {
    let hostname = &patient.hostname;
    let known = known(core, hostname).await;
    let wanted = wanted(known.connection.as_ref(), checks, hostname);
    let owner = OwnerName::from(hostname);
    let resolvers = checks.resolvers();
    let expected = Expectation { edge: checks.edge(), desired: &wanted, ca: checks.ca() };
    let (delegation, challenge, records, caa, findings, (ports, served)) = Box::pin(async {
        tokio::join!(
            delegation(checks, &owner),
            challenge(known.connection.as_ref(), checks),
            check::check_records(resolvers, &wanted),
            resolvers.caa(&owner),
            check::preflight(resolvers, hostname, &expected),
            connections(checks, roots, patient, &owner),
        )
    })
    .await;
    Facts {
        hostname: hostname.clone(),
        at,
        database: known.database,
        gate: known.gate,
        connection: known.connection.map(|connection| sketch(&connection, known.others)),
        delegation,
        challenge,
        records,
        caa,
        caa_is_judged: !checks.ca().domains.is_empty(),
        findings,
        ports,
        served,
    }
}

/// What the database knows.
struct Known {
    database: Result<&'static str, String>,
    connection: Option<Connection>,
    others: usize,
    gate: Option<GateAnswer>,
}

async fn known(core: Result<&Core, String>, hostname: &Hostname) -> Known {
    let nothing = |database| Known { database, connection: None, others: 0, gate: None };
    let core = match core {
        Ok(core) => core,
        Err(why) => return nothing(Err(why)),
    };
    let looked = timeout(DATABASE, async { tokio::join!(core.wanting(hostname), core.ask(hostname)) }).await;
    let Ok((connections, gate)) = looked else {
        return nothing(Err(format!("no answer within {} s", DATABASE.as_secs())));
    };
    let gate = match gate {
        Ok(Some(allowed)) => GateAnswer::Allowed { origin: allowed.origin },
        Ok(None) => GateAnswer::Denied,
        Err(error) => GateAnswer::Unknown(telemetry::chain(&error).to_string()),
    };
    match connections {
        Ok(mut found) => {
            let others = found.len().saturating_sub(1);
            let connection = (!found.is_empty()).then(|| found.swap_remove(0));
            Known { database: Ok(core.db().kind()), connection, others, gate: Some(gate) }
        }
        Err(error) => nothing(Err(telemetry::chain(&error).to_string())),
    }
}

fn sketch(connection: &Connection, others: usize) -> KnownConnection {
    let claim = &connection.claim;
    let problem = connection.certificate.as_ref().and_then(|certificate| certificate.problem.as_ref());
    KnownConnection {
        id: claim.id.clone(),
        account_id: claim.account_id.clone(),
        application_id: claim.application_id.clone(),
        state: state_word(claim),
        why: connection.reason().map(CoreReason::message),
        user_message: connection.reason().map(CoreReason::user_message),
        is_proven: claim.ownership == Ownership::Proven,
        others,
        problem: problem.map(|problem| problem.0.to_string()),
    }
}

/// The connection's own records, else those that a connection would be given.
fn wanted(connection: Option<&Connection>, checks: &DnsChecks, hostname: &Hostname) -> Vec<DesiredRecord> {
    match connection {
        Some(connection) => connection.records.iter().filter_map(desired).collect(),
        None => desired_records(hostname, checks.edge(), ANY_TTL),
    }
}

async fn delegation(checks: &DnsChecks, owner: &OwnerName) -> Option<Answer<(OwnerName, Vec<OwnerName>)>> {
    match checks.resolvers().authority() {
        dns::Authority::Ask { .. } => Some(checks.resolvers().ns(owner).await),
        dns::Authority::Skip => None,
    }
}

async fn challenge(connection: Option<&Connection>, checks: &DnsChecks) -> Option<Challenge> {
    let proof = connection?.challenge()?;
    let name: OwnerName = proof.name.parse().ok()?;
    let seen = check::check_ownership(checks.resolvers(), &name, &proof.expected).await;
    Some(Challenge { name: proof.name.clone(), expected: proof.expected.clone(), seen })
}

async fn connections(
    checks: &DnsChecks,
    roots: &Roots,
    patient: &Patient,
    owner: &OwnerName,
) -> (Vec<super::Port>, Vec<super::Greeting>) {
    let (edge, found) = tokio::join!(edge_addresses(checks, patient), addresses(checks, owner));
    let elsewhere = few(found.into_iter().filter(|ip| !edge.contains(ip)));
    let doors = edge.iter().flat_map(|ip| [(*ip, patient.http_port, false), (*ip, patient.https_port, true)]);
    let knocks = doors.map(|(ip, port, is_tls)| reach::knock(SocketAddr::new(ip, port), is_tls));
    let hosts = edge.iter().map(|ip| (*ip, true)).chain(elsewhere.iter().map(|ip| (*ip, false)));
    let greetings = hosts.map(|(ip, is_edge)| {
        reach::greet(SocketAddr::new(ip, patient.https_port), is_edge, patient.hostname.as_str(), roots)
    });
    tokio::join!(join_all(knocks), join_all(greetings))
}

async fn edge_addresses(checks: &DnsChecks, patient: &Patient) -> Vec<IpAddr> {
    if !patient.edge.is_empty() {
        return few(patient.edge.iter().copied());
    }
    match checks.edge().addresses.is_empty() {
        true => few(addresses(checks, &checks.edge().name).await),
        false => few(checks.edge().addresses.iter().copied()),
    }
}

async fn addresses(checks: &DnsChecks, name: &OwnerName) -> Vec<IpAddr> {
    match checks.resolvers().addresses(name).await {
        Answer::Present(found) => found.addresses,
        Answer::Absent(_) | Answer::Indeterminate(_) => Vec::new(),
    }
}
