//! What each server says about one name, fetched once and looked at several times.

use std::{collections::BTreeMap, net::SocketAddr};

use futures::future::join_all;
use hickory_proto::rr::RecordType;
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    Absence, Addresses, Answer, OwnerName, Resolvers, Role,
    limits::MAX_SHOWN,
    merge::Vote,
    reply::Reply,
    values::{addresses_of, txt_of},
    world::Voter,
};

/// One server's word in a check, for the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServerView {
    /// Who.
    pub server: SocketAddr,
    /// What its word is worth.
    pub role: Role,
    /// What it says about the desired value.
    pub vote: Vote,
    /// What it shows; `None` when it shows nothing.
    pub seen: Option<String>,
}

/// Which types of a name are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Facet {
    Addresses,
    Txt,
}

/// One server's answers about one name.
pub(super) struct View {
    pub(super) voter: Voter,
    answers: BTreeMap<Facet, Vec<Answer<Reply>>>,
}

impl View {
    pub(super) fn addresses(&self) -> Answer<Addresses> {
        match self.answers.get(&Facet::Addresses).map(Vec::as_slice) {
            Some([v4, v6]) => addresses_of(v4, v6),
            _ => Answer::Absent(Absence::NoData),
        }
    }

    /// TXT records, each joined. A chain that nobody can follow is not an absence.
    pub(super) fn txt(&self) -> Answer<Vec<String>> {
        match self.answers.get(&Facet::Txt).and_then(|answers| answers.first()) {
            Some(Answer::Present(Reply { open: Some(reason), .. })) => Answer::Indeterminate(*reason),
            Some(answer) => answer.clone().map(|reply| txt_of(&reply.records).collect()),
            None => Answer::Absent(Absence::NoData),
        }
    }

    /// The replies themselves.
    pub(super) fn replies(&self) -> impl Iterator<Item = &Answer<Reply>> {
        self.answers.values().flatten()
    }
}

/// Asks everyone with a vote about these facets of a name, all at once. What lies behind `goal` is not looked at.
pub(super) async fn fetch(
    resolvers: &Resolvers,
    name: &OwnerName,
    facets: &[Facet],
    goal: Option<&OwnerName>,
    deadline: Instant,
) -> Vec<View> {
    let voters = resolvers.voters(name, deadline).await;
    join_all(voters.into_iter().map(|voter| view(resolvers, voter, name, facets, goal, deadline))).await
}

async fn view(
    resolvers: &Resolvers,
    voter: Voter,
    name: &OwnerName,
    facets: &[Facet],
    goal: Option<&OwnerName>,
    deadline: Instant,
) -> View {
    let answers = facets.iter().map(async |facet| {
        let kinds: &[RecordType] = match facet {
            Facet::Addresses => &[RecordType::A, RecordType::AAAA],
            Facet::Txt => &[RecordType::TXT],
        };
        (*facet, join_all(kinds.iter().map(|kind| resolvers.ask(voter, name, *kind, goal, deadline))).await)
    });
    View { voter, answers: join_all(answers).await.into_iter().collect() }
}

/// One line of what was seen: the chain and where it ends, or the values.
pub(super) fn shown<T: ToString>(values: impl IntoIterator<Item = T>) -> Option<String> {
    let mut line = String::new();
    for value in values {
        if !line.is_empty() {
            line.push_str(", ");
        }
        line.extend(value.to_string().chars().take(MAX_SHOWN));
        if line.len() >= MAX_SHOWN {
            line.truncate(line.floor_char_boundary(MAX_SHOWN));
            break;
        }
    }
    (!line.is_empty()).then_some(line)
}

/// What an address answer shows: `CNAME edge.example, 192.0.2.1`.
pub(super) fn shown_addresses(answer: &Answer<Addresses>) -> Option<String> {
    let Addresses { chain, addresses, .. } = answer.present()?;
    let chain = chain.iter().map(|name| format!("CNAME {name}"));
    shown(chain.chain(addresses.iter().map(ToString::to_string)))
}
