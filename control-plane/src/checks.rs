//! Looking at the DNS for a claim: what `dns` says, in the words that the core judges.

use std::net::IpAddr;

use async_trait::async_trait;
use dns::{
    OwnerName, Resolvers, Role,
    check::{
        self, DesiredRecord, EdgeTargets, Expectation, Finding, ObservedRecord, RecordKind, RecordValue, Severity,
        caa::CaIdentity,
    },
    merge::{Verdict, Vote},
};

use crate::core::{
    self, ChallengeSight, Checked, Claim, EdgeTarget, Fix, Inquiry, Ownership, PreflightSight, Reason, ReasonCode,
    Record, RecordSight, Routing, RoutingSight,
};

/// Of a name that is served, every how-manieth look is a preflight too: once an hour at the usual pace.
const LIVE_PREFLIGHT_EVERY: i64 = 6;

/// What shall be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Whatever the claim needs next.
    Due,
    /// The challenge.
    Ownership,
    /// The records.
    Routing,
}

/// A way to look. The one real one asks the DNS.
#[async_trait]
pub trait Checks: Send + Sync + 'static {
    /// Looks. Whatever cannot be told is left out or said to be unreachable; this never fails.
    async fn look(&self, inquiry: &Inquiry, look: Look) -> Checked;
}

/// Asks the DNS.
#[derive(Debug, Clone)]
pub struct DnsChecks {
    resolvers: Resolvers,
    edge: EdgeTargets,
    ca: CaIdentity,
}

