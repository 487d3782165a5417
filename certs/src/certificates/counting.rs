//! Counting by the CAs' limits what this process did not order itself: what the store had when it started, and what
//! other edges of its fleet add.

use super::Shared;
use crate::Scanned;

impl Shared {
    /// Whether a certificate still counts at its issuer.
    pub(super) fn is_counted(&self, entry: &Scanned) -> bool {
        let line = self.line(&entry.issuer);
        line.zip(entry.counted_at).is_some_and(|(line, at)| line.budget.counts(at))
    }

    /// Counts many, in the order in which they were ordered.
    pub(super) fn count_all(&self, mut entries: Vec<Scanned>) {
        entries.sort_unstable_by_key(|entry| entry.counted_at);
        entries.iter().for_each(|entry| self.count(entry));
    }

    /// Counts one, unless it is known.
    pub(super) fn count(&self, entry: &Scanned) {
        if let Some((line, at)) = self.line(&entry.issuer).zip(entry.counted_at) {
            line.budget.count(&entry.name, entry.tenant.as_ref(), at);
        }
    }
}
