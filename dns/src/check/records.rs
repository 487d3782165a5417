//! [`check_records`]: is each desired record there, and for whom.
//!
//! That a name "resolves to something" is never enough: what a zone answers is its owner's choice, and the owner may be
//! an attacker. Only the desired value counts.

use std::net::IpAddr;

use futures::future::join_all;
use tokio::time::Instant;

use super::{
    DesiredRecord, RecordValue, ServerView,
    view::{Facet, View, fetch, shown, shown_addresses},
};
use crate::{
    Addresses, Answer, OwnerName, Reason, Resolvers, Role,
    merge::{Verdict, Vote, merge},
};

/// A desired record and what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedRecord {
    /// What should be there.
    pub desired: DesiredRecord,
    /// What all servers say together.
    pub state: Verdict,
    /// The value is there and no server that answered still shows another.
    pub propagated: bool,
    /// What is there instead or as well: the zone's own word first, else a resolver's.
    pub observed_value: Option<String>,
    /// Each server's word.
    pub servers: Vec<ServerView>,
}

/// Looks up every desired record at every server, each name and type once.
pub async fn check_records(resolvers: &Resolvers, desired: &[DesiredRecord]) -> Vec<ObservedRecord> {
    resolvers.metrics().checked("records");
    let deadline = resolvers.deadline();
    let mut hosts: Vec<&OwnerName> = desired.iter().map(|record| &record.host).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let observed = join_all(hosts.into_iter().map(|host| check_host(resolvers, host, desired, deadline))).await;
    let mut observed: Vec<_> = observed.into_iter().flatten().collect();
    // In the order in which they were asked for.
    observed.sort_by_key(|record| desired.iter().position(|wanted| *wanted == record.desired));
    observed
}

async fn check_host(
    resolvers: &Resolvers,
    host: &OwnerName,
    desired: &[DesiredRecord],
    deadline: Instant,
) -> Vec<ObservedRecord> {
    let wanted: Vec<_> = desired.iter().filter(|record| record.host == *host).collect();
    let mut facets: Vec<_> = wanted.iter().map(|record| facet(&record.value)).collect();
    facets.sort_unstable();
    facets.dedup();
    let views = fetch(resolvers, host, &facets, goal(&wanted), deadline).await;
    let mut observed = Vec::with_capacity(wanted.len());
    for record in wanted {
        observed.push(observe(record, &views, &targets(resolvers, &record.value, &views).await));
    }
    observed
}

fn facet(value: &RecordValue) -> Facet {
    match value {
        RecordValue::A(_) | RecordValue::Aaaa(_) | RecordValue::Cname(_) => Facet::Addresses,
        RecordValue::Txt(_) => Facet::Txt,
    }
}

/// Where following may end: at the target, when nothing but a CNAME to it is wanted.
fn goal<'a>(wanted: &[&'a DesiredRecord]) -> Option<&'a OwnerName> {
    match wanted {
        [DesiredRecord { value: RecordValue::Cname(target), .. }] => Some(target),
        _ => None,
    }
}

/// The target's own addresses. Asked for only when a flattened CNAME is possible: addresses without the target.
async fn targets(resolvers: &Resolvers, value: &RecordValue, views: &[View]) -> Result<Vec<IpAddr>, Reason> {
    let RecordValue::Cname(target) = value else { return Ok(Vec::new()) };
    let flattened = |view: &View| match view.addresses() {
        Answer::Present(seen) => !seen.chain.contains(target) && !seen.addresses.is_empty(),
        Answer::Absent(_) | Answer::Indeterminate(_) => false,
    };
    match views.iter().any(flattened) {
        true => resolvers.target_addresses(target).await.map(|found| found.to_vec()),
        false => Ok(Vec::new()),
    }
}

fn observe(record: &DesiredRecord, views: &[View], targets: &Result<Vec<IpAddr>, Reason>) -> ObservedRecord {
    let servers: Vec<_> = views.iter().map(|view| server_view(&record.value, view, targets)).collect();
    let votes: Vec<_> = servers.iter().map(|view| (view.role, view.vote)).collect();
    let state = merge(&votes);
    ObservedRecord {
        desired: record.clone(),
        state,
        propagated: state == Verdict::Present { everywhere: true },
        observed_value: observed_value(&servers),
        servers,
    }
}

/// The zone's servers come first in `servers`; what someone shows is better than nothing.
pub(super) fn observed_value(servers: &[ServerView]) -> Option<String> {
    let said = |role| move |view: &&ServerView| view.role == role && view.vote != Vote::Match;
    let other = servers.iter().find(said(Role::Authority)).and_then(|view| view.seen.clone());
    other.or_else(|| servers.iter().find_map(|view| view.seen.clone()))
}

fn server_view(value: &RecordValue, view: &View, targets: &Result<Vec<IpAddr>, Reason>) -> ServerView {
    let (vote, seen) = match value {
        RecordValue::A(ip) => address_vote(&view.addresses(), (*ip).into()),
        RecordValue::Aaaa(ip) => address_vote(&view.addresses(), (*ip).into()),
        RecordValue::Cname(target) => cname_vote(&view.addresses(), target, targets),
        RecordValue::Txt(text) => txt_vote(&view.txt(), text),
    };
    ServerView { server: view.voter.server.address, role: view.voter.role, vote, seen }
}

fn address_vote(answer: &Answer<Addresses>, wanted: IpAddr) -> (Vote, Option<String>) {
    let vote = match answer {
        Answer::Present(seen) if seen.addresses.contains(&wanted) => Vote::Match,
        // The type that is not known may be the one that is wanted.
        Answer::Present(Addresses { unknown: Some(reason), addresses, .. })
            if !addresses.iter().any(|ip| ip.is_ipv4() == wanted.is_ipv4()) =>
        {
            Vote::Unknown(*reason)
        }
        Answer::Present(_) | Answer::Absent(_) => Vote::Miss,
        Answer::Indeterminate(reason) => Vote::Unknown(*reason),
    };
    (vote, shown_addresses(answer))
}

fn cname_vote(
    answer: &Answer<Addresses>,
    target: &OwnerName,
    targets: &Result<Vec<IpAddr>, Reason>,
) -> (Vote, Option<String>) {
    let vote = match answer {
        Answer::Present(seen) if seen.chain.contains(target) => Vote::Match,
        Answer::Present(Addresses { unknown: Some(reason), .. }) => Vote::Unknown(*reason),
        Answer::Present(seen) => flattened_vote(&seen.addresses, targets),
        Answer::Absent(_) => Vote::Miss,
        Answer::Indeterminate(reason) => Vote::Unknown(*reason),
    };
    (vote, shown_addresses(answer))
}

/// A flattened CNAME shows the target's addresses, perhaps not all of them, and none beside them.
fn flattened_vote(seen: &[IpAddr], targets: &Result<Vec<IpAddr>, Reason>) -> Vote {
    match targets {
        _ if seen.is_empty() => Vote::Miss,
        Ok(targets) if seen.iter().all(|ip| targets.contains(ip)) => Vote::Match,
        Ok(_) => Vote::Miss,
        Err(reason) => Vote::Unknown(*reason),
    }
}

/// The vote on a TXT value, and what is there.
pub(super) fn txt_vote(answer: &Answer<Vec<String>>, wanted: &str) -> (Vote, Option<String>) {
    let vote = match answer {
        Answer::Present(values) if values.iter().any(|value| value == wanted) => Vote::Match,
        Answer::Present(_) | Answer::Absent(_) => Vote::Miss,
        Answer::Indeterminate(reason) => Vote::Unknown(*reason),
    };
    (vote, answer.present().and_then(shown))
}
