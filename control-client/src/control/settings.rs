//! What the line to the control plane is told once, and its limits.

use std::{path::PathBuf, time::Duration};

use url::Url;

/// Where the control plane is and where its news are kept.
#[derive(Debug, Clone)]
pub struct ControlSettings {
    /// Its address; `/internal/changes` and the like are added to the path.
    pub url: Url,
    /// File that holds the token and nothing else. Read at the start, and again whenever the token is refused.
    pub token_file: PathBuf,
    /// Folder of what is kept: `<storage>/namegate/control`.
    pub folder: PathBuf,
    /// Bounds.
    pub limits: ControlLimits,
}

/// Bounds of the line to the control plane.
#[derive(Debug, Clone)]
pub struct ControlLimits {
    /// How long the control plane may keep a question for changes waiting: below the idle limits of balancers.
    pub wait: Duration,
    /// How long any other answer, or the next piece of one, may take to come.
    pub timeout: Duration,
    /// How old the last contact may be for known names to count as fresh: two long polls and a retry.
    pub fresh: Duration,
    /// How old the last contact may be for known names to be served at all. After it the ask endpoint decides.
    pub stale: Duration,
    /// Names on disk older than this are brought up to date by a snapshot: the changes since would be more work.
    pub too_old: Duration,
    /// Longest pause between two attempts: what an outage adds to the time until a change is live again.
    pub backoff: Duration,
    /// Time between two full synchronisations: each costs the control plane a walk over all names.
    pub sync_every: Duration,
    /// A full synchronisation starts within this time, not at once: all edges are told to do it at the same moment.
    pub sync_spread: Duration,
    /// Most names that are known; about 150 bytes each. Names above it are left to the ask endpoint.
    pub names: usize,
    /// Deleted names that are remembered: long after as many others a late answer for one finds no record of it.
    pub deleted: usize,
    /// Longest answer with changes that is read.
    pub changes_bytes: usize,
    /// Reports that wait for the control plane: days of its absence at the pace of a large fleet. Above it new ones are
    /// dropped.
    pub reports: usize,
}

impl Default for ControlLimits {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(control_api::Changes::LONGEST_WAIT),
            timeout: Duration::from_secs(10),
            fresh: Duration::from_secs(90),
            stale: Duration::from_secs(7 * 24 * 3600),
            too_old: Duration::from_secs(24 * 3600),
            backoff: Duration::from_secs(30),
            sync_every: Duration::from_secs(60),
            sync_spread: Duration::from_secs(2),
            names: 2_000_000,
            deleted: 100_000,
            changes_bytes: 16 << 20,
            reports: 50_000,
        }
    }
}
