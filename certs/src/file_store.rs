//! [`FileStore`]: certificates and documents as files, in CertMagic's layout.
//!
//! A Caddy data directory works as it is, and what is written here Caddy reads. Two things differ inside that layout:
//! the three files of a certificate are replaced together by one rename, so that no crash leaves a key beside another
//! certificate, and our own documents stand under `namegate/`, where Caddy never looks.
//!
//! With a key file, private keys are sealed on their way to the disk; those that are not are read as they are. Sealed keys
//! are nothing to Caddy.
//!
//! A wildcard certificate serves the names one label below it. It is found by [`Store::load`] when the name has no sound
//! certificate of its own.

mod certificates;
mod disk;
mod layout;
mod metrics;
mod purge;
mod scan;
mod sweep;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use names::Subject;
use prometheus::Registry;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

#[cfg(test)]
pub(crate) use self::layout::certificate_key;
pub use self::sweep::Swept;
#[cfg(feature = "postgres")]
pub(crate) use self::{certificates::sound, layout::is_key};
pub(crate) use self::{
    certificates::to_json,
    disk::read as read_bounded,
    layout::{is_segment, safe, stem, subject},
    metrics::Metrics,
};
use self::{disk::Staging, scan::Walk};
use crate::{Bundle, Leaving, Scanned, Seal, SealProblem, Store, StoreError};

/// Operations on the disk at once: enough to fill a device's queue, far from tokio's 512 blocking threads.
const MAX_OPERATIONS: usize = 32;
/// Largest document: accounts, orders and failure records are a few KiB.
pub(crate) const MAX_DOCUMENT: u64 = 1024 * 1024;
/// Largest certificate, key or metadata file; chains with RSA keys stay below 16 KiB.
const MAX_CERTIFICATE_FILE: u64 = 256 * 1024;
/// Names the staging folder when certificates stand on another file system than the root.
const STAGING_BESIDE: &str = ".namegate-staging";

/// A directory of certificates and documents. Cheap to clone.
#[derive(Clone)]
pub struct FileStore {
    disk: Arc<Disk>,
    turns: Arc<Semaphore>,
    metrics: Metrics,
}

/// What the blocking operations need.
struct Disk {
    root: PathBuf,
    /// Where documents are written before they are renamed into place.
    staging: Staging,
    /// The same for certificates, if they stand on a file system of their own.
    certificate_staging: Option<Staging>,
    /// What private keys are sealed with.
    seal: Seal,
    metrics: Metrics,
}

/// The store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A metric of the same name is registered already: two stores share one registry.
    #[error("the store's metrics could not be registered")]
    Metrics(#[from] prometheus::Error),
    /// The folder cannot be created or written.
    #[error("the storage folder {} cannot be used", path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl FileStore {
    /// Opens the store at `path`, creating it if there is none, and clears what a crash left half written.
    ///
    /// # Errors
    /// [`OpenError`] when the folder cannot be written or `registry` holds the store's metrics already.
    pub fn open(path: impl Into<PathBuf>, registry: &Registry) -> Result<Self, OpenError> {
        Self::open_sealed(path, Seal::default(), registry)
    }

    /// The same with private keys sealed.
    ///
    /// # Errors
    /// [`OpenError`], as of [`open`](Self::open).
    pub fn open_sealed(path: impl Into<PathBuf>, seal: Seal, registry: &Registry) -> Result<Self, OpenError> {
        let root = path.into();
        let metrics = Metrics::new(registry)?;
        let disk = Disk::open(root.clone(), seal, metrics.clone())
            .map_err(|source| OpenError::Unusable { path: root, source })?;
        Ok(Self { disk: Arc::new(disk), turns: Arc::new(Semaphore::new(MAX_OPERATIONS)), metrics })
    }

    /// Runs a blocking operation when its turn comes. A caller that leaves does not cut it off.
    async fn run<T: Send + 'static>(
        &self,
        op: &'static str,
        work: impl FnOnce(&Disk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let timer = self.metrics.duration.with_label_values(&[op]).start_timer();
        let in_flight = InFlight::enter(&self.metrics);
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let disk = Arc::clone(&self.disk);
        let done = tokio::task::spawn_blocking(move || {
            let _held = (turn, in_flight);
            work(&disk)
        });
        let result = done.await.unwrap_or_else(|died| Err(failed(op, "the task", io::Error::other(died))));
        timer.observe_duration();
        if result.is_err() {
            self.metrics.errors.with_label_values(&[op]).inc();
        }
        result
    }
}

/// Counts an operation for as long as it lives.
pub(crate) struct InFlight(Metrics);

