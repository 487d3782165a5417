//! The worker: does by itself all that the verbs of an API do, so that nobody need ever call them.
//!
//! Four loops over the job table, one a kind: looks at the DNS, deadlines, rerouting, sweeping. Several processes may
//! run it on one database; a lease decides who does what. It never holds a transaction while it waits for the DNS.

mod limits;
mod looks;
mod loops;

use std::sync::Arc;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{checks::Checks, core::Core, metrics::Metrics};

pub use limits::WorkerLimits;

/// What the loops share.
#[derive(Clone)]
pub struct Worker {
    pub(crate) core: Core,
    pub(crate) checks: Arc<dyn Checks>,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Arc<WorkerLimits>,
    pub(crate) stopping: CancellationToken,
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
        Self { core, checks, metrics, limits: Arc::new(limits), stopping }
    }

    /// Runs until told to stop, and then until what was begun is done.
    pub async fn run(self) {
        let tasks = TaskTracker::new();
        tasks.spawn(looks::run(self.clone()));
        tasks.spawn(loops::deadlines(self.clone()));
        tasks.spawn(loops::reroutes(self.clone()));
        tasks.spawn(loops::sweeps(self));
        tasks.close();
        tasks.wait().await;
    }
}
