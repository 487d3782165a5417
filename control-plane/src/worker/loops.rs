//! The loop that takes jobs when they are due, and the simple kinds.

use std::{future::Future, time::Duration};

use super::Worker;
use crate::core::{CoreError, Job, JobKind, Moment};

impl Worker {
    /// Waits until a job of the kind may be due, or others may have made one. Answers whether to go on.
    pub(crate) async fn wait_for(&self, kind: JobKind) -> bool {
        let due = match self.core.next_job_at(kind).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(error = %telemetry::chain(&error), %kind, "the worker waits for the database");
                self.pause().await;
                return !self.stopping.is_cancelled();
            }
        };
        let at = due.unwrap_or_else(|| self.core.now().after(self.limits.lease));
        tokio::select! {
            () = self.stopping.cancelled() => {}
            () = self.core.clock().sleep_until(at.timestamp()) => {}
            () = tokio::time::sleep(self.limits.look_again) => {}
        }
        !self.stopping.is_cancelled()
    }

    pub(crate) async fn take(&self, kind: JobKind, limit: i64) -> Vec<Job> {
        self.take_for(kind, limit, self.limits.lease).await
    }

    pub(crate) async fn take_for(&self, kind: JobKind, limit: i64, lease: Duration) -> Vec<Job> {
        match self.core.lease_jobs(kind, limit, lease).await {
            Ok(jobs) => jobs,
            Err(error) => {
                tracing::warn!(error = %telemetry::chain(&error), %kind, "no jobs could be taken");
                self.pause().await;
                Vec::new()
            }
        }
    }

    pub(crate) async fn pause(&self) {
        self.rest(self.limits.pause).await;
    }

    /// Does nothing for a while, unless the worker is to stop.
    pub(crate) async fn rest(&self, wait: Duration) {
        tokio::select! {
            () = self.stopping.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }

    /// One after the other: these kinds are short and seldom.
    async fn drive<F>(&self, kind: JobKind, act: impl Fn(Job) -> F)
    where
        F: Future<Output = Result<Option<Moment>, CoreError>>,
    {
        while self.wait_for(kind).await {
            for job in self.take(kind, self.limits.batch).await {
                let result = act(job.clone()).await;
                self.finish(job, result).await;
            }
        }
    }

    /// A job that failed stays leased: it is due again when its lease ends.
    pub(crate) async fn finish(&self, job: Job, result: Result<Option<Moment>, CoreError>) {
        let kind = job.kind.as_str();
        let outcome = match result {
            Ok(again) => self.core.finish_jobs(&[(job, again)]).await.err(),
            Err(error) => Some(error),
        };
        let result = if outcome.is_none() { "done" } else { "failed" };
        self.metrics.jobs.with_label_values(&[kind, result]).inc();
        if let Some(error) = outcome {
            tracing::warn!(error = %telemetry::chain(&error), kind, "a job failed and will be tried again");
        }
    }
}

pub(crate) async fn deadlines(worker: Worker) {
    let core = &worker.core;
    worker.drive(JobKind::Deadline, |job| async move { core.pass_deadline(&job.subject).await }).await;
}

pub(crate) async fn reroutes(worker: Worker) {
    let core = &worker.core;
    worker.drive(JobKind::Reroute, |job| async move { core.reroute(&job.subject).await.map(|()| None) }).await;
}

pub(crate) async fn sweeps(worker: Worker) {
    let core = &worker.core;
    worker.drive(JobKind::Sweep, |_| async move { core.sweep().await.map(Some) }).await;
}