impl InFlight {
    pub(crate) fn enter(metrics: &Metrics) -> Self {
        metrics.in_flight.inc();
        Self(metrics.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

impl Disk {
    fn open(root: PathBuf, seal: Seal, metrics: Metrics) -> io::Result<Self> {
        let staging = Staging::open(&root.join(layout::OWN).join("staging"))?;
        let certificates = root.join(layout::CERTIFICATES);
        let apart = certificates.is_dir() && !disk::same_device(&root.join(layout::OWN), &certificates);
        let certificate_staging = match apart {
            true => Some(Staging::open(&certificates.join(STAGING_BESIDE))?),
            false => None,
        };
        Ok(Self { root, staging, certificate_staging, seal, metrics })
    }

    fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        layout::document(&self.root, key)
            .and_then(|path| disk::read(&path, MAX_DOCUMENT))
            .map_err(|source| failed("read", key, source))
    }

    fn write(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        layout::document(&self.root, key)
            .and_then(|path| disk::write(self.staging_for(key), &path, value))
            .map_err(|source| failed("write", key, source))
    }

    fn read_secret(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let open = |kept| self.seal.open(key, kept).map_err(|problem| unopened(key, problem));
        self.read(key)?.map(open).transpose()
    }

    fn write_secret(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let sealed = self.seal.seal(key, value).map_err(|problem| unopened(key, problem))?;
        self.write(key, &sealed)
    }

    fn remove(&self, key: &str) -> Result<(), StoreError> {
        layout::document(&self.root, key)
            .and_then(|path| disk::remove(&path))
            .map_err(|source| failed("remove", key, source))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let prefix = prefix.trim_end_matches('/');
        layout::document(&self.root, prefix)
            .and_then(|path| list_documents(&path, prefix))
            .map_err(|source| failed("list", prefix, source))
    }

    fn staging_for(&self, key: &str) -> &Staging {
        match &self.certificate_staging {
            Some(apart) if key.starts_with(layout::CERTIFICATES) => apart,
            _ => &self.staging,
        }
    }
}

fn list_documents(folder: &Path, prefix: &str) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut keys = Vec::new();
    for entry in entries {
        let entry = entry?;
        // A name that is no key is not ours: it could not be read back.
        let name = entry.file_name().into_string().ok().filter(|name| is_segment(name));
        if let Some(name) = name
            && !entry.file_type()?.is_dir()
        {
            keys.push(format!("{prefix}/{name}"));
        }
    }
    Ok(keys)
}

fn unopened(entry: &str, problem: SealProblem) -> StoreError {
    StoreError::Broken { entry: entry.to_owned(), problem: problem.to_string() }
}

fn failed(action: &'static str, entry: &str, source: io::Error) -> StoreError {
    StoreError::Io { action, entry: entry.to_owned(), source }
}

#[async_trait]
impl Store for FileStore {
    fn can_keep(&self, name: &Subject) -> bool {
        layout::fits(name)
    }

    async fn load(&self, name: &Subject) -> Result<Option<Bundle>, StoreError> {
        let name = name.clone();
        self.run("load", move |disk| disk.load(&name)).await
    }

    async fn save(&self, name: &Subject, bundle: &Bundle) -> Result<(), StoreError> {
        let (name, bundle) = (name.clone(), bundle.clone());
        self.run("save", move |disk| disk.save(&name, &bundle)).await
    }

    async fn purge(&self, name: &Subject, leaving: &Leaving) -> Result<usize, StoreError> {
        let (name, leaving) = (name.clone(), leaving.clone());
        self.run("purge", move |disk| disk.purge(&name, &leaving)).await
    }

    async fn scan(&self, visit: &mut (dyn FnMut(Vec<Scanned>) -> bool + Send)) -> Result<(), StoreError> {
        let mut walk = self.run("scan", Walk::start).await?;
        loop {
            let (next, piece) = self.run("scan", move |disk| Ok(walk.next_piece(disk))).await?;
            let Some(next) = next else { return Ok(()) };
            walk = next;
            if !piece.is_empty() && !visit(piece) {
                return Ok(());
            }
        }
    }

    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let key = key.to_owned();
        self.run("read", move |disk| disk.read(&key)).await
    }

    async fn write(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let (key, value) = (key.to_owned(), value.to_vec());
        self.run("write", move |disk| disk.write(&key, &value)).await
    }

    async fn read_secret(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let key = key.to_owned();
        self.run("read", move |disk| disk.read_secret(&key)).await
    }

    async fn write_secret(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let (key, value) = (key.to_owned(), Zeroizing::new(value.to_vec()));
        self.run("write", move |disk| disk.write_secret(&key, &value)).await
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        let key = key.to_owned();
        self.run("remove", move |disk| disk.remove(&key)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let prefix = prefix.to_owned();
        self.run("list", move |disk| disk.list(&prefix)).await
    }
}

#[cfg(test)]
mod tests;
