//! Which names have a record, without looking at the disk.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use clock::Timestamp;
use names::Hostname;
use parking_lot::Mutex;
use prometheus::IntGauge;

use super::Record;

/// What is known of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// There was a file at the start; nobody has needed it yet.
    Unread,
    /// Read or written by this process.
    Known {
        /// Hash of what it says, time aside.
        content: u64,
        /// When its answer was given.
        written: Timestamp,
        /// Which endpoint its answer came from.
        source: u64,
        /// The lowest generation of that endpoint that may replace it.
        generation: u64,
    },
}

impl Kept {
    /// Whether `new` says something else, or is so much younger that it should be on disk.
    pub(super) fn is_worth_writing(&self, new: &Self, rewrite_after: Duration) -> bool {
        let (Self::Known { content, written, .. }, Self::Known { content: new, written: now, .. }) = (self, new) else {
            return true;
        };
        content != new || now.since(*written) >= rewrite_after
    }

    /// Whether the record is older than `moment`, as far as this process knows.
    pub(super) fn is_before(&self, moment: Timestamp) -> bool {
        match self {
            Self::Unread => true,
            Self::Known { written, .. } => *written < moment,
        }
    }
}

/// The index. Keyed by a hash under a secret of this process: 16 bytes a name less than the name itself, and two names
/// that meet (which nobody outside can arrange) cost one look at the disk too many, never a wrong answer.
///
/// Clones are handles to the same one.
#[derive(Clone)]
pub(super) struct Index {
    kept: Arc<Mutex<HashMap<u64, Kept>>>,
    hasher: RandomState,
    count: IntGauge,
}

impl Index {
    pub(super) fn new(count: IntGauge) -> Self {
        Self { kept: Arc::default(), hasher: RandomState::new(), count }
    }

    /// Notes that a name has a file, by the name of the file: nothing is known of what is in it.
    pub(super) fn note(&self, name: &str) {
        let mut all = self.kept.lock();
        all.insert(self.hasher.hash_one(name), Kept::Unread);
        self.counted(all.len());
    }

    pub(super) fn find(&self, name: &Hostname) -> Option<Kept> {
        self.kept.lock().get(&self.key(name)).copied()
    }

    pub(super) fn keep(&self, name: &Hostname, kept: Kept) {
        let mut all = self.kept.lock();
        all.insert(self.key(name), kept);
        self.counted(all.len());
    }

    pub(super) fn forget(&self, name: &Hostname) {
        let mut all = self.kept.lock();
        all.remove(&self.key(name));
        self.counted(all.len());
    }

    pub(super) fn len(&self) -> usize {
        self.kept.lock().len()
    }

    /// Hash of what a record says: where it comes from and its answer, not its time.
    pub(super) fn content(&self, record: &Record) -> u64 {
        let answer = serde_json::to_vec(&record.answer).unwrap_or_default();
        self.hasher.hash_one((record.source, answer))
    }

    fn key(&self, name: &Hostname) -> u64 {
        self.hasher.hash_one(name.as_str())
    }

    fn counted(&self, count: usize) {
        self.count.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
