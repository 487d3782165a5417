//! [`check_ownership`]: does the name's owner show our token?

use super::{
    ServerView,
    records::{observed_value, txt_vote},
    view::{Facet, fetch},
};
use crate::{
    OwnerName, Resolvers,
    merge::{Verdict, merge},
};

/// What was seen of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// What all servers say together.
    pub state: Verdict,
    /// What stands there instead, or beside it.
    pub observed_value: Option<String>,
    /// Each server's word.
    pub servers: Vec<ServerView>,
}

impl Ownership {
    /// The token is there. Nothing but a present verdict is a proof.
    pub fn is_proven(&self) -> bool {
        matches!(self.state, Verdict::Present { .. })
    }
}

/// Looks for a TXT record whose joined character-strings are exactly `expected`; other records beside it do not hurt.
/// Case counts: tokens are mixed case, and a comparison without it would throw away a bit of each letter.
pub async fn check_ownership(resolvers: &Resolvers, name: &OwnerName, expected: &str) -> Ownership {
    resolvers.metrics().checked("ownership");
    let views = fetch(resolvers, name, &[Facet::Txt], None, resolvers.deadline()).await;
    let views = views.iter().map(|view| {
        let (vote, seen) = txt_vote(&view.txt(), expected);
        ServerView { server: view.voter.server.address, role: view.voter.role, vote, seen }
    });
    let servers: Vec<_> = views.collect();
    let votes: Vec<_> = servers.iter().map(|view| (view.role, view.vote)).collect();
    Ownership { state: merge(&votes), observed_value: observed_value(&servers), servers }
}
