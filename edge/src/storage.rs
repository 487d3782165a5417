//! The store that the configuration names, and the key file that its private keys are sealed under.

use std::{io, path::PathBuf};

use certs::{FileStore, OpenError, Seal, SealError, Swept};
use config::Storage;
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
    /// The folder cannot be used.
    #[error("the store cannot be opened")]
    Open(#[from] OpenError),
}

/// Opens the store.
///
/// # Errors
/// [`StorageError`].
pub fn open(storage: &Storage, registry: &Registry) -> Result<FileStore, StorageError> {
    Ok(FileStore::open_sealed(&storage.path, seal(storage)?, registry)?)
}

fn seal(storage: &Storage) -> Result<Seal, StorageError> {
    let Some(path) = &storage.key_file else { return Ok(Seal::default()) };
    let text = read(path).map_err(|source| StorageError::KeyFile { path: path.clone(), source })?;
    Seal::parse(&text).map_err(|source| StorageError::BadKeyFile { path: path.clone(), source })
}

fn read(path: &std::path::Path) -> io::Result<Zeroizing<String>> {
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
