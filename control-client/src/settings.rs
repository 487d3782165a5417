//! What the gate is told once, and its limits.

use std::{path::PathBuf, time::Duration};

use url::Url;

use crate::Origin;

/// Where to ask and what to do without an answer.
#[derive(Debug, Clone)]
pub struct GateSettings {
    /// The endpoint; `domain=<name>` is set in its query, other parameters stay.
    pub url: Url,
    /// How long one question may take, from connecting to the last byte of the answer. 1 s.
    pub timeout: Duration,
    /// Where requests go when an answer names no origin.
    pub default_origin: Option<Origin>,
    /// Folder of the last allowing answers, one small file a name.
    pub answers: PathBuf,
    /// Bounds.
    pub limits: GateLimits,
}

/// Bounds of the gate.
#[derive(Debug, Clone)]
pub struct GateLimits {
    /// How long an allow is used when the answer does not say: a delete at the control plane is live after this.
    pub allow_ttl: Duration,
    /// How long a deny is used, give or take a third: a customer who has just connected a name does not wait longer.
    pub deny_ttl: Duration,
    /// How long a failed question is not repeated, give or take a third: long enough that a name under load does not
    /// wait for the timeout each time, short enough that recovery is noticed at once.
    pub error_ttl: Duration,
    /// How old the last allow of a name may be to serve it while the endpoint cannot be asked.
    pub stale: Duration,
    /// Bytes that remembered answers may take. Attackers choose the names.
    pub cache_bytes: u64,
    /// Questions that may be in flight at once: an endpoint that hangs costs this many sockets and no more.
    pub questions_in_flight: usize,
    /// Questions in a second about names that were never allowed, on average over ten: what a flood of invented names
    /// may cost the endpoint.
    pub questions_per_second: usize,
    /// Longest body of an answer that is read.
    pub answer_bytes: usize,
    /// Names whose last answer is kept on disk; an endpoint that allows everything must not fill the disk.
    pub records: usize,
    /// Record writes that may wait for the disk; above it a write is dropped and made good at the next answer.
    pub record_queue: usize,
}

impl Default for GateLimits {
    fn default() -> Self {
        Self {
            allow_ttl: Duration::from_secs(60),
            deny_ttl: Duration::from_secs(45),
            error_ttl: Duration::from_secs(3),
            stale: Duration::from_secs(7 * 24 * 3600),
            cache_bytes: 64 << 20,
            questions_in_flight: 256,
            questions_per_second: 100,
            answer_bytes: 4096,
            records: 1_000_000,
            record_queue: 1024,
        }
    }
}
