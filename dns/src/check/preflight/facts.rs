//! What a preflight asks for, all of it at once.

use std::net::IpAddr;

use futures::future::join_all;
use hickory_proto::rr::RecordType;
use names::{Hostname, is_apex};
use tokio::time::Instant;

use super::Expectation;
use crate::{
    Addresses, Answer, CaaRecord, OwnerName, Reason, Resolvers, Role,
    check::{
        RecordValue,
        view::{Facet, View, fetch},
    },
    exchange::Validation,
};

/// Answers, not yet judged.
pub(super) struct Facts {
    pub(super) host: OwnerName,
    /// The host is the top of its zone, or of what its owner has registered.
    pub(super) apex: bool,
    /// Every server's word on the addresses.
    pub(super) views: Vec<View>,
    pub(super) caa: Answer<(OwnerName, Vec<CaaRecord>)>,
    /// What a name that nobody has made, beside the host, leads to.
    pub(super) sibling: Option<Addresses>,
    /// Records at the host that a CNAME cannot stand beside.
    pub(super) neighbours: Vec<&'static str>,
    /// The edge's own addresses.
    pub(super) edge: Vec<IpAddr>,
    /// A resolver that fails answers when it is told not to validate.
    pub(super) bogus: bool,
}

pub(super) async fn gather(
    resolvers: &Resolvers,
    hostname: &Hostname,
    host: &OwnerName,
    expected: &Expectation<'_>,
) -> Facts {
    let deadline = resolvers.deadline();
    let apex = is_apex(hostname);
    let (views, caa, sibling, neighbours, edge, zone) = futures::join!(
        fetch(resolvers, host, &[Facet::Addresses], None, deadline),
        resolvers.caa(host),
        sibling(resolvers, host, apex),
        neighbours(resolvers, host, expected, deadline),
        edge(resolvers, expected),
        resolvers.zone(host, deadline),
    );
    let bogus = is_bogus(resolvers, host, &views, deadline).await;
    let apex = apex || zone.is_some_and(|zone| zone.name == *host);
    Facts { host: host.clone(), apex, views, caa, sibling, neighbours, edge, bogus }
}

/// Nobody has made a record for a label of 64 random bits. An apex has no siblings of the same owner.
async fn sibling(resolvers: &Resolvers, host: &OwnerName, apex: bool) -> Option<Addresses> {
    let parent = host.parent().filter(|_| !apex)?;
    let unmade = parent.child(&format!("namegate-{:016x}", rand::random::<u64>())).ok()?;
    match resolvers.addresses(&unmade).await {
        Answer::Present(found) => Some(found),
        Answer::Absent(_) | Answer::Indeterminate(_) => None,
    }
}

/// What stands in the way of a CNAME that is yet to be made. Through a CNAME that exists, these would be the target's.
async fn neighbours(
    resolvers: &Resolvers,
    host: &OwnerName,
    expected: &Expectation<'_>,
    deadline: Instant,
) -> Vec<&'static str> {
    const KINDS: [(RecordType, &str); 3] = [(RecordType::MX, "MX"), (RecordType::NS, "NS"), (RecordType::TXT, "TXT")];
    if !expected.desired.iter().any(|record| matches!(record.value, RecordValue::Cname(_)) && record.host == *host) {
        return Vec::new();
    }
    let world = resolvers.world();
    let answers = join_all(KINDS.iter().map(|(kind, _)| world.ask(host, *kind, deadline))).await;
    let direct = KINDS.iter().zip(answers).filter(|(_, answer)| {
        answer.present().is_some_and(|reply| reply.chain.is_empty() && !reply.records.is_empty())
    });
    direct.map(|((_, name), _)| *name).collect()
}

async fn edge(resolvers: &Resolvers, expected: &Expectation<'_>) -> Vec<IpAddr> {
    match expected.edge.addresses.is_empty() {
        false => expected.edge.addresses.clone(),
        // An edge that cannot be resolved right now makes nothing of the customer's wrong: see `routing`.
        true => resolvers.target_addresses(&expected.edge.name).await.map(|found| found.to_vec()).unwrap_or_default(),
    }
}

/// A resolver that fails twice and answers when told not to validate has found a broken chain of trust. Newer ones say
/// so themselves; a single failure may be anything.
async fn is_bogus(resolvers: &Resolvers, host: &OwnerName, views: &[View], deadline: Instant) -> bool {
    if views.iter().flat_map(reasons).any(|reason| reason == Reason::Bogus) {
        return true;
    }
    let failing = views.iter().filter(|view| view.voter.role == Role::Recursive);
    let mut failing = failing.filter(|view| reasons(view).any(|reason| reason == Reason::ServFail));
    let Some(view) = failing.next() else { return false };
    let ask = |validation| {
        let world = resolvers.world();
        async move { world.ask_server(view.voter, host, RecordType::A, validation, deadline).await.1 }
    };
    let (usual, unvalidated) = futures::join!(ask(Validation::Usual), ask(Validation::Off));
    usual == Answer::Indeterminate(Reason::ServFail) && unvalidated.is_definite()
}

/// Why a server said nothing, for each of its answers that does.
pub(super) fn reasons(view: &View) -> impl Iterator<Item = Reason> + '_ {
    view.replies().filter_map(|answer| match answer {
        Answer::Indeterminate(reason) => Some(*reason),
        Answer::Present(reply) => reply.open,
        Answer::Absent(_) => None,
    })
}
