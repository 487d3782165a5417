//! [`Changer`]: makes an answer of the feed live, change by change, and keeps it.

use std::sync::Arc;

use clock::{SharedClock, Timestamp};
use control_api::{Change, Changes};
use serde_json::Value;
use tracing::{info, warn};

use super::{
    directory::{Applied, Directory, Position},
    error::CallError,
    metrics::Metrics,
    store::Store,
};
use crate::sampler::Sampler;

/// What there was in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// Changes, which are live as far as they can be used.
    Changes,
    /// None.
    Nothing,
    /// Numbers of another sequence than the one that was followed. None of it is live.
    OtherSequence,
}

/// The one writer of the directory beside snapshots.
pub(super) struct Changer {
    directory: Directory,
    store: Arc<Store>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    warnings: Sampler,
}

impl Changer {
    pub(super) fn new(directory: Directory, store: Arc<Store>, clock: SharedClock, metrics: Arc<Metrics>) -> Self {
        Self { directory, store, clock, metrics, warnings: Sampler::default() }
    }

    /// Takes an answer to the question for what comes after `standing`.
    pub(super) fn take(&self, standing: Position, body: &[u8]) -> Result<Taken, CallError> {
        let answer: Changes<Value> = serde_json::from_slice(body).map_err(CallError::Garbage)?;
        let Changes { epoch, changes, next_after, .. } = &answer;
        if *epoch != standing.epoch || *next_after < standing.seq {
            info!(epoch, next_after, "control.sequence is another one");
            return Ok(Taken::OtherSequence);
        }
        if *next_after == standing.seq && !changes.is_empty() {
            return Err(CallError::NoProgress { after: standing.seq });
        }
        let taken = if changes.is_empty() { Taken::Nothing } else { Taken::Changes };
        self.apply(standing, answer);
        Ok(taken)
    }

    fn apply(&self, standing: Position, answer: Changes<Value>) {
        let Changes { epoch, changes, next_after, head } = answer;
        let live: Vec<Change> = changes.into_iter().filter_map(|change| self.apply_one(standing.seq, change)).collect();
        let position = Position { epoch, seq: next_after };
        self.directory.advance(position);
        self.directory.touch();
        self.metrics.lag.set(i64::try_from(head.saturating_sub(next_after)).unwrap_or(i64::MAX));
        self.store.append(position, live);
    }

    /// The change, if it is live now.
    fn apply_one(&self, after: u64, change: Value) -> Option<Change> {
        // One change that this edge cannot read must not stop all those behind it.
        let Ok(change) = serde_json::from_value::<Change>(change) else {
            self.metrics.changed(Applied::Bad);
            return None;
        };
        let applied = match change.seq > after {
            true => self.directory.apply(&change),
            false => Applied::Outdated,
        };
        self.metrics.changed(applied);
        match applied {
            Applied::Deleted | Applied::Upserted => {
                self.observe_delay(change.at_ms);
                Some(change)
            }
            Applied::Bad | Applied::Full | Applied::Outdated | Applied::Unknown => {
                self.warn_refused(&change, applied);
                None
            }
        }
    }

    fn observe_delay(&self, at_ms: u64) {
        if at_ms > 0 {
            let delay = self.clock.now().since(Timestamp::from_millis(at_ms));
            self.metrics.delay.observe(delay.as_secs_f64());
        }
    }

    fn warn_refused(&self, change: &Change, applied: Applied) {
        if let Some(left_out) = self.warnings.admit(self.clock.now()) {
            let Change { hostname, seq, generation, .. } = change;
            warn!(%hostname, seq, generation, why = ?applied, left_out, "control.change left out");
        }
    }
}
