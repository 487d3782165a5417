//! What a CA will find in the DNS when an order is placed: where the name leads, and whether it may issue.
//!
//! A yes costs one question to one resolver. A "no" is one only after everybody was asked who has a vote, the zone's own
//! servers first of all: a resolver may hold the absence of a record, or a record that is gone, for as long as its TTL
//! says, while a CA asks afresh. So whoever has just made a record is never told that it is missing.

use futures::future::join_all;
use hickory_proto::rr::RecordType;

use super::{
    caa::{CaIdentity, CaaVerdict, evaluate},
    view::{Facet, View, fetch},
};
use crate::{
    Absence, Addresses, Answer, CaaRecord, OwnerName, Resolvers,
    merge::{Verdict, Vote, merge},
    values::caa_of,
};

/// Where a name leads. `Absent` only when more than half of all say that it leads nowhere and nobody says where.
pub async fn addresses(resolvers: &Resolvers, host: &OwnerName) -> Answer<Addresses> {
    resolvers.metrics().checked("addresses");
    match resolvers.addresses(host).await {
        Answer::Present(found) if !found.addresses.is_empty() || found.unknown.is_some() => Answer::Present(found),
        Answer::Indeterminate(reason) => Answer::Indeterminate(reason),
        Answer::Present(_) | Answer::Absent(_) => confirmed(resolvers, host).await,
    }
}

async fn confirmed(resolvers: &Resolvers, host: &OwnerName) -> Answer<Addresses> {
    let views = fetch(resolvers, host, &[Facet::Addresses], None, resolvers.deadline()).await;
    let answers: Vec<_> = views.iter().map(View::addresses).collect();
    let votes: Vec<_> = views.iter().zip(&answers).map(|(view, answer)| (view.voter.role, vote(answer))).collect();
    match merge(&votes) {
        Verdict::Absent => Answer::Absent(absence(&answers)),
        Verdict::Indeterminate(reason) => Answer::Indeterminate(reason),
        Verdict::Present { .. } | Verdict::Propagating => {
            let found = answers.into_iter().find(|answer| vote(answer) == Vote::Match);
            found.unwrap_or(Answer::Absent(Absence::NoData))
        }
    }
}

fn vote(answer: &Answer<Addresses>) -> Vote {
    match answer {
        Answer::Present(Addresses { addresses, .. }) if !addresses.is_empty() => Vote::Match,
        Answer::Present(Addresses { unknown: Some(reason), .. }) | Answer::Indeterminate(reason) => {
            Vote::Unknown(*reason)
        }
        Answer::Present(_) | Answer::Absent(_) => Vote::Miss,
    }
}

/// The name itself is missing when nobody has seen anything of it.
fn absence(answers: &[Answer<Addresses>]) -> Absence {
    let seen = |answer| matches!(answer, &Answer::Present(_) | &Answer::Absent(Absence::NoData));
    if answers.iter().any(seen) { Absence::NoData } else { Absence::NoName }
}

/// The set of CAA records that holds for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaaSet {
    /// Where it stands: the name, one above it, or where an alias of one of them leads.
    pub at: OwnerName,
    /// Its properties.
    pub records: Vec<CaaRecord>,
}

/// The nearest set (RFC 8659 section 3), by the first resolver that tells.
pub async fn caa(resolvers: &Resolvers, host: &OwnerName) -> Answer<CaaSet> {
    resolvers.metrics().checked("caa");
    resolvers.caa(host).await.map(|(at, records)| CaaSet { at, records })
}

/// Why `set` keeps this CA from issuing for the name itself, if that is certain.
pub async fn refusal(resolvers: &Resolvers, set: &CaaSet, ca: &CaIdentity) -> Option<CaaVerdict> {
    let verdict = evaluate(&set.records, false, ca);
    match verdict {
        CaaVerdict::Allowed => None,
        CaaVerdict::OtherAccount | CaaVerdict::OtherIssuer | CaaVerdict::OtherMethod | CaaVerdict::UnknownCritical => {
            stands(resolvers, set, ca).await.then_some(verdict)
        }
    }
}

/// Whether everybody who says something, and more than half of all, show a set there that refuses.
async fn stands(resolvers: &Resolvers, set: &CaaSet, ca: &CaIdentity) -> bool {
    let deadline = resolvers.deadline();
    let voters = resolvers.voters(&set.at, deadline).await;
    let votes = join_all(voters.into_iter().map(async |voter| {
        let answer = resolvers.ask(voter, &set.at, RecordType::CAA, None, deadline).await;
        let vote = match answer.map(|reply| evaluate(&caa_of(&reply.records), false, ca)) {
            Answer::Present(CaaVerdict::Allowed) | Answer::Absent(_) => Vote::Match,
            Answer::Present(_) => Vote::Miss,
            Answer::Indeterminate(reason) => Vote::Unknown(reason),
        };
        (voter.role, vote)
    }));
    merge(&votes.await) == Verdict::Absent
}
