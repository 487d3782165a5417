//! Before the first stage: who has come, and is there a seat?
//!
//! A balancer of `proxy.proxy_protocol` first says whom it speaks for; from then on that address is the visitor's. Then
//! the connection is seated or reset (see [`crate::fair`]). Nothing has been read of the visitor's own bytes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};

use crate::{
    fair::{Fair, Refused, Seat},
    http::forward::Peer,
    policy::Policy,
    proxy_protocol::{self, Header},
    serve::Accepted,
};

/// A connection that has its seat.
#[derive(Debug)]
pub struct Arrived {
    /// The socket; nothing of the visitor has been read from it.
    pub tcp: TcpStream,
    /// The visitor's address, as the socket or a balancer's header has it.
    pub from: SocketAddr,
    /// What the connection occupies.
    pub seat: Arc<Seat>,
}

/// Why a connection is reset before anything is read from its visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArriveError {
    /// A balancer's connection begins with something else than a PROXY protocol header.
    #[error("the balancer sent no PROXY protocol header")]
    Header,
    /// It ended within the header.
    #[error("the connection ended within the PROXY protocol header")]
    HeaderClosed,
    /// The header took too long.
    #[error("the PROXY protocol header did not arrive in time")]
    HeaderTimedOut,
    /// Others need the place.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl ArriveError {
    /// A stable word for metrics and logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Header => "proxy_header",
            Self::HeaderClosed => "proxy_header_closed",
            Self::HeaderTimedOut => "proxy_header_timeout",
            Self::Refused(refused) => refused.code(),
        }
    }
}

/// Finds out who has come, and seats the connection.
///
/// # Errors
/// [`ArriveError`]; the connection has been reset.
pub async fn arrive(accepted: Accepted, policy: &Policy, fair: &Arc<Fair>) -> Result<Arrived, ArriveError> {
    let Accepted { mut tcp, mut from } = accepted;
    let named = match policy.speaks_for_others(from.ip()) {
        true => ask(&mut tcp, policy.limits.proxy_header_timeout).await.inspect_err(|error| fair.refused(error.code())),
        false => Ok(Some(from)),
    };
    let seated = named.and_then(|named| {
        // A balancer that speaks for itself, and one that is trusted with all its visitors, is not one of many.
        let exempt = named.is_none_or(|named| policy.peer(named.ip()) == Peer::TrustedProxy);
        from = named.unwrap_or(from);
        Ok(fair.seat((!exempt).then(|| from.ip().into()), &policy.limits.fair)?)
    });
    match seated {
        Ok(seat) => Ok(Arrived { tcp, from, seat }),
        Err(error) => {
            reset(&tcp);
            Err(error)
        }
    }
}

/// Makes the end of a connection a reset: nothing is sent, and the socket does not linger in the kernel.
pub(crate) fn reset(tcp: &TcpStream) {
    // Where it cannot be set the connection is merely closed.
    let _ = tcp.set_zero_linger();
}

/// The address that a balancer's header names.
async fn ask(tcp: &mut TcpStream, limit: Duration) -> Result<Option<SocketAddr>, ArriveError> {
    timeout(limit, read_header(tcp)).await.unwrap_or(Err(ArriveError::HeaderTimedOut))
}

/// Reads the header and not a byte more: in as many steps as it takes to know its length.
async fn read_header(tcp: &mut TcpStream) -> Result<Option<SocketAddr>, ArriveError> {
    let mut header = Vec::new();
    loop {
        match proxy_protocol::read(&header).map_err(|_| ArriveError::Header)? {
            Header::Whole { source, .. } => return Ok(source),
            Header::More(more) => {
                let had = header.len();
                header.resize(had + more, 0);
                let more = header.get_mut(had..).unwrap_or_default();
                tcp.read_exact(more).await.map_err(|_| ArriveError::HeaderClosed)?;
            }
        }
    }
}
