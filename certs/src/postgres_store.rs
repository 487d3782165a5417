//! [`PostgresStore`]: certificates and documents in PostgreSQL, for edges that share them.
//!
//! Everything stands in a schema of its own, `namegate_edge`. Private keys, and all documents, are sealed with
//! AES-256-GCM under a key that the database never sees; the associated data name table, column and row, so that a value
//! moved to another row does not open. Numbers of changes are seen in their order, leases have tokens that are never
//! given twice, and notifications are hints: whoever needs to know asks.

mod bell;
mod certificates;
mod documents;
mod leases;
mod offers;
mod open;
mod purge;
mod scan;

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use names::Subject;
use sealing::{Keyring, SealError};
use sqlx::PgPool;
use tokio::sync::broadcast;
use tokio_util::sync::DropGuard;
use zeroize::Zeroizing;

pub use self::open::{PostgresError, PostgresSettings};
use crate::{
    Bundle, Changes, Fleet, Lease, Leaving, Offer, Scanned, Store, StoreError,
    file_store::{InFlight, Metrics},
};

/// Longest that one operation may take, waiting for a connection included: shorter than a visitor waits.
const OPERATION: Duration = Duration::from_secs(6);
/// Where hints are rung.
const CHANNEL: &str = "namegate_edge";

/// A store in a database. Dropped: its listener ends.
pub struct PostgresStore {
    pool: PgPool,
    keys: Keyring,
    /// This process, among those that share the store.
    edge: String,
    metrics: Metrics,
    bell: broadcast::Sender<Arc<str>>,
    _listening: DropGuard,
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").field("edge", &self.edge).finish_non_exhaustive()
    }
}

/// What an operation says about itself when it fails.
#[derive(Clone, Copy)]
struct Task<'a> {
    /// The word for metrics, as the file store's.
    op: &'static str,
    /// `read`, `write`, `list`, `remove`.
    action: &'static str,
    entry: &'a str,
}

impl PostgresStore {
    /// Runs statements within the limit of time; whatever goes wrong is an error of the store, never "not found".
    async fn run<T>(
        &self,
        task: Task<'_>,
        work: impl Future<Output = Result<T, sqlx::Error>> + Send,
    ) -> Result<T, StoreError> {
        let timer = self.metrics.duration.with_label_values(&[task.op]).start_timer();
        let _in_flight = InFlight::enter(&self.metrics);
        let late = || sqlx::Error::Io(io::Error::from(io::ErrorKind::TimedOut));
        let result = tokio::time::timeout(OPERATION, work).await.unwrap_or_else(|_| Err(late()));
        timer.observe_duration();
        result.map_err(|error| {
            self.metrics.errors.with_label_values(&[task.op]).inc();
            StoreError::Io { action: task.action, entry: task.entry.to_owned(), source: io::Error::other(error) }
        })
    }

    /// Seals a value for its place.
    fn seal(&self, place: &Place<'_>, secret: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.keys.seal(&place.context(), secret).map_err(|error| place.failed("write", error))
    }

    /// Opens what was sealed for this place. What does not open is broken, and told of.
    fn open_sealed(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.keys.open(&place.context(), sealed).map_err(|error| place.broken(error.to_string()))
    }

    fn report(&self, error: &StoreError) {
        if matches!(error, StoreError::Broken { .. }) {
            self.metrics.broken.inc();
        }
        tracing::warn!(error = %telemetry::chain(error), "a stored entry was skipped");
    }
}

/// A row that holds something sealed.
#[derive(Clone, Copy)]
enum Place<'a> {
    Certificate { name: &'a str, issuer: &'a str },
    Document { key: &'a str },
    KeyCheck,
}

impl Place<'_> {
    /// The associated data. Neither names nor issuers nor keys hold a space.
    fn context(&self) -> String {
        match self {
            Self::Certificate { name, issuer } => format!("namegate_edge.certificates.sealed_key {name} {issuer}"),
            Self::Document { key } => format!("namegate_edge.documents.sealed {key}"),
            Self::KeyCheck => "namegate_edge.key_check.sealed".to_owned(),
        }
    }

    /// How people find the row.
    fn entry(&self) -> String {
        match self {
            Self::Certificate { name, issuer } => format!("certificates/{issuer}/{name}"),
            Self::Document { key } => (*key).to_owned(),
            Self::KeyCheck => "key_check".to_owned(),
        }
    }

    fn broken(&self, problem: String) -> StoreError {
        StoreError::Broken { entry: self.entry(), problem }
    }

    fn failed(&self, action: &'static str, error: SealError) -> StoreError {
        StoreError::Io { action, entry: self.entry(), source: io::Error::other(error) }
    }
}

/// A number that the database keeps with a sign and that is never negative.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[async_trait]
impl Store for PostgresStore {
    fn fleet(&self) -> Option<&dyn Fleet> {
        Some(self)
    }

    async fn load(&self, name: &Subject) -> Result<Option<Bundle>, StoreError> {
        self.load_certificate(name).await
    }

    async fn save(&self, name: &Subject, bundle: &Bundle) -> Result<(), StoreError> {
        self.save_certificate(None, name, bundle).await.map(|_| ())
    }

    async fn purge(&self, name: &Subject, leaving: &Leaving) -> Result<usize, StoreError> {
        self.purge_certificates(name, leaving).await
    }

    async fn scan(&self, visit: &mut (dyn FnMut(Vec<Scanned>) -> bool + Send)) -> Result<(), StoreError> {
        self.scan_certificates(visit).await
    }

    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_document(key).await
    }

    async fn write(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.write_document(key, value).await
    }

    /// Every document is sealed.
    async fn read_secret(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        Ok(self.read_document(key).await?.map(Zeroizing::new))
    }

    async fn write_secret(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.write_document(key, value).await
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.remove_document(key).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.list_documents(prefix.trim_end_matches('/')).await
    }
}

#[async_trait]
impl Fleet for PostgresStore {
    async fn lease(&self, name: &str, life: Duration) -> Result<Option<Lease>, StoreError> {
        self.take_lease(name, life).await
    }

    async fn keep(&self, lease: &Lease, life: Duration) -> Result<bool, StoreError> {
        self.keep_lease(lease, life).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.release_lease(lease).await
    }

    async fn save_under(&self, lease: &Lease, name: &Subject, bundle: &Bundle) -> Result<bool, StoreError> {
        self.save_certificate(Some(lease), name, bundle).await
    }

    async fn changes(&self, seq: Option<u64>) -> Result<Changes, StoreError> {
        self.changes_after(seq).await
    }

    async fn offer(&self, offer: &Offer) -> Result<u64, StoreError> {
        self.show_offer(offer).await
    }

    async fn withdraw(&self, offer: u64) -> Result<(), StoreError> {
        self.remove_offer(offer).await
    }

    async fn offers(&self) -> Result<Vec<(u64, Offer)>, StoreError> {
        self.others_offers().await
    }

    fn hints(&self) -> broadcast::Receiver<Arc<str>> {
        self.bell.subscribe()
    }
}

#[cfg(test)]
pub(crate) mod tests;
