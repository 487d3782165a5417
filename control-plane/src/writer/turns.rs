//! One writer at a time for each zone, whichever process it is in.
//!
//! Sets and whole zones are read, merged and written back: two writers would undo each other. Within a process writers
//! stand in a row; the first of it holds a row of the database as well, which other processes see. A process that dies
//! leaves a row that ends. Providers know no fencing, so a process that is stopped in the middle of a call and goes on
//! after the end of its turn may still be heard by one; the next look at the zone finds that and repairs it.

use std::time::Duration;

use tokio::{
    sync::OwnedMutexGuard,
    time::{Instant, error::Elapsed, sleep, timeout},
};

use super::{Found, Writer, WriterLimits};
use crate::core::{Core, CoreError, Job, new_id};

/// The turn of a zone.
pub(super) struct Turn {
    core: Core,
    zone: String,
    holder: String,
    lease: Duration,
    beat: Duration,
    _first_of_this_process: OwnedMutexGuard<()>,
}

impl Writer {
    /// Waits for the turn of a zone, for a bounded time. `None`: it is not ours yet.
    pub(super) async fn turn(&self, found: &Found) -> Result<Option<Turn>, CoreError> {
        let begun = Instant::now();
        let taken = timeout(self.0.limits.turn, self.wait_for_turn(found)).await;
        self.0.metrics.turn_seconds.observe(begun.elapsed().as_secs_f64());
        match taken {
            Ok(taken) => taken.map(Some),
            Err(_) => {
                self.0.metrics.turns_missed.inc();
                Ok(None)
            }
        }
    }

    async fn wait_for_turn(&self, found: &Found) -> Result<Turn, CoreError> {
        let key = found.provider.facts().key;
        let first = self.0.queue.take(key, &found.zone.id).await;
        let limits = &self.0.limits;
        let turn = Turn {
            core: self.0.core.clone(),
            zone: format!("{key}/{}", found.zone.id),
            holder: new_id(),
            lease: limits.lease,
            beat: limits.beat,
            _first_of_this_process: first,
        };
        while !turn.take().await? {
            sleep(limits.look_again).await;
        }
        Ok(turn)
    }

    /// Ends when the lease of a job is lost.
    pub(super) async fn keep_job(&self, job: &Job) {
        let WriterLimits { lease, beat, .. } = self.0.limits;
        let mut heart = Heart::new(lease, beat);
        loop {
            sleep(beat).await;
            if !heart.beats(timeout(beat, self.0.core.keep_job(job, lease)).await) {
                return;
            }
        }
    }
}

impl Turn {
    async fn take(&self) -> Result<bool, CoreError> {
        self.core.take_turn(&self.zone, &self.holder, self.lease).await
    }

    /// Ends when somebody else may have taken it.
    pub(super) async fn lost(&self) {
        let mut heart = Heart::new(self.lease, self.beat);
        loop {
            sleep(self.beat).await;
            if !heart.beats(timeout(self.beat, self.take()).await) {
                return;
            }
        }
    }

    /// Gives it back. If that cannot be written it ends by itself.
    pub(super) async fn give(self) {
        if let Err(error) = self.core.give_turn(&self.zone, &self.holder).await {
            tracing::warn!(error = %telemetry::chain(&error), "the turn of a zone was not given back and will end");
        }
    }
}

/// Tells when a lease is lost. A database that is away is put up with as long as the lease lasts.
struct Heart {
    lease: Duration,
    beat: Duration,
    kept: Instant,
}

impl Heart {
    fn new(lease: Duration, beat: Duration) -> Self {
        Self { lease, beat, kept: Instant::now() }
    }

    /// Whether the lease still is ours after a try to lengthen it.
    fn beats(&mut self, lengthened: Result<Result<bool, CoreError>, Elapsed>) -> bool {
        match lengthened {
            Ok(Ok(true)) => {
                self.kept = Instant::now();
                true
            }
            Ok(Ok(false)) => false,
            Ok(Err(_)) | Err(_) => self.kept.elapsed() + 2 * self.beat < self.lease,
        }
    }
}
