//! Documents: accounts, orders in flight, failures, notes. All are sealed, as some hold private keys.

use std::io;

use sqlx::Row as _;

use super::{Place, PostgresStore, Task};
use crate::{
    StoreError,
    file_store::{MAX_DOCUMENT, is_key},
};

const READ: &str = "SELECT sealed FROM namegate_edge.documents WHERE key = $1";
const WRITE: &str = "INSERT INTO namegate_edge.documents (key, folder, sealed) VALUES ($1, $2, $3)
    ON CONFLICT (key) DO UPDATE SET sealed = EXCLUDED.sealed";
const REMOVE: &str = "DELETE FROM namegate_edge.documents WHERE key = $1";
const LIST: &str = "SELECT key FROM namegate_edge.documents WHERE folder = $1";

impl PostgresStore {
    pub(super) async fn read_document(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let task = Task { op: "read", action: "read", entry: key };
        let found = self.run(task, sqlx::query(READ).bind(key).fetch_optional(&self.pool)).await?;
        let Some(row) = found else { return Ok(None) };
        let place = Place::Document { key };
        let sealed: Result<Vec<u8>, _> = row.try_get(0);
        let opened = sealed.map_err(|error| place.broken(error.to_string()));
        let opened = opened.and_then(|sealed| self.open_sealed(&place, &sealed));
        opened.map(Some).inspect_err(|error| self.report(error))
    }

    pub(super) async fn write_document(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let task = Task { op: "write", action: "write", entry: key };
        check(key, value.len()).map_err(|source| failed(task, source))?;
        let sealed = self.seal(&Place::Document { key }, value)?;
        let folder = key.rsplit_once('/').map_or("", |(folder, _)| folder);
        let write = sqlx::query(WRITE).bind(key).bind(folder).bind(sealed);
        self.run(task, write.execute(&self.pool)).await.map(|_| ())
    }

    pub(super) async fn remove_document(&self, key: &str) -> Result<(), StoreError> {
        let task = Task { op: "remove", action: "remove", entry: key };
        self.run(task, sqlx::query(REMOVE).bind(key).execute(&self.pool)).await.map(|_| ())
    }

    pub(super) async fn list_documents(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let task = Task { op: "list", action: "list", entry: folder };
        self.run(task, sqlx::query_scalar(LIST).bind(folder).fetch_all(&self.pool)).await
    }
}

/// What the file store would take: so that documents can be moved between the two.
fn check(key: &str, bytes: usize) -> io::Result<()> {
    let bad = |problem: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, problem.to_owned()));
    match (is_key(key), u64::try_from(bytes).is_ok_and(|bytes| bytes <= MAX_DOCUMENT)) {
        (false, _) => bad("the key is not a relative path of plain segments"),
        (true, false) => bad("the document is too large"),
        (true, true) => Ok(()),
    }
}

fn failed(task: Task<'_>, source: io::Error) -> StoreError {
    StoreError::Io { action: task.action, entry: task.entry.to_owned(), source }
}
