//! A CA's validation connection (RFC 8737): the certificate of the challenge, and nothing else.
//!
//! Only orders in flight are looked at. An unknown name costs one look at a map in memory: no question, no storage. In a
//! fleet it waits for the next look at the other edges' orders, which is one for everybody who waits.

use certs::Challenges;
use tokio::{io::AsyncWriteExt, time::timeout};

use crate::{
    hello::{Alert, Visitor},
    policy::Policy,
    secure::{self, SecureError},
    tls,
};

/// Answers a probe and closes.
///
/// # Errors
/// [`SecureError`] when no order for the name is in flight or the handshake fails.
pub async fn answer(probe: Visitor, challenges: &Challenges, policy: &Policy) -> Result<(), SecureError> {
    let Some(key) = challenges.search_alpn(&probe.name).await else {
        probe.refuse(Alert::UnrecognizedName).await;
        return Err(SecureError::NoChallenge);
    };
    let mut stream = secure::shake_hands(probe.start, tls::for_probe(&policy.tls, key), &policy.limits).await?;
    // The CA has what it came for; whether it waits for the close is its own business.
    let _ = timeout(policy.limits.hello_timeout, stream.shutdown()).await;
    Ok(())
}
