//! [`check_everywhere`]: does every server of a zone show what was written there?
//!
//! Resolvers have no say: they may believe an older answer for a TTL, and a CA asks the zone's own servers.

use std::net::SocketAddr;

use futures::future::join_all;
use hickory_proto::rr::RecordType;

use crate::{Answer, OwnerName, Reason, Resolvers, Role, Server, exchange::Validation, values::txt_of, world::Voter};

/// A record is not shown by everybody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unseen {
    /// A server of the zone says that the value is not there.
    #[error("the name server {server} does not show the record")]
    Absent {
        /// Which.
        server: SocketAddr,
    },
    /// A server of the zone says nothing.
    #[error("the name server {server} does not say whether it shows the record")]
    Silent {
        /// Which.
        server: SocketAddr,
        /// Why.
        #[source]
        reason: Reason,
    },
    /// The zone or its servers cannot be found.
    #[error("the name servers of the record's zone cannot be found")]
    Unknown(#[source] Reason),
}

/// Whether every server of the zone of `name` shows a TXT record of this value, beside whatever else stands there.
///
/// # Errors
/// [`Unseen`] names the first server that does not.
pub async fn check_everywhere(resolvers: &Resolvers, name: &OwnerName, value: &str) -> Result<(), Unseen> {
    resolvers.metrics().checked("everywhere");
    let deadline = resolvers.deadline();
    let zone = resolvers.find_zone(name, deadline).await.map_err(Unseen::Unknown)?;
    let ask = async |server: SocketAddr| {
        let voter = Voter { server: Server::new(server), role: Role::Authority };
        let world = resolvers.world();
        match world.ask_server(voter, name, RecordType::TXT, Validation::Usual, deadline).await.1 {
            Answer::Present(reply) if txt_of(&reply.records).any(|shown| shown == value) => Ok(()),
            Answer::Present(_) | Answer::Absent(_) => Err(Unseen::Absent { server }),
            Answer::Indeterminate(reason) => Err(Unseen::Silent { server, reason }),
        }
    };
    join_all(zone.servers.iter().map(|server| ask(*server))).await.into_iter().collect()
}
