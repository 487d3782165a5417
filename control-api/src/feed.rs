//! The change feed: `GET /internal/changes?after=SEQ&wait=SECONDS`.
//!
//! Every change that an edge must know of is one numbered [`Change`]. The server answers at once when there are changes
//! after `after`, else as soon as one is committed, else with an empty list after `wait` seconds (it may cut `wait`
//! short, never lengthen it). What the server promises:
//!
//! - **Sequence.** `seq` grows with every commit; a change is never seen before one of a lower `seq`. Gaps are fine.
//! - **Generation.** Per hostname, `generation` grows with every change of what is served there, a deletion included,
//!   and goes on growing when the name comes back, under whatever account: an edge refuses an upsert whose generation
//!   is not above that of the deletion before it.
//! - **Gone.** `after` below the oldest change that is kept, or above the newest that ever was: `410 Gone`, whatever
//!   the body. The edge then reads the [snapshot](crate::SnapshotLine).
//! - **Epoch.** A number that is raised when the sequence starts anew (a restored backup, a new database). Another epoch
//!   than the one that an edge knows makes it read the snapshot.
//! - `Authorization: Bearer <token>`; `401` makes the edge read its token file again.

use names::{Hostname, Tenant};
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};

/// What is served under a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Route {
    /// Where requests go: `http://host[:port]` or `https://host[:port]`. Without one: the edge's default origin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Send the customer's `Host` to the origin instead of the origin's own authority.
    #[serde(skip_serializing_if = "is_false")]
    pub keep_host: bool,
    /// Answer every request with a 308 to this URL followed by the request's path and query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
    /// The control plane's id of the connection, for logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<String>,
    /// The name is verified and its DNS points here: the certificate can be ordered before the first visit.
    #[serde(skip_serializing_if = "is_false")]
    pub pointing: bool,
    /// Whose the name is, as in [`AskAnswer::tenant`](crate::AskAnswer::tenant).
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub tenant: Option<Tenant>,
}

/// What happened to a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is not to be served any more.
    Delete,
    /// It is to be served like this, whether it was known or not.
    Upsert(Route),
    /// Something that a newer server knows of; an edge that does not counts it and goes on.
    #[serde(other)]
    Unknown,
}

/// One change: `{"seq":7,"hostname":"shop.example","generation":3,"kind":"upsert","origin":"http://10.0.0.1:3000"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its place in the feed.
    pub seq: u64,
    /// The name.
    pub hostname: Hostname,
    /// Version of what is served under the name.
    pub generation: u64,
    /// When it was committed, in milliseconds since the Unix epoch; 0 when unknown. For metrics alone.
    #[serde(default)]
    pub at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: ChangeKind,
}

/// An answer of the feed, at most [`Changes::MOST`] changes.
///
/// `C` lets a reader take each change for itself, so that one that it cannot read does not hide the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes<C = Change> {
    /// Which run of the sequence this is.
    pub epoch: u64,
    /// In order of `seq`.
    pub changes: Vec<C>,
    /// What to ask for next: the highest `seq` in `changes`, or the `after` of the question when there is none.
    pub next_after: u64,
    /// The newest `seq` that there is: above `next_after` when more is to be had at once.
    #[serde(default)]
    pub head: u64,
}

impl Changes {
    /// Most changes in one answer.
    pub const MOST: usize = 1000;
    /// Longest wait, in seconds, that a server must be ready for: below the idle limits of common balancers.
    pub const LONGEST_WAIT: u64 = 25;
}

/// A tenant's id, or nothing: endpoints that are not ours may use the word for something else.
pub(crate) fn lenient<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Tenant>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Told {
        Text(String),
        Other(IgnoredAny),
    }
    Ok(match Told::deserialize(from)? {
        Told::Text(text) => text.parse().ok(),
        Told::Other(IgnoredAny) => None,
    })
}

pub(crate) fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_one_flat_object() {
        let route = Route { origin: Some("http://o:1".to_owned()), pointing: true, ..Route::default() };
        let hostname: Hostname = "shop.example".parse().unwrap();
        let upsert =
            Change { seq: 7, hostname: hostname.clone(), generation: 3, at_ms: 0, kind: ChangeKind::Upsert(route) };
        let text = r#"{"seq":7,"hostname":"shop.example","generation":3,"at_ms":0,"kind":"upsert","origin":"http://o:1","pointing":true}"#;
        assert_eq!(serde_json::to_string(&upsert).unwrap(), text);
        assert_eq!(serde_json::from_str::<Change>(text).unwrap(), upsert);
        let text = r#"{"kind":"delete","seq":8,"hostname":"Shop.Example.","generation":4,"why":"asked for"}"#;
        let delete = Change { seq: 8, hostname, generation: 4, at_ms: 0, kind: ChangeKind::Delete };
        assert_eq!(serde_json::from_str::<Change>(text).unwrap(), delete);
    }

    #[test]
    fn a_kind_of_the_future_is_no_error() {
        let text = r#"{"seq":8,"hostname":"a.example","generation":4,"kind":"paint","colour":"blue"}"#;
        assert_eq!(serde_json::from_str::<Change>(text).unwrap().kind, ChangeKind::Unknown);
    }
}
