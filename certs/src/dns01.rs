//! DNS-01 (RFC 8555 section 8.4): proof by a TXT record, the only way to a wildcard.
//!
//! Whoever writes records is behind [`DnsSolver`]: this crate knows no provider and asks no name server. What it owns is
//! when a record is written, that it is withdrawn, and that neither a failure nor a crash leaves one behind for good.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use names::Hostname;
use serde::{Deserialize, Serialize};

/// A TXT record that a CA will look for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeRecord {
    /// Where it stands: the end of the chain of CNAMEs that begins at `_acme-challenge.<name>`.
    pub name: String,
    /// The base64url of the key authorization's SHA-256. It tells a stranger nothing.
    pub value: String,
}

/// Writes the records of DNS-01. Several values may stand at one name at once, of a wildcard and of its base name: each
/// call is about its own and leaves all others alone.
#[async_trait]
pub trait DnsSolver: Send + Sync + 'static {
    /// Whether a hostname is to be proven by a record. Not asked about wildcards, for which there is no other way. Asked
    /// before each order.
    async fn proves(&self, name: &Hostname) -> bool;

    /// Where the record for `name` has to be written.
    ///
    /// # Errors
    /// [`DnsError`] when that cannot be found out, or is nowhere that may be written.
    async fn locate(&self, name: &Hostname) -> Result<String, DnsError>;

    /// Writes the record and waits until every server of its zone shows it.
    ///
    /// # Errors
    /// [`DnsError`]; the record may stand there all the same.
    async fn publish(&self, record: &ChallengeRecord) -> Result<(), DnsError>;

    /// Removes these records, as far as they are there.
    ///
    /// # Errors
    /// [`DnsError`]; some may stand there still.
    async fn remove(&self, records: &[ChallengeRecord]) -> Result<(), DnsError>;
}

/// A record could not be put in place or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsError {
    /// A stable word, such as `auth` or `not_visible`.
    pub reason: &'static str,
    /// What happened, for the operator.
    pub problem: String,
    /// Whether it may go away without anybody doing anything.
    pub passes: bool,
    /// When the provider will take another request, if it said so.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for DnsError {}
