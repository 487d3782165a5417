//! Desired records.

use serde::{Deserialize, Serialize};

/// A record that a customer must publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DesiredRecord {
    /// Owner name.
    pub host: String,
    /// Record type.
    #[serde(rename = "type")]
    pub record_type: String,
    /// Value.
    pub value: String,
    /// In seconds.
    #[serde(default = "ttl")]
    pub ttl: i64,
    /// For MX and SRV.
    #[serde(default)]
    pub priority: Option<i64>,
}

fn ttl() -> i64 {
    super::template::DEFAULT_TTL
}
