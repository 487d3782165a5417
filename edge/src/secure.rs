//! The third stage: a certificate, then the handshake.
//!
//! A certificate in memory costs one look-up. Otherwise the visitor waits for the store or for an order that belongs to
//! the certificate manager, within a limit; a visitor that leaves cancels nothing.

use std::sync::Arc;

use certs::{Leaf, LoadError, ObtainError};
use control_client::{Freshness, Site};
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::{StartHandshake, server::TlsStream};

use crate::{
    admit::Admitted,
    fair::Seat,
    gather::Gather,
    hello::{self, Alert, Visitor},
    policy::{LineLimits, Policy},
    serve::Deps,
    standing::Admission,
    tls,
};

/// A visitor behind a finished handshake.
#[derive(Debug)]
pub struct Secured {
    /// The encrypted stream.
    pub tls: TlsStream<Gather<TcpStream>>,
    /// The visitor's address.
    pub from: std::net::SocketAddr,
    /// What the connection occupies.
    pub seat: Arc<Seat>,
    /// What the gate says about the name.
    pub admission: Admission,
    /// The certificate in use.
    pub leaf: Arc<Leaf>,
    /// The rules that stood when the connection was accepted.
    pub policy: Arc<Policy>,
}

/// Why a connection could not be secured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecureError {
    /// The handshake failed after the certificate was chosen.
    #[error("the handshake failed")]
    Handshake(#[source] std::io::Error),
    /// The peer took too long over the handshake.
    #[error("the handshake did not finish in time")]
    HandshakeTimedOut,
    /// A probe came for a name that has no order in flight.
    #[error("no order for this name is in flight")]
    NoChallenge,
    /// The certificate could not be had, or not in time.
    #[error("no certificate")]
    Obtain(#[from] ObtainError),
    /// The gate is out of reach and no certificate is kept for the name.
    #[error("the gate cannot be asked and no certificate is kept")]
    StaleWithoutCertificate,
    /// The store failed while the gate was out of reach.
    #[error("the kept certificate could not be loaded")]
    Store(#[from] LoadError),
}

impl SecureError {
    /// A stable word for metrics and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Handshake(_) => "handshake_failed",
            Self::HandshakeTimedOut => "handshake_timeout",
            Self::NoChallenge => "probe_unknown",
            Self::Obtain(error) => error.code(),
            Self::StaleWithoutCertificate => "gate_unavailable",
            Self::Store(_) => "store_failed",
        }
    }
}

/// Finds or obtains the certificate and completes the handshake.
///
/// # Errors
/// [`SecureError`]; the visitor has been sent an alert.
pub async fn secure(admitted: Admitted, policy: Arc<Policy>, deps: &Deps) -> Result<Secured, SecureError> {
    let Admitted { visitor, admission, freshness } = admitted;
    let leaf = match deps.certificates.find(&visitor.name, admission.site.tenant.as_ref()) {
        Some(leaf) => leaf,
        None => match wait_for_leaf(&visitor, &admission.site, freshness, deps).await {
            Ok(leaf) => leaf,
            Err(error) => {
                visitor.refuse(Alert::InternalError).await;
                return Err(error);
            }
        },
    };
    let (from, seat, at) = (visitor.from, visitor.seat, Instant::now());
    let config = tls::for_visitor(&policy.tls, &leaf, &admission.site);
    let mut stream = shake_hands(visitor.start, config, &policy.limits).await?;
    finish(&mut stream).await.map_err(SecureError::Handshake)?;
    let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
    seat.secured(resumed, &policy.limits.fair);
    deps.metrics.handshake_done(resumed, at.elapsed());
    Ok(Secured { tls: stream, from, seat, admission, leaf, policy })
}

/// The handshake, within its limit. A peer with which it fails is told why: the library's alert has been gathered, and
/// nobody else would send it.
///
/// # Errors
/// [`SecureError::Handshake`] and [`SecureError::HandshakeTimedOut`].
pub(crate) async fn shake_hands(
    start: StartHandshake<Gather<TcpStream>>,
    config: Arc<ServerConfig>,
    limits: &LineLimits,
) -> Result<TlsStream<Gather<TcpStream>>, SecureError> {
    let handshake = start.into_stream(config).into_fallible();
    match timeout(limits.handshake_timeout, handshake).await.map_err(|_| SecureError::HandshakeTimedOut)? {
        Ok(stream) => Ok(stream),
        Err((error, mut socket)) => {
            hello::end(&mut socket).await;
            Err(SecureError::Handshake(error))
        }
    }
}

/// Ends the gathering of the handshake. In TLS 1.3 only tickets are left to send, which go with the first response; in
/// TLS 1.2 the peer waits for our Finished (RFC 5246 section 7.3).
async fn finish(stream: &mut TlsStream<Gather<TcpStream>>) -> std::io::Result<()> {
    let (socket, session) = stream.get_mut();
    socket.handshake_done();
    match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => Ok(()),
        _ => stream.flush().await,
    }
}

/// The part of a first visit that is not TLS. A stale answer of the gate may serve what is kept but never orders.
async fn wait_for_leaf(
    visitor: &Visitor,
    site: &Site,
    freshness: Freshness,
    deps: &Deps,
) -> Result<Arc<Leaf>, SecureError> {
    let tenant = site.tenant.as_ref();
    match freshness {
        Freshness::Fresh => Ok(deps.certificates.obtain(&visitor.name, tenant).await?),
        Freshness::Stale => {
            let kept = deps.certificates.load(&visitor.name, tenant).await?;
            kept.ok_or(SecureError::StaleWithoutCertificate)
        }
    }
}
