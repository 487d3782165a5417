//! The store that the configuration names, and the key file that its private keys are sealed under.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use certs::{FileStore, OpenError, PostgresError, PostgresSettings, PostgresStore, Seal, SealError, Store, Swept};
use config::{EdgeConfig, SecretError, SecretSource, Storage};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// Largest key file: a thousand keys.
const MAX_KEY_FILE: u64 = 64 * 1024;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The key file is not what it should be.
    #[error("key_file_broken: {} of storage.key_file cannot be used; make a line with `openssl rand -base64 32`", path.display())]
    BadKeyFile {
        /// The file.
        path: PathBuf,
        /// Why; never shows what it holds.
        #[source]
        source: SealError,
    },
    /// The key file cannot be read.
    #[error("key_file_unreadable: {} of storage.key_file cannot be read; check the path and the rights of the user that runs the edge", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The database cannot be used.
    #[error("the database cannot be used")]
    Database(#[from] PostgresError),
    /// A database without a key file; the configuration refuses it.
    #[error("storage.postgres takes storage.key_file")]
    NoKey,
    /// The file of the database's URL.
    #[error("storage.postgres_file cannot be used")]
    Url(#[from] SecretError),
    /// The folder cannot be used.
    #[error("the store cannot be opened")]
    Open(#[from] OpenError),
}

/// A store that was opened.
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The same, if it is a folder.
    pub files: Option<FileStore>,
}

/// Opens the store: a folder, or a database that several edges share.
///
/// # Errors
/// [`StorageError`].
pub async fn open(config: &EdgeConfig, registry: &Registry) -> Result<Opened, StorageError> {
    let storage = &config.storage;
    match &storage.postgres {
        Some(url) => {
            let store = open_database(storage, url, config.limits.store_connections, registry).await?;
            Ok(Opened { store: Arc::new(store), files: None })
        }
        None => {
            let files = FileStore::open_sealed(&storage.path, seal(storage)?, registry)?;
            Ok(Opened { store: Arc::new(files.clone()), files: Some(files) })
        }
    }
}

async fn open_database(
    storage: &Storage,
    url: &SecretSource,
    connections: usize,
    registry: &Registry,
) -> Result<PostgresStore, StorageError> {
    let path = storage.key_file.as_ref().ok_or(StorageError::NoKey)?;
    let connections = u32::try_from(connections).unwrap_or(u32::MAX);
    let settings = PostgresSettings::new(url.read()?.expose().to_owned(), &read_keys(path)?, connections);
    let settings = settings.map_err(|source| StorageError::BadKeyFile { path: path.clone(), source })?;
    Ok(PostgresStore::open(settings, registry).await?)
}

fn seal(storage: &Storage) -> Result<Seal, StorageError> {
    let Some(path) = &storage.key_file else { return Ok(Seal::default()) };
    let text = read_keys(path)?;
    Seal::parse(&text).map_err(|source| StorageError::BadKeyFile { path: path.clone(), source })
}

fn read_keys(path: &Path) -> Result<Zeroizing<String>, StorageError> {
    read(path).map_err(|source| StorageError::KeyFile { path: path.to_owned(), source })
}

fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    use io::Read as _;
    let mut text = Zeroizing::new(String::new());
    let read = std::fs::File::open(path)?.take(MAX_KEY_FILE + 1).read_to_string(&mut text)?;
    match u64::try_from(read).is_ok_and(|read| read <= MAX_KEY_FILE) {
        true => Ok(text),
        false => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {MAX_KEY_FILE} bytes"))),
    }
}

/// Seals the accounts' keys that are not sealed yet. Before anybody uses the store.
pub async fn seal_documents(store: &FileStore) {
    tell("accounts", store.seal_documents().await);
}

/// Seals the certificates' keys that are not sealed yet, beside everything else.
pub async fn seal_certificates(store: FileStore, stop: CancellationToken) {
    if let Some(swept) = stop.run_until_cancelled(store.seal_certificates()).await {
        tell("certificates", swept);
    }
}

/// What an operator waits for before a line of the key file goes.
fn tell(what: &'static str, swept: Result<Option<Swept>, certs::StoreError>) {
    match swept {
        Ok(None) => {}
        Ok(Some(Swept { sealed, unreadable: 0, failed: 0 })) => {
            tracing::info!(
                what,
                sealed,
                "store.sealed: every private key is sealed under the first key of the key file"
            );
        }
        Ok(Some(Swept { sealed, unreadable, failed })) => {
            tracing::warn!(
                what,
                sealed,
                unreadable,
                failed,
                "store.unsealed: some private keys are not sealed under the first key of the key file"
            );
        }
        Err(error) => {
            tracing::warn!(what, error = %telemetry::chain(&error), "store.unsealed: private keys could not be sealed")
        }
    }
}
