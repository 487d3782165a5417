//! [`Memory`]: certificates at hand.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use clock::Timestamp;
use moka::sync::Cache;
use names::Subject;
use parking_lot::RwLock;

use crate::{Bundle, Leaf};

/// Names that were lately looked for in the store and not found; strangers choose them, so they are few and short-lived.
const MISSING: u64 = 20_000;
/// That a name is missing is believed this long: a certificate that another process stores is found soon.
const MISSING_BELIEVED: Duration = Duration::from_secs(5);
/// Certificates that could not be stored. More mean that the store is gone, and then nothing more is ordered.
pub(super) const UNSAVED: usize = 1000;

/// Certificates at hand.
pub(super) struct Memory {
    /// Parsed, bounded in bytes, the least used go first.
    leaves: Cache<Subject, Arc<Leaf>>,
    /// Whether a wildcard's was ever among them: else nobody looks for one.
    wildcards: AtomicBool,
    /// Until when a name is believed to be missing from the store.
    missing: Cache<Subject, Timestamp>,
    /// Certificates that exist nowhere else yet.
    unsaved: RwLock<HashMap<Subject, Unsaved>>,
    unsaved_count: AtomicUsize,
}

/// A certificate that the store did not take.
#[derive(Clone)]
pub(super) struct Unsaved {
    pub(super) leaf: Arc<Leaf>,
    pub(super) bundle: Arc<Bundle>,
}

impl Memory {
    pub(super) fn new(bytes: u64) -> Self {
        Self {
            leaves: Cache::builder().max_capacity(bytes).weigher(|_, leaf: &Arc<Leaf>| leaf.weight()).build(),
            wildcards: AtomicBool::new(false),
            missing: Cache::new(MISSING),
            unsaved: RwLock::default(),
            unsaved_count: AtomicUsize::new(0),
        }
    }

    /// A certificate that may be served now.
    pub(super) fn find(&self, name: &Subject, now: Timestamp) -> Option<Arc<Leaf>> {
        let found = self.leaves.get(name).filter(|leaf| leaf.is_valid_at(now));
        match found {
            None if self.unsaved_count.load(Ordering::Acquire) > 0 => {
                self.find_unsaved(name).map(|unsaved| unsaved.leaf).filter(|leaf| leaf.is_valid_at(now))
            }
            found => found,
        }
    }

    /// The certificate of the wildcard above `name` that may be served now.
    pub(super) fn find_wildcard(&self, name: &Subject, now: Timestamp) -> Option<Arc<Leaf>> {
        if !self.wildcards.load(Ordering::Relaxed) {
            return None;
        }
        self.find(&Subject::above(&name.hostname()?)?, now)
    }

    pub(super) fn insert(&self, name: &Subject, leaf: Arc<Leaf>) {
        self.missing.invalidate(name);
        if name.is_wildcard() {
            self.wildcards.store(true, Ordering::Relaxed);
        }
        self.leaves.insert(name.clone(), leaf);
    }

    pub(super) fn forget(&self, name: &Subject) {
        self.leaves.invalidate(name);
        self.forget_unsaved(name);
    }

    /// Forgets a certificate that does not deserve to stay.
    pub(super) fn forget_unless(&self, name: &Subject, stays: impl Fn(&Leaf) -> bool) {
        if self.leaves.get(name).is_some_and(|leaf| !stays(&leaf)) {
            self.leaves.invalidate(name);
        }
        if self.find_unsaved(name).is_some_and(|unsaved| !stays(&unsaved.leaf)) {
            self.forget_unsaved(name);
        }
    }

    pub(super) fn is_missing(&self, name: &Subject, now: Timestamp) -> bool {
        self.missing.get(name).is_some_and(|until| now < until)
    }

    /// A certificate that is kept, whether it may be served now or not.
    pub(super) fn kept(&self, name: &Subject) -> Option<Arc<Leaf>> {
        self.leaves.get(name)
    }

    /// The store has a certificate of the name.
    pub(super) fn set_found(&self, name: &Subject) {
        self.missing.invalidate(name);
    }

    pub(super) fn set_missing(&self, name: &Subject, now: Timestamp) {
        self.missing.insert(name.clone(), now + MISSING_BELIEVED);
    }

    pub(super) fn find_unsaved(&self, name: &Subject) -> Option<Unsaved> {
        self.unsaved.read().get(name).cloned()
    }

    pub(super) fn set_unsaved(&self, name: &Subject, unsaved: Unsaved) {
        let mut all = self.unsaved.write();
        all.insert(name.clone(), unsaved);
        self.unsaved_count.store(all.len(), Ordering::Release);
    }

    /// The certificate `saved` is in the store now; a newer one that is not stays.
    pub(super) fn set_saved(&self, name: &Subject, saved: &Arc<Leaf>) {
        let mut all = self.unsaved.write();
        if all.get(name).is_some_and(|unsaved| Arc::ptr_eq(&unsaved.leaf, saved)) {
            all.remove(name);
        }
        self.unsaved_count.store(all.len(), Ordering::Release);
    }

    /// A newer certificate of the name is in the store, or none is wanted.
    pub(super) fn forget_unsaved(&self, name: &Subject) {
        if self.unsaved_count() > 0 {
            let mut all = self.unsaved.write();
            all.remove(name);
            self.unsaved_count.store(all.len(), Ordering::Release);
        }
    }

    /// Everything that is not in the store yet.
    pub(super) fn unsaved(&self) -> Vec<(Subject, Unsaved)> {
        self.unsaved.read().iter().map(|(name, unsaved)| (name.clone(), unsaved.clone())).collect()
    }

    pub(super) fn unsaved_count(&self) -> usize {
        self.unsaved_count.load(Ordering::Acquire)
    }

    /// Bytes and entries of the cache, about.
    pub(super) fn size(&self) -> (u64, u64) {
        (self.leaves.weighted_size(), self.leaves.entry_count())
    }
}
