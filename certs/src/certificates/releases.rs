//! [`Releases`]: names that are served no more, and whose certificates stay for a while.
//!
//! A release is noted in the store beside what it is about, so that no restart forgets it, and only names with such a
//! note ever lose their certificate to time. A name that comes back in that time is served from the store, unless it
//! comes back as another tenant's.

use std::{collections::HashMap, sync::Arc, time::Duration};

use clock::Timestamp;
use names::{Subject, Tenant};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError,
    file_store::{stem, subject},
};

/// Where the notes stand.
const FOLDER: &str = "namegate/released";
/// What could not be done is tried again after this time.
const RETRY: Duration = Duration::from_secs(600);
/// Names whose turn comes in one round: a mass deletion is spread, and takes no store's whole attention.
const ROUND: usize = 1000;
/// Names that are released at once. More are left alone: their certificates run out, and the next start finds them.
const MOST: usize = 1_000_000;

/// A note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// When the name was let go.
    #[serde(with = "crate::jitter::millis")]
    pub(super) at: Timestamp,
    /// Whose it was, where that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tenant: Option<Tenant>,
}

/// All released names.
pub(super) struct Releases {
    store: Arc<dyn Store>,
    keep: Duration,
    table: Mutex<Table>,
}

struct Table {
    names: HashMap<Subject, Release>,
    /// Whether the notes of earlier processes are among them.
    loaded: bool,
    /// Nothing is to be done before: there may be many names, and they are looked at often.
    next: Timestamp,
}

#[derive(Debug, Clone)]
struct Release {
    note: Note,
    /// Whether the note is in the store.
    stored: bool,
    /// When something is to be done.
    due: Timestamp,
}

/// What is to be done for a released name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Duty {
    /// Write its note.
    Note(Subject),
    /// Its time is over.
    Remove(Subject),
}

impl Releases {
    pub(super) fn new(store: Arc<dyn Store>, keep: Duration) -> Self {
        let table = Table { names: HashMap::new(), loaded: false, next: Timestamp::NEVER };
        Self { store, keep, table: Mutex::new(table) }
    }

    /// A name is let go. The first time counts.
    pub(super) fn release(&self, name: &Subject, tenant: Option<&Tenant>, now: Timestamp) {
        let note = Note { at: now, tenant: tenant.cloned() };
        let mut table = self.table.lock();
        if table.names.len() >= MOST {
            return;
        }
        table.names.entry(name.clone()).or_insert(Release { note, stored: false, due: now });
        table.next = table.next.min(now);
    }

    /// The note of a name, as far as it is in memory.
    pub(super) fn known(&self, name: &Subject) -> Option<Note> {
        self.table.lock().names.get(name).map(|release| release.note.clone())
    }

    /// The note of a name: before those of earlier processes are loaded, from the store.
    pub(super) async fn find(&self, name: &Subject) -> Result<Option<Note>, StoreError> {
        let loaded = {
            let table = self.table.lock();
            if let Some(release) = table.names.get(name) {
                return Ok(Some(release.note.clone()));
            }
            table.loaded
        };
        if loaded { Ok(None) } else { self.read(name).await }
    }

    /// The name is served again, or nothing is left to remove.
    pub(super) async fn end(&self, name: &Subject) -> Result<(), StoreError> {
        self.table.lock().names.remove(name);
        self.store.remove(&key(name)).await
    }

    /// Takes up the notes of earlier processes. All names that there are.
    pub(super) async fn load(&self) -> Result<Vec<Subject>, StoreError> {
        let keys = self.store.list(FOLDER).await?;
        let names = keys.iter().filter_map(|key| key.rsplit('/').next()?.strip_suffix(".json").and_then(subject));
        for name in names {
            let Some(note) = self.read(&name).await? else { continue };
            let due = note.at + self.keep;
            let mut table = self.table.lock();
            table.names.insert(name, Release { note, stored: true, due });
            table.next = table.next.min(due);
        }
        let mut table = self.table.lock();
        table.loaded = true;
        Ok(table.names.keys().cloned().collect())
    }

    async fn read(&self, name: &Subject) -> Result<Option<Note>, StoreError> {
        let Some(bytes) = self.store.read(&key(name)).await? else { return Ok(None) };
        let note = serde_json::from_slice(&bytes);
        if note.is_err() {
            tracing::warn!(%name, "the note of a released name cannot be understood; its certificate stays");
        }
        Ok(note.ok())
    }

    /// What is to be done now. It does not come again for a while, done or not.
    pub(super) fn due(&self, now: Timestamp) -> Vec<Duty> {
        let mut table = self.table.lock();
        if now < table.next {
            return Vec::new();
        }
        let due = table.names.iter_mut().filter(|(_, release)| release.due <= now).take(ROUND);
        let due = due.map(|(name, release)| {
            release.due = now + RETRY;
            match release.stored {
                true => Duty::Remove(name.clone()),
                false => Duty::Note(name.clone()),
            }
        });
        let due = due.collect();
        table.next = table.names.values().map(|release| release.due).min().unwrap_or(Timestamp::NEVER);
        due
    }

    /// Writes the note of a name.
    pub(super) async fn note(&self, name: &Subject) -> Result<(), StoreError> {
        let Some(note) = self.table.lock().names.get(name).map(|release| release.note.clone()) else { return Ok(()) };
        // One of an earlier process may not be loaded yet; the first time counts.
        let stored = self.read(name).await?;
        if stored.is_none() {
            // A time and an id: serializing cannot fail.
            let bytes = serde_json::to_vec(&note).unwrap_or_default();
            self.store.write(&key(name), &bytes).await?;
        }
        let note = stored.unwrap_or(note);
        let back = {
            let mut table = self.table.lock();
            let release = table.names.get_mut(name);
            let back = release.is_none();
            let due = note.at + self.keep;
            if let Some(release) = release {
                *release = Release { note, stored: true, due };
                table.next = table.next.min(due);
            }
            back
        };
        // It came back while the note was written.
        if back { self.store.remove(&key(name)).await } else { Ok(()) }
    }

    /// Whether the note still stands in the store: another process may have taken the name back.
    pub(super) async fn stands(&self, name: &Subject) -> Result<bool, StoreError> {
        Ok(self.read(name).await?.is_some())
    }

    /// Nothing is kept of the name.
    pub(super) fn drop(&self, name: &Subject) {
        self.table.lock().names.remove(name);
    }

    /// When to look again.
    pub(super) fn next(&self) -> Timestamp {
        self.table.lock().next
    }

    pub(super) fn len(&self) -> usize {
        self.table.lock().names.len()
    }
}

fn key(name: &Subject) -> String {
    format!("{FOLDER}/{}.json", stem(name))
}
