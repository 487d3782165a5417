//! [`Records`]: the TXT records that we have written and not yet removed, for each subject, in the store.
//!
//! A record is noted before it is written and its note goes after it is gone, so that whatever a failure, a timeout or a
//! crash leaves at the provider is known to the next order and to the next start.

use std::{collections::HashSet, sync::Arc, time::Duration};

use names::Subject;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::journal::Journal;
use crate::{
    ChallengeRecord, DnsError, DnsSolver, IssueError, IssuerKey, Store, StoreError,
    file_store::{stem, subject},
    fleet::{Held, order_lease},
};

/// Longest that a removal may take; what it leaves is removed later. A provider's own limits are below it.
const REMOVAL: Duration = Duration::from_secs(60);
/// A process that dies while it removes a subject's records keeps its orders waiting for so long.
const LEASE: Duration = Duration::from_secs(15);
/// Longest that leftovers of an earlier process keep new records waiting.
const SWEEP: Duration = Duration::from_secs(120);

/// Notes under `namegate/dns-01/<issuer>/`.
pub(super) struct Records {
    solver: Arc<dyn DnsSolver>,
    store: Arc<dyn Store>,
    folder: String,
    /// Subjects with a note.
    noted: Mutex<HashSet<Subject>>,
    swept: OnceCell<()>,
}

impl Records {
    pub(super) fn new(solver: Arc<dyn DnsSolver>, store: Arc<dyn Store>, issuer: &IssuerKey) -> Self {
        let folder = format!("namegate/dns-01/{issuer}");
        Self { solver, store, folder, noted: Mutex::default(), swept: OnceCell::new() }
    }

    /// Whether `subject` is proven by a record.
    pub(super) async fn prove(&self, subject: &Subject) -> bool {
        match subject.hostname() {
            Some(name) => self.solver.proves(&name).await,
            None => true,
        }
    }

    /// Writes a record and waits until it is seen.
    pub(super) async fn publish(&self, subject: &Subject, value: String, journal: &Journal) -> Result<(), IssueError> {
        // What is written now must not be swept away afterwards.
        self.sweep(journal).await;
        let name = self.solver.locate(&subject.base()).await?;
        let record = ChallengeRecord { name, value };
        let noted = self.load(subject).await?;
        // An order that is resumed finds its own record there, which stays: a CA may be looking.
        let old: Vec<_> = noted.iter().filter(|noted| **noted != record).cloned().collect();
        let mut standing = if self.are_gone(subject, &old).await { Vec::new() } else { old };
        standing.push(record.clone());
        self.noted.lock().insert(subject.clone());
        if standing != noted {
            self.save(subject, &standing).await?;
        }
        Ok(self.solver.publish(&record).await?)
    }

    /// Removes what earlier orders left.
    async fn are_gone(&self, subject: &Subject, old: &[ChallengeRecord]) -> bool {
        if old.is_empty() {
            return true;
        }
        let removed = tokio::time::timeout(REMOVAL, self.solver.remove(old)).await;
        let removed = removed.unwrap_or_else(|_| Err(too_slow()));
        if let Err(error) = &removed {
            tracing::warn!(name: "acme.dns_record_left", %subject, %error, "a challenge's record is still there");
        }
        removed.is_ok()
    }

    /// Removes what stands for `subject`. A failure is logged and made good by the next order or the next start.
    pub(super) async fn withdraw(&self, subject: &Subject) {
        if !self.noted.lock().contains(subject) {
            return;
        }
        let removed = tokio::time::timeout(REMOVAL, self.remove(subject)).await;
        match removed.unwrap_or_else(|_| Err(too_slow().into())) {
            Ok(()) => {}
            Err(error) => {
                let error = telemetry::chain(&error).to_string();
                tracing::warn!(name: "acme.dns_record_left", %subject, error, "a challenge's record is still there");
            }
        }
    }

    /// Removes what an earlier process left; once, and whoever comes meanwhile waits for it. Orders in the journal keep
    /// theirs: they are resumed, or go on in a process that this one takes over from, and remove it at their end.
    pub(super) async fn sweep(&self, journal: &Journal) {
        self.swept
            .get_or_init(|| async {
                let swept = tokio::time::timeout(SWEEP, self.sweep_all(journal)).await;
                if let Err(error) = swept.unwrap_or(Ok(())) {
                    tracing::error!(error = %telemetry::chain(&error), "left records could not be looked for");
                }
            })
            .await;
    }

    async fn sweep_all(&self, journal: &Journal) -> Result<(), StoreError> {
        let keys = self.store.list(&self.folder).await?;
        let subjects = keys.iter().filter_map(|key| key.rsplit('/').next()?.strip_suffix(".json").and_then(subject));
        let subjects: Vec<_> = subjects.collect();
        // All at once: a sweep that is cut off leaves the rest to their next orders.
        self.noted.lock().extend(subjects.iter().cloned());
        let unfinished = journal.names().await?;
        for subject in subjects.iter().filter(|subject| !unfinished.contains(subject)) {
            // Of a fleet it may be another process's, which removes its records itself.
            let held = Held::take(&self.store, &order_lease(subject), LEASE).await?;
            if held.is_some() || self.store.fleet().is_none() {
                self.withdraw(subject).await;
            }
        }
        Ok(())
    }

    async fn remove(&self, subject: &Subject) -> Result<(), IssueError> {
        let records = self.load(subject).await?;
        if !records.is_empty() {
            self.solver.remove(&records).await?;
        }
        self.store.remove(&self.key(subject)).await?;
        self.noted.lock().remove(subject);
        Ok(())
    }

    async fn save(&self, subject: &Subject, records: &[ChallengeRecord]) -> Result<(), StoreError> {
        self.noted.lock().insert(subject.clone());
        // Strings alone: serializing cannot fail.
        let bytes = serde_json::to_vec(records).unwrap_or_default();
        self.store.write(&self.key(subject), &bytes).await
    }

    /// A torn note was never acted on: the record is written after it.
    async fn load(&self, subject: &Subject) -> Result<Vec<ChallengeRecord>, StoreError> {
        let bytes = self.store.read(&self.key(subject)).await?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    fn key(&self, subject: &Subject) -> String {
        format!("{}/{}.json", self.folder, stem(subject))
    }
}

fn too_slow() -> DnsError {
    let problem = format!("it was not removed in {} s", REMOVAL.as_secs());
    DnsError { reason: "transient", problem, passes: true, retry_after: None }
}
