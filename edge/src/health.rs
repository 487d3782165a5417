//! What the edge says of itself: starting, serving, draining; and whether what serving needs is in order.
//!
//! Readiness never depends on the control plane: an edge that cannot ask still serves every name that it knows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use certs::{Certificates, Store};
use clock::SharedClock;
use control_client::Directory;
use serde::Serialize;

use crate::{
    control::ControlView,
    fair::{Fair, Level},
};

/// A renewal loop that has not turned for so long is stuck.
const HEARTBEAT_OVERDUE: Duration = Duration::from_secs(25 * 60);
/// How long the store may take over a probe.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);
/// Any folder that every store of ours has.
const PROBE_PREFIX: &str = "namegate";

/// The phase of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Not all listeners stand yet.
    Starting,
    /// Taking connections.
    Serving,
    /// Finishing what is in flight, taking nothing new.
    Draining,
}

/// Answers health questions. Cheap to clone.
#[derive(Clone)]
pub struct Health {
    phase: Arc<AtomicU8>,
    certificates: Certificates,
    store: Arc<dyn Store>,
    directory: Option<Directory>,
    fair: Arc<Fair>,
    clock: SharedClock,
}

/// The parts of readiness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Whether traffic should be sent here.
    pub ready: bool,
    /// The phase of the process.
    pub phase: Phase,
    /// Whether the store answers.
    pub store: bool,
    /// Whether the renewal loop turns.
    pub renewal_loop: bool,
    /// When it last did.
    pub renewal_heartbeat: String,
    /// How short memory is: `calm`, `high` or `full`. Nothing new is taken when it is full.
    pub memory: Level,
    /// What the control plane has told; no part of `ready`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlView>,
}

impl Health {
    /// Health of a process that is starting.
    pub fn new(
        certificates: Certificates,
        store: Arc<dyn Store>,
        directory: Option<Directory>,
        fair: Arc<Fair>,
        clock: SharedClock,
    ) -> Self {
        Self { phase: Arc::new(AtomicU8::new(Phase::Starting as u8)), certificates, store, directory, fair, clock }
    }

    /// Enters a phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// The present phase.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Starting,
            1 => Phase::Serving,
            _ => Phase::Draining,
        }
    }

    /// Looks at every part now.
    pub async fn readiness(&self) -> Readiness {
        let store = tokio::time::timeout(STORE_TIMEOUT, self.store.list(PROBE_PREFIX)).await.is_ok_and(|r| r.is_ok());
        let heartbeat = self.certificates.heartbeat();
        let renewal_loop = self.clock.now().since(heartbeat) < HEARTBEAT_OVERDUE;
        let (phase, memory) = (self.phase(), self.fair.level());
        Readiness {
            ready: phase == Phase::Serving && store && renewal_loop && memory < Level::Full,
            phase,
            store,
            renewal_loop,
            renewal_heartbeat: heartbeat.to_string(),
            memory,
            control: self.directory.as_ref().map(ControlView::of),
        }
    }
}
