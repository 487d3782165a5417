//! The snapshot: `GET /internal/snapshot`, every known name at one point of the feed, as `application/x-ndjson`.
//!
//! One JSON object a line, each line ended by `\n`, so that neither side ever holds all names:
//!
//! ```text
//! {"header":{"epoch":1,"seq":4711,"count":2}}
//! {"name":{"hostname":"a.example","generation":3,"origin":"http://10.0.0.1:3000","pointing":true}}
//! {"name":{"hostname":"b.example","generation":1}}
//! {"end":{"count":2,"checksum":"…"}}
//! ```
//!
//! `checksum` is the lower-case hexadecimal SHA-256 of every byte before the `end` line, newlines included. Without a
//! right last line the whole snapshot is refused and the edge keeps what it has.
//!
//! **What an edge refuses.** A snapshot of a lower epoch, of a lower `seq` in the same epoch, and one that is empty or
//! more than a fifth smaller than what the edge knows: each looks like a control plane on the wrong database. The
//! server sets `confirmed` in the header when its operator has said that this is meant; then all of them are taken.
//! It should be set for that one occasion only, and the epoch raised with it.

use names::Hostname;
use serde::{Deserialize, Serialize};

use crate::{Route, feed::is_false};

/// The media type.
pub const SNAPSHOT_TYPE: &str = "application/x-ndjson";
/// Longest line, its newline included.
pub const SNAPSHOT_LINE: usize = 16 * 1024;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotLine {
    /// The last one.
    End(SnapshotEnd),
    /// The first one.
    Header(SnapshotHeader),
    /// Any other.
    Name(SnapshotName),
}

/// Where the snapshot stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotHeader {
    /// Which run of the sequence.
    pub epoch: u64,
    /// The last change that is in it: the feed goes on after this.
    pub seq: u64,
    /// How many names follow, as far as the server can say beforehand; the last line decides.
    #[serde(default)]
    pub count: u64,
    /// The operator means it, however little is left and however old it is.
    #[serde(default, skip_serializing_if = "is_false")]
    pub confirmed: bool,
}

/// A known name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotName {
    /// The name.
    pub hostname: Hostname,
    /// Version of what is served under it.
    pub generation: u64,
    /// What is served.
    #[serde(flatten)]
    pub route: Route,
}

/// Proof that nothing is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotEnd {
    /// How many names there were.
    pub count: u64,
    /// SHA-256 of all lines before, in lower-case hexadecimal.
    pub checksum: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_the_example_are_the_lines_on_the_wire() {
        let header = SnapshotHeader { epoch: 1, seq: 4711, count: 2, confirmed: false };
        let route = Route { origin: Some("http://10.0.0.1:3000".to_owned()), pointing: true, ..Route::default() };
        let name = SnapshotName { hostname: "a.example".parse().unwrap(), generation: 3, route };
        let end = SnapshotEnd { count: 2, checksum: "00".to_owned() };
        let cases = [
            (SnapshotLine::Header(header), r#"{"header":{"epoch":1,"seq":4711,"count":2}}"#),
            (
                SnapshotLine::Name(name),
                r#"{"name":{"hostname":"a.example","generation":3,"origin":"http://10.0.0.1:3000","pointing":true}}"#,
            ),
            (SnapshotLine::End(end), r#"{"end":{"count":2,"checksum":"00"}}"#),
        ];
        for (line, text) in cases {
            assert_eq!(serde_json::to_string(&line).unwrap(), text);
            assert_eq!(serde_json::from_str::<SnapshotLine>(text).unwrap(), line);
        }
    }
}
