//! Writes at DNS providers that nobody waits for any more: several at a time, each a task.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::Worker;
use crate::{core::JobKind, writer::Writer};

pub(crate) async fn run(worker: Worker, writer: Writer) {
    let slots = Arc::new(Semaphore::new(writer.limits().at_once));
    let tasks = TaskTracker::new();
    while worker.wait_for(JobKind::Write).await {
        let room = i64::try_from(slots.available_permits()).unwrap_or(1);
        if room == 0 {
            worker.rest(worker.limits.look_again).await;
            continue;
        }
        for job in worker.take_for(JobKind::Write, room, writer.limits().lease).await {
            // Never closed.
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            let (worker, writer) = (worker.clone(), writer.clone());
            tasks.spawn(async move {
                let ended = writer.run(job).await;
                let result = if ended.is_ok() { "done" } else { "failed" };
                worker.metrics.jobs.with_label_values(&[JobKind::Write.as_str(), result]).inc();
                if let Err(error) = ended {
                    tracing::warn!(error = %telemetry::chain(&error), "a write did not end and will be tried again");
                }
                drop(slot);
            });
        }
    }
    tasks.close();
    tasks.wait().await;
}
