//! The worker: does by itself all that the verbs of an API do, so that nobody need ever call them.
//!
//! Five loops over the job table, one a kind: looks at the DNS, deadlines, rerouting, sweeping, and writes at DNS
//! providers where there is a [`Writer`]. Several processes may
//! run it on one database; a lease decides who does what. It never holds a transaction while it waits for the DNS.

mod limits;
mod looks;
mod loops;
mod writes;

use std::sync::Arc;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{checks::Checks, core::Core, metrics::Metrics, writer::Writer};

pub use limits::WorkerLimits;

/// What the loops share.
#[derive(Clone)]
pub struct Worker {
    pub(crate) core: Core,
    pub(crate) checks: Arc<dyn Checks>,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Arc<WorkerLimits>,
    pub(crate) stopping: CancellationToken,
    writer: Option<Writer>,
}

impl Worker {
    /// A worker that ends when `stopping` is cancelled.
    pub fn new(
        core: Core,
        checks: Arc<dyn Checks>,
        metrics: Metrics,
        limits: WorkerLimits,
        stopping: CancellationToken,
    ) -> Self {
        Self { core, checks, metrics, limits: Arc::new(limits), stopping, writer: None }
    }

    /// With what it writes at DNS providers.
    #[must_use]
    pub fn writing(self, writer: Writer) -> Self {
        Self { writer: Some(writer), ..self }
    }

    /// Runs until told to stop, and then until what was begun is done.
    pub async fn run(self) {
        let tasks = TaskTracker::new();
        tasks.spawn(looks::run(self.clone()));
        if let Some(writer) = self.writer.clone() {
            tasks.spawn(writes::run(self.clone(), writer));
        }
        tasks.spawn(loops::deadlines(self.clone()));
        tasks.spawn(loops::reroutes(self.clone()));
        tasks.spawn(loops::sweeps(self));
        tasks.close();
        tasks.wait().await;
    }
}
