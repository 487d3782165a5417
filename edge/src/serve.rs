//! The line that every TLS connection goes through.
//!
//! Seat -> ClientHello -> gate -> certificate and handshake -> requests. A validation probe of a CA (RFC 8737) leaves
//! the line at the hello. This file is the map of the crate: read it second, after `main.rs`.

use std::{net::SocketAddr, pin::pin, sync::Arc};

use certs::{Certificates, Challenges};
use tokio::net::TcpStream;

use crate::{
    admit::{self, AdmitError},
    arrive::{self, ArriveError, Arrived},
    fair::Fair,
    hello::{self, Hello, HelloError},
    metrics::Metrics,
    policy::Policy,
    probe,
    proxy::Proxy,
    secure::{self, SecureError, Secured},
};

/// A connection that a listener has just accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The socket; nothing has been read from it.
    pub tcp: TcpStream,
    /// Who connected.
    pub from: SocketAddr,
}

/// What the line needs of the rest of the process. Shared by every connection, never locked.
pub struct Deps {
    /// Finds, loads and obtains certificates.
    pub certificates: Certificates,
    /// Challenges of orders in flight.
    pub challenges: Arc<Challenges>,
    /// Seats for connections.
    pub fair: Arc<Fair>,
    /// Proxies requests once a connection is secured.
    pub proxy: Proxy,
    /// Counters of every stage.
    pub metrics: Metrics,
}

/// How a connection ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// A CA looked at the certificate of a challenge.
    Probe,
    /// A visitor's requests were answered until the connection closed.
    Visitor,
}

/// Why a connection was not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The gate does not admit the name, or could not say.
    #[error("the name is not admitted")]
    Admit(#[from] AdmitError),
    /// There is no seat for it.
    #[error("the connection is not taken")]
    Arrive(#[from] ArriveError),
    /// There was no usable ClientHello.
    #[error("no usable ClientHello")]
    Hello(#[from] HelloError),
    /// It was idle, and others needed its place.
    #[error("the idle connection made room for others")]
    MadeRoom,
    /// No certificate in time, or the handshake failed.
    #[error("the connection was not secured")]
    Secure(#[from] SecureError),
}

impl ServeError {
    /// A stable word for metrics and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Admit(error) => error.code(),
            Self::Arrive(error) => error.code(),
            Self::Hello(error) => error.code(),
            Self::MadeRoom => "made_room",
            Self::Secure(error) => error.code(),
        }
    }
}

/// Serves one connection from its first byte to its last.
///
/// # Errors
/// [`ServeError`] when the connection ended before its first request could be read; the peer has had its alert.
pub async fn serve(accepted: Accepted, policy: Arc<Policy>, deps: &Deps) -> Result<Served, ServeError> {
    let arrived = arrive::arrive(accepted, &policy, &deps.fair).await?;
    let seat = arrived.seat.clone();
    let seated = pin!(serve_seated(arrived, policy, deps));
    seat.unless_shed(seated).await.unwrap_or(Err(ServeError::MadeRoom))
}

async fn serve_seated(arrived: Arrived, policy: Arc<Policy>, deps: &Deps) -> Result<Served, ServeError> {
    // Boxed so that the handshake's buffers are gone while the connection idles between requests.
    let Some(secured) = Box::pin(secure_visitor(arrived, policy, deps)).await? else {
        return Ok(Served::Probe);
    };
    deps.proxy.run(secured).await;
    Ok(Served::Visitor)
}

/// Everything before the first request; `None` for a probe, which has no requests.
async fn secure_visitor(
    arrived: Arrived,
    policy: Arc<Policy>,
    deps: &Deps,
) -> Result<Option<Box<Secured>>, ServeError> {
    let visitor = match hello::read(arrived, &policy.limits).await? {
        Hello::Visitor(visitor) => visitor,
        Hello::Probe(probe) => {
            probe::answer(probe, &deps.challenges, &policy).await?;
            return Ok(None);
        }
    };
    let admitted = admit::admit(visitor, &policy.gate).await?;
    Ok(Some(Box::new(secure::secure(admitted, policy, deps).await?)))
}
