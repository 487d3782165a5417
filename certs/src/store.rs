//! The [`Store`] trait: what must outlive the process.
//!
//! An error of a store is never "not found": only `Ok(None)` may lead to an order.

use async_trait::async_trait;
use clock::Timestamp;
use names::Subject;

use crate::IssuerKey;

/// A certificate with its key, as text, exactly as the store keeps it.
#[derive(Clone)]
pub struct Bundle {
    /// Who issued it.
    pub issuer: IssuerKey,
    /// The chain in PEM, leaf first.
    pub chain_pem: String,
    /// The private key in PEM (PKCS #8, SEC1 or PKCS #1).
    pub key_pem: String,
    /// Facts about the certificate that are not in it (CertMagic's `<name>.json`), kept as they were found.
    pub meta: serde_json::Value,
}

/// One certificate met while walking the store: enough to plan its renewal, no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// The name the entry is kept under.
    pub name: Subject,
    /// Who issued it.
    pub issuer: IssuerKey,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
}

/// A store could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The entry is there and cannot be understood; other entries are not touched by it.
    #[error("the stored entry {entry} is broken: {problem}")]
    Broken {
        /// Which entry (a path for the file store).
        entry: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The store could not be read or written.
    #[error("the store failed to {action} {entry}")]
    Io {
        /// What was tried: `read`, `write`, `list`, `remove`.
        action: &'static str,
        /// Which entry.
        entry: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Where certificates, accounts, orders in flight and failures are kept.
///
/// Writes are atomic and durable: after a crash an entry is the old one or the new one, whole.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Whether an entry of this name can be kept at all: asked before an order, which would be lost otherwise.
    fn can_keep(&self, _name: &Subject) -> bool {
        true
    }

    /// The certificate for `name`: of several issuers' the one whose validity began last. A broken entry of one issuer
    /// is reported (log, counter) and skipped when another issuer's is sound; it is an error when it is the only one.
    async fn load(&self, name: &Subject) -> Result<Option<Bundle>, StoreError>;

    /// Saves a certificate with its key, replacing the one of the same issuer.
    async fn save(&self, name: &Subject, bundle: &Bundle) -> Result<(), StoreError>;

    /// Walks over all certificates in pieces of bounded size, calling `visit` with each piece; broken entries are
    /// reported and skipped. Ends early when `visit` returns `false`.
    async fn scan(&self, visit: &mut (dyn FnMut(Vec<Scanned>) -> bool + Send)) -> Result<(), StoreError>;

    /// Reads a small document: an ACME account, an order in flight, a failure record, a renewal hint.
    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Writes a small document.
    async fn write(&self, key: &str, value: &[u8]) -> Result<(), StoreError>;

    /// Removes a small document; removing what is not there is fine.
    async fn remove(&self, key: &str) -> Result<(), StoreError>;

    /// The keys directly under `prefix` (a folder for the file store), in no particular order.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError>;
}
