//! [`Table`]: a bucket for each of many keys.

use std::{collections::HashMap, hash::Hash, time::Duration};

use clock::Timestamp;

use super::bucket::{Bucket, Size};

/// Keys at most, some 100 bytes each. Let's Encrypt takes 17,000 orders in a week; what is beyond is the CA's to refuse.
const MOST: usize = 100_000;
/// Below this many keys nothing is swept …
const FEW: usize = 1024;
/// … and never more often than this: a full table would be walked for every order.
const SWEEPS_APART: Duration = Duration::from_secs(60);
/// A key is remembered at least this long after its bucket has become full.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Buckets of one size. A full one that nobody took from for a while has no entry.
pub(super) struct Table<K> {
    size: Size,
    entries: HashMap<K, Entry>,
    sweep_at: usize,
    sweep_after: Timestamp,
}

#[derive(Default)]
struct Entry {
    bucket: Bucket,
    last: Timestamp,
}

impl<K: Eq + Hash + Clone> Table<K> {
    pub(super) fn new(size: Size) -> Self {
        Self { size, entries: HashMap::new(), sweep_at: FEW, sweep_after: Timestamp::EPOCH }
    }

    /// When a token of `key` can be had.
    pub(super) fn next(&self, key: &K, now: Timestamp) -> Timestamp {
        self.entries.get(key).map(|entry| entry.bucket).unwrap_or_default().next(self.size, now)
    }

    /// Takes one at `at`.
    pub(super) fn take(&mut self, key: &K, at: Timestamp, now: Timestamp) {
        if self.entries.len() >= self.sweep_at && self.sweep_after <= now {
            self.entries.retain(|_, entry| !entry.bucket.is_full(now - REMEMBERED));
            self.sweep_at = (2 * self.entries.len()).clamp(FEW, MOST);
            self.sweep_after = now + SWEEPS_APART;
        }
        if self.entries.len() >= MOST && !self.entries.contains_key(key) {
            return;
        }
        let entry = self.entries.entry(key.clone()).or_default();
        entry.bucket.take(self.size, at, now);
        entry.last = at;
    }

    /// One that was taken comes back.
    pub(super) fn put_back(&mut self, key: &K) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.bucket.put_back(self.size);
        }
    }

    /// Whether the last one was taken at `at`.
    pub(super) fn took_at(&self, key: &K, at: Timestamp) -> bool {
        self.entries.get(key).is_some_and(|entry| entry.last == at)
    }

    /// How many keys are remembered.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
