//! Webhook messages as Connect Domain sends them, with what it leaves out: an id, the name, and its numbers.

use http::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::Value;

use super::events::event_name;
use crate::{
    core::{Event, Moment, SigningSecrets},
    webhooks::signing::{Headers, SigningError, hex, mac},
};

/// The body.
#[derive(Debug, Serialize)]
struct Message<'a> {
    /// The event's id: the same in every try and every replay.
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    /// The connection; null when the event is about the account.
    #[serde(rename = "jobId")]
    job_id: Option<&'a str>,
    hostname: Option<&'a str>,
    /// Its number among the events of this hostname, without gaps.
    hostname_seq: Option<i64>,
    /// Its number among the account's events: the one that `GET /v1/events` goes on from.
    seq: i64,
    data: &'a Value,
    /// When it happened.
    timestamp: Moment,
    /// When this try was made.
    sent_at: Moment,
}

/// The message of an event.
pub(crate) fn body(event: &Event, sent_at: Moment) -> Vec<u8> {
    let message = Message {
        id: &event.id,
        kind: event_name(event.kind),
        job_id: event.claim_id.as_deref(),
        hostname: event.hostname.as_deref(),
        hostname_seq: event.hostname_seq,
        seq: event.seq,
        data: &event.data.0,
        timestamp: event.created_at,
        sent_at,
    };
    // Our own type: nothing in it that JSON cannot hold.
    serde_json::to_vec(&message).unwrap_or_default()
}

/// `X-CD-Timestamp` and `X-CD-Signature`. There is room for one signature: after a rotation the secret before signs as
/// long as it is good, because a receiver that has not learned the new one has only that, and one that has keeps both.
pub(crate) fn headers(at: Moment, body: &[u8], secrets: &SigningSecrets) -> Result<Headers, SigningError> {
    let time = at.as_secs().to_string();
    let secret = secrets.former.as_ref().unwrap_or(&secrets.current);
    let signature = hex(mac(secret.as_bytes(), &[time.as_bytes(), b".", body]).as_ref());
    Ok(vec![
        (HeaderName::from_static("x-cd-timestamp"), HeaderValue::from_str(&time)?),
        (HeaderName::from_static("x-cd-signature"), HeaderValue::from_str(&format!("sha256={signature}"))?),
    ])
}
