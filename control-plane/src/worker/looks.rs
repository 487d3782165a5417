//! Looks at the DNS: many at a time, each a task, with those that changed nothing written down together.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use super::Worker;
use crate::{
    checks::Look,
    core::{CoreError, Inquiry, Job, JobKind, Looker, Unchanged},
};

pub(crate) async fn run(worker: Worker) {
    let (notes, inbox) = mpsc::channel(worker.limits.notes);
    let slots = Arc::new(Semaphore::new(worker.limits.looks));
    let looks = Looks { worker, notes, slots, tasks: TaskTracker::new() };
    looks.tasks.spawn(write_notes(looks.worker.clone(), inbox));
    while looks.worker.wait_for(JobKind::Check).await {
        // As long as there is more than one batch and room for it, without a pause.
        while !looks.worker.stopping.is_cancelled() && looks.begin_batch().await {}
        looks.worker.rest(looks.worker.limits.gather).await;
    }
    let Looks { notes, tasks, .. } = looks;
    drop(notes);
    tasks.close();
    tasks.wait().await;
}

struct Looks {
    worker: Worker,
    notes: mpsc::Sender<Unchanged>,
    /// One a look: as many are under way as the limit says.
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl Looks {
    /// Takes what is due and begins to look at it. Answers whether more may be due.
    async fn begin_batch(&self) -> bool {
        let Ok(first) = self.slots.acquire().await else { return false };
        let room = i64::try_from(self.slots.available_permits()).unwrap_or(i64::MAX).saturating_add(1);
        drop(first);
        let wanted = self.worker.limits.batch.min(room);
        let jobs = self.worker.take(JobKind::Check, wanted).await;
        if jobs.is_empty() {
            return false;
        }
        let is_full = i64::try_from(jobs.len()).is_ok_and(|taken| taken == wanted);
        let subjects: Vec<&str> = jobs.iter().map(|job| job.subject.as_str()).collect();
        let mut inquiries = match self.worker.core.inquire_all(&subjects).await {
            Ok(inquiries) => inquiries,
            Err(error) => {
                // They stay leased and are due again when the lease ends.
                tracing::warn!(error = %telemetry::chain(&error), count = jobs.len(), "looks could not begin");
                return false;
            }
        };
        for job in jobs {
            match inquiries.remove(&job.subject) {
                Some(inquiry) => self.begin(job, inquiry).await,
                None => self.worker.finish(job, Ok(None)).await,
            }
        }
        is_full
    }

    async fn begin(&self, job: Job, inquiry: Inquiry) {
        // Never closed.
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return };
        let (worker, notes) = (self.worker.clone(), self.notes.clone());
        self.tasks.spawn(async move {
            look(worker, job, inquiry, notes).await;
            drop(slot);
        });
    }
}

async fn look(worker: Worker, job: Job, inquiry: Inquiry, notes: mpsc::Sender<Unchanged>) {
    worker.metrics.check_lag_seconds.observe(worker.core.now().since(job.due_at).as_secs_f64());
    worker.metrics.checks_in_flight.inc();
    let seen = worker.checks.look(&inquiry, Look::Due).await;
    worker.metrics.checks_in_flight.dec();
    if let Some(next) = worker.core.foresee(&inquiry, &seen) {
        let version = inquiry.connection.claim.version;
        // A closed inbox means that the process ends; the lease does the rest.
        let _ = notes.send(Unchanged { job, version, next }).await;
        return;
    }
    match worker.core.apply_check(&job.subject, &seen, Looker::Worker).await {
        // Written with the change: the next look has its time already.
        Ok(_) => worker.metrics.jobs.with_label_values(&["check", "changed"]).inc(),
        Err(CoreError::NotFound { .. } | CoreError::WrongState { .. }) => worker.finish(job, Ok(None)).await,
        Err(CoreError::Raced) => {
            let now = worker.core.now();
            worker.finish(job, Ok(Some(now))).await;
        }
        Err(error) => worker.finish(job, Err(error)).await,
    }
}

async fn write_notes(worker: Worker, mut inbox: mpsc::Receiver<Unchanged>) {
    let mut notes = Vec::new();
    while inbox.recv_many(&mut notes, worker.limits.notes).await > 0 {
        // A moment for others to come along: one transaction then serves them all.
        let until = tokio::time::Instant::now() + worker.limits.notes_wait;
        while notes.len() < worker.limits.notes {
            match tokio::time::timeout_at(until, inbox.recv()).await {
                Ok(Some(note)) => notes.push(note),
                Ok(None) | Err(_) => break,
            }
        }
        let count = notes.len() as u64;
        match worker.core.note_unchanged(&notes).await {
            Ok(()) => worker.metrics.jobs.with_label_values(&["check", "unchanged"]).inc_by(count),
            Err(error) => {
                tracing::warn!(error = %telemetry::chain(&error), count, "looks were not written and will be repeated");
            }
        }
        notes.clear();
    }
}
