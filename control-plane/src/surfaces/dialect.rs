//! Webhook messages in the words of each API.

use super::connect_domain;
use crate::{
    core::{Event, Moment, SigningSecrets, Surface},
    webhooks::signing::{Headers, SigningError},
};

/// The body of the message of an event.
pub(crate) fn message(dialect: Surface, event: &Event, sent_at: Moment) -> Vec<u8> {
    match dialect {
        Surface::ConnectDomain => connect_domain::message::body(event, sent_at),
    }
}

/// The headers that a dialect has beside those of Standard Webhooks.
pub(crate) fn headers(
    dialect: Surface,
    at: Moment,
    body: &[u8],
    secrets: &SigningSecrets,
) -> Result<Headers, SigningError> {
    match dialect {
        Surface::ConnectDomain => connect_domain::message::headers(at, body, secrets),
    }
}
