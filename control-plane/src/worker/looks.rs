//! Looks at the DNS: many at a time, each a task, with those that changed nothing written down together.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use super::Worker;
use crate::{
    checks::Look,
    core::{CoreError, Job, JobKind, Looker, Moment},
};

pub(crate) async fn run(worker: Worker) {
    let (notes, inbox) = mpsc::channel(worker.limits.notes);
    let tasks = TaskTracker::new();
    tasks.spawn(write_notes(worker.clone(), inbox));
    let slots = Arc::new(Semaphore::new(worker.limits.looks));
    while worker.wait_for(JobKind::Check).await {
        // As long as there is work and room for it, without a pause.
        while !worker.stopping.is_cancelled() {
            let Ok(first) = Arc::clone(&slots).acquire_owned().await else { return };
            let room = i64::try_from(slots.available_permits()).unwrap_or(i64::MAX).saturating_add(1);
            let jobs = worker.take(JobKind::Check, worker.limits.batch.min(room)).await;
            if jobs.is_empty() {
                break;
            }
            drop(first);
            for job in jobs {
                let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
                let (worker, notes) = (worker.clone(), notes.clone());
                tasks.spawn(async move {
                    look(worker, job, notes).await;
                    drop(slot);
                });
            }
        }
    }
    drop(notes);
    tasks.close();
    tasks.wait().await;
}

async fn look(worker: Worker, job: Job, notes: mpsc::Sender<(Job, Moment)>) {
    worker.metrics.check_lag_seconds.observe(worker.core.now().since(job.due_at).as_secs_f64());
    worker.metrics.checks_in_flight.inc();
    let result = look_once(&worker, &job).await;
    worker.metrics.checks_in_flight.dec();
    match result {
        Ok(Outcome::Unchanged(next)) => {
            // A closed inbox means that the process ends; the lease does the rest.
            let _ = notes.send((job, next)).await;
        }
        // Written with the change: the next look has its time already.
        Ok(Outcome::Changed) => worker.metrics.jobs.with_label_values(&["check", "changed"]).inc(),
        Ok(Outcome::Gone) => worker.finish(job, Ok(None)).await,
        Err(CoreError::Raced) => {
            let now = worker.core.now();
            worker.finish(job, Ok(Some(now))).await;
        }
        Err(error) => worker.finish(job, Err(error)).await,
    }
}

enum Outcome {
    Changed,
    Gone,
    Unchanged(Moment),
}

async fn look_once(worker: &Worker, job: &Job) -> Result<Outcome, CoreError> {
    let Some(inquiry) = worker.core.inquire(&job.subject).await? else { return Ok(Outcome::Gone) };
    let seen = worker.checks.look(&inquiry, Look::Due).await;
    if let Some(next) = worker.core.foresee(&inquiry, &seen) {
        return Ok(Outcome::Unchanged(next));
    }
    match worker.core.apply_check(&job.subject, &seen, Looker::Worker).await {
        Ok(_) => Ok(Outcome::Changed),
        Err(CoreError::NotFound { .. } | CoreError::WrongState { .. }) => Ok(Outcome::Gone),
        Err(error) => Err(error),
    }
}

async fn write_notes(worker: Worker, mut inbox: mpsc::Receiver<(Job, Moment)>) {
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
