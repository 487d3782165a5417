//! All known names: a table in many parts, so that a reader waits for nobody but a writer of the same part.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicUsize, Ordering},
};

use names::Hostname;
use parking_lot::RwLock;

use super::known::Known;

/// Parts. With a million names each has 4,000: copying one for the disk holds its lock for a fraction of a millisecond.
const SHARDS: usize = 256;

type Shard = RwLock<HashSet<Known>>;

/// The table. Its hasher is keyed: visitors choose what is looked up.
pub(super) struct Index {
    shards: Box<[Shard]>,
    hasher: RandomState,
    count: AtomicUsize,
}

impl Default for Index {
    fn default() -> Self {
        let hasher = RandomState::new();
        let shards = (0..SHARDS).map(|_| RwLock::new(HashSet::with_hasher(hasher.clone()))).collect();
        Self { shards, hasher, count: AtomicUsize::new(0) }
    }
}

impl Index {
    /// How many names.
    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Reads the entry of a name.
    pub(super) fn find<T>(&self, name: &Hostname, read: impl FnOnce(&Known) -> T) -> Option<T> {
        self.find_bytes(name.as_str().as_bytes(), read)
    }

    /// Reads the entry of a name by its bytes.
    pub(super) fn find_bytes<T>(&self, name: &[u8], read: impl FnOnce(&Known) -> T) -> Option<T> {
        self.shard(name)?.read().get(name).map(read)
    }

    /// Puts an entry in place of the one before.
    pub(super) fn put(&self, known: Known) -> Option<Known> {
        let old = self.shard(known.name())?.write().replace(known);
        if old.is_none() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        old
    }

    /// Takes an entry out.
    pub(super) fn take(&self, name: &Hostname) -> Option<Known> {
        let name = name.as_str().as_bytes();
        let old = self.shard(name)?.write().take(name);
        if old.is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        old
    }

    /// Every entry, part by part; no lock is held while `visit` works.
    pub(super) fn each(&self, mut visit: impl FnMut(Known)) {
        for shard in &self.shards {
            let copy: Vec<Known> = shard.read().iter().cloned().collect();
            copy.into_iter().for_each(&mut visit);
        }
    }

    /// The table's own bits decide the place within a part; the middle ones of the hash choose the part.
    fn shard(&self, name: &[u8]) -> Option<&Shard> {
        let middle = usize::try_from((self.hasher.hash_one(name) >> 32) & 0xffff).unwrap_or(0);
        self.shards.get(middle % SHARDS)
    }
}