/// The edge's own name is not a name.
#[derive(Debug, thiserror::Error)]
#[error("the edge's CNAME target is not a DNS name")]
pub struct EdgeNameError(#[source] dns::NameError);

impl DnsChecks {
    /// Looks with these resolvers for names that shall lead to `edge`, where `ca` will be asked for certificates.
    ///
    /// # Errors
    /// [`EdgeNameError`].
    pub fn new(resolvers: Resolvers, edge: &EdgeTarget, ca: CaIdentity) -> Result<Self, EdgeNameError> {
        let addresses = edge.ipv4.iter().copied().map(IpAddr::from).chain(edge.ipv6.iter().copied().map(IpAddr::from));
        let edge = EdgeTargets { name: edge.cname.parse().map_err(EdgeNameError)?, addresses: addresses.collect() };
        Ok(Self { resolvers, edge, ca })
    }

    /// Whom it asks.
    pub(crate) fn resolvers(&self) -> &Resolvers {
        &self.resolvers
    }

    /// Where names must lead.
    pub(crate) fn edge(&self) -> &EdgeTargets {
        &self.edge
    }

    /// Who issues.
    pub(crate) fn ca(&self) -> &CaIdentity {
        &self.ca
    }

    async fn challenge(&self, name: &str, expected: &str) -> ChallengeSight {
        let Ok(name) = name.parse::<OwnerName>() else {
            return ChallengeSight::Unreachable("the challenge's name is too long for the DNS".to_owned());
        };
        let seen = check::check_ownership(&self.resolvers, &name, expected).await;
        let values = || seen.observed_value.clone().into_iter().collect();
        match seen.state {
            Verdict::Present { .. } => ChallengeSight::Present,
            Verdict::Propagating => ChallengeSight::Partly(values()),
            Verdict::Absent => ChallengeSight::Absent(values()),
            Verdict::Indeterminate(reason) => ChallengeSight::Unreachable(reason.code().to_owned()),
        }
    }

    async fn routing(&self, inquiry: &Inquiry) -> RoutingSight {
        let wanted = wanted(inquiry);
        let records: Vec<DesiredRecord> = wanted.iter().map(|(_, record)| record.clone()).collect();
        let seen = check::check_records(&self.resolvers, &records).await;
        let silent = inquiry.all_servers.then(|| seen.iter().find_map(silent_server)).flatten();
        let verdict = verdict(&seen, inquiry.connection.claim.is_pointing());
        RoutingSight {
            verdict: verdict.filter(|verdict| *verdict != Routing::Pointing || silent.is_none()),
            reason: seen.iter().find(|record| !record.propagated).map(explain).or(silent),
            records: wanted.iter().zip(&seen).map(|((position, _), seen)| sight_of(*position, seen)).collect(),
        }
    }

    async fn preflight(&self, inquiry: &Inquiry) -> PreflightSight {
        let records: Vec<DesiredRecord> = wanted(inquiry).into_iter().map(|(_, record)| record).collect();
        let expected = Expectation { edge: &self.edge, desired: &records, ca: &self.ca };
        let findings = check::preflight(&self.resolvers, &inquiry.connection.claim.hostname, &expected).await;
        let worst = findings.first().map(|finding| (finding.severity, reason_of(finding)));
        match worst {
            None | Some((Severity::Warning, _)) => PreflightSight::Clear,
            Some((Severity::Pending, reason)) => PreflightSight::Pending(reason),
            Some((Severity::Unclear, reason)) => PreflightSight::Unclear(reason),
            Some((Severity::Blocking, reason)) => PreflightSight::Blocked(reason),
        }
    }
}

/// The records that are looked at, with their places. Types that we do not check (MX …) are the customer's own business.
fn wanted(inquiry: &Inquiry) -> Vec<(i64, DesiredRecord)> {
    inquiry.connection.records.iter().filter_map(|record| Some((record.position, desired(record)?))).collect()
}

/// Whether this look asks what would become of an order. Before the first certificate, whenever the gate could open; a
/// name that is served is asked about when its records are wrong, when somebody wants to know, and now and then.
fn wants_preflight(claim: &Claim, look: Look, now_proven: bool, routing: Option<&RoutingSight>) -> bool {
    let is_wrong = routing.is_some_and(|sight| sight.verdict == Some(Routing::Wrong));
    let is_due = look == Look::Routing || claim.check_count % LIVE_PREFLIGHT_EVERY == 0;
    match claim.had_certificate() {
        true => is_wrong || (is_due && routing.is_some()),
        false => now_proven || is_wrong,
    }
}

#[async_trait]
impl Checks for DnsChecks {
    async fn look(&self, inquiry: &Inquiry, look: Look) -> Checked {
        let connection = &inquiry.connection;
        let is_proven = connection.claim.ownership == Ownership::Proven;
        let mut checked = Checked::default();
        if !is_proven
            && look != Look::Routing
            && let Some(proof) = connection.challenge()
        {
            checked.challenge = Some(self.challenge(&proof.name, &proof.expected).await);
        }
        let now_proven = is_proven || checked.challenge == Some(ChallengeSight::Present);
        if checked.challenge == Some(ChallengeSight::Present)
            && let Some((id, name, expected)) = &inquiry.holder
            && matches!(self.challenge(name, expected).await, ChallengeSight::Absent(_))
        {
            checked.lapsed_holder = Some(id.clone());
        }
        if look == Look::Routing || (look == Look::Due && now_proven) || (inquiry.pointing_proves && !now_proven) {
            checked.routing = Some(self.routing(inquiry).await);
        }
        let points = checked.routing.as_ref().is_some_and(|sight| sight.verdict == Some(Routing::Pointing));
        let now_proven = now_proven || (inquiry.pointing_proves && points);
        if wants_preflight(&connection.claim, look, now_proven, checked.routing.as_ref()) {
            checked.preflight = Some(self.preflight(inquiry).await);
        }
        checked
    }
}

/// A record that can be checked.
pub(crate) fn desired(record: &Record) -> Option<DesiredRecord> {
    checkable(&record.host, &record.record_type, &record.value, record.ttl)
}

/// The same of a record that is not kept yet. Types that are only shown to people (MX …) cannot be checked.
pub(crate) fn foreseen(record: &core::DesiredRecord) -> Option<DesiredRecord> {
    checkable(&record.host, &record.record_type, &record.value, record.ttl)
}

fn checkable(host: &str, record_type: &str, value: &str, ttl: i64) -> Option<DesiredRecord> {
    let kind = match record_type {
        "A" => RecordKind::A,
        "AAAA" => RecordKind::Aaaa,
        "ALIAS" | "ANAME" | "CNAME" => RecordKind::Cname,
        "TXT" => RecordKind::Txt,
        _ => return None,
    };
    let value = RecordValue::parse(kind, value).ok()?;
    Some(DesiredRecord { host: host.parse().ok()?, value, ttl: u32::try_from(ttl).ok()? })
}

/// For a name that points here, only what all servers agree is gone is gone: a change under way, or a secondary that is
/// late, takes no name away.
fn verdict(seen: &[ObservedRecord], was_pointing: bool) -> Option<Routing> {
    if seen.is_empty() {
        return None;
    }
    if seen.iter().all(|record| record.propagated) {
        return Some(Routing::Pointing);
    }
    if seen.iter().any(|record| matches!(record.state, Verdict::Indeterminate(_))) {
        return None;
    }
    if was_pointing && seen.iter().all(|record| record.state != Verdict::Absent) {
        return None;
    }
    let is_bare = seen.iter().all(|record| record.state == Verdict::Absent && record.observed_value.is_none());
    Some(if is_bare { Routing::NotResolving } else { Routing::Wrong })
}

/// A server of the zone that says nothing of a record that the others show.
fn silent_server(record: &ObservedRecord) -> Option<Reason> {
    let is_silent = |view: &&check::ServerView| view.role == Role::Authority && matches!(view.vote, Vote::Unknown(_));
    let server = record.servers.iter().find(is_silent)?;
    Some(Reason::new(ReasonCode::PartlyVisible).with_fix(fix_of(record)).with_detail(format!("{}", server.server.ip())))
}

fn fix_of(record: &ObservedRecord) -> Fix {
    Fix {
        host: record.desired.host.to_string(),
        record_type: record.desired.value.kind().as_str().to_owned(),
        expected: Some(record.desired.value.to_string()),
        seen: record.observed_value.clone().into_iter().collect(),
    }
}

fn sight_of(position: i64, seen: &ObservedRecord) -> RecordSight {
    RecordSight { position, propagated: seen.propagated, observed: seen.observed_value.clone() }
}

fn explain(record: &ObservedRecord) -> Reason {
    let code = match (record.state, &record.observed_value) {
        (Verdict::Indeterminate(_), _) => ReasonCode::DnsUnreachable,
        (Verdict::Propagating | Verdict::Present { .. }, _) => ReasonCode::PartlyVisible,
        (Verdict::Absent, None) => ReasonCode::NotResolving,
        (Verdict::Absent, Some(_)) => ReasonCode::PointsElsewhere,
    };
    let reason = Reason::new(code).with_fix(fix_of(record));
    match record.state {
        Verdict::Indeterminate(why) => reason.with_detail(why.code()),
        Verdict::Absent | Verdict::Present { .. } | Verdict::Propagating => reason,
    }
}

fn reason_of(finding: &Finding) -> Reason {
    let fix = finding.record.as_ref().map(|record| Fix {
        host: record.host.to_string(),
        record_type: record.kind.to_owned(),
        expected: finding.expected.clone(),
        seen: finding.seen.clone().into_iter().collect(),
    });
    Reason {
        code: finding.code.as_str().to_owned(),
        fix,
        detail: None,
        told: Some(finding.message.clone()),
        user_told: Some(finding.user_message.clone()),
    }
}
