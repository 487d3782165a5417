//! `[dns]`: whom the control plane asks about customers' records.

use crate::{
    resolver::{PORT, ResolverAddress, parse_resolver, public_resolvers},
    section::{Empty, Walk},
};

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// Resolvers; never empty.
    pub resolvers: Vec<ResolverAddress>,
    /// Whether a zone's own servers are asked too.
    pub ask_authority: bool,
    /// At which port they are.
    pub authority_port: u16,
    /// Whether they may have private addresses.
    pub allow_private: bool,
}

impl Dns {
    pub(crate) fn read(walk: &mut Walk) -> Self {
        let mut section = walk.section("dns");
        let hint = "name a resolver, or remove the key for the public ones";
        let resolvers = section.list("resolvers", Empty::Refused(hint), parse_resolver);
        let ask_authority = section.boolean("ask_authority", true);
        let port = section.quantity::<usize>("authority_port", (1, usize::from(u16::MAX)), usize::from(PORT));
        let allow_private = section.boolean("allow_private", false);
        let listed = |list: Vec<(ResolverAddress, _)>| list.into_iter().map(|(resolver, _)| resolver).collect();
        Self {
            resolvers: resolvers.map_or_else(public_resolvers, listed),
            ask_authority,
            authority_port: u16::try_from(port).unwrap_or(PORT),
            allow_private,
        }
    }
}
