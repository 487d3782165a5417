//! [`Feed`]: follows the control plane's changes, for ever.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use clock::{SharedClock, Timestamp};
use control_api::{Change, Changes};
use serde_json::Value;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{
    backoff::Backoff,
    client::{self, Client},
    directory::{Applied, Directory, Position},
    error::CallError,
    metrics::Metrics,
    store::Store,
    sync,
};
use crate::sampler::Sampler;

/// An empty answer that comes sooner than this was not waited for: a server that does not hold questions is asked at
/// the pace of failures, not as fast as it can answer.
const SOON: Duration = Duration::from_millis(100);

/// The task that keeps the directory up to date. [`run`](Self::run) it.
pub struct Feed {
    directory: Directory,
    client: Arc<Client>,
    store: Store,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    backoff: Backoff,
    /// No full synchronisation before this.
    next_sync: Timestamp,
    /// The last question was answered. Until then none is left waiting: whether the control plane is there must not
    /// take as long to find out as the next change to come.
    heard: bool,
    warnings: Sampler,
}

/// What an answer leads to.
enum Step {
    /// Ask on.
    On,
    /// The server was quick to say nothing.
    Rest,
    /// The sequence is another one: read the snapshot.
    Resync,
}

impl Feed {
    pub(super) fn new(
        directory: Directory,
        client: Arc<Client>,
        store: Store,
        clock: SharedClock,
        metrics: Arc<Metrics>,
    ) -> Self {
        let backoff = Backoff::new(directory.limits().backoff);
        let (next_sync, warnings) = (Timestamp::EPOCH, Sampler::default());
        Self { directory, client, store, clock, metrics, backoff, next_sync, heard: false, warnings }
    }

    /// Follows the feed until `stop` ends, then waits until all of it is on disk.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let stop = pin!(stop);
        tokio::select! {
            () = self.follow() => {}
            () = stop => {}
        }
        self.store.flush().await;
    }

    async fn follow(&mut self) {
        self.directory.go_live();
        let mut synced = self.is_young();
        loop {
            let outcome = match (synced, self.directory.position()) {
                (true, Some(position)) => self.poll(position).await,
                _ => self.sync().await,
            };
            // After a refused snapshot the feed is followed on from what is known, and says itself whether it can be.
            self.heard = outcome.is_ok();
            synced = !matches!(outcome, Ok(Step::Resync) | Err(CallError::Gone));
            match outcome {
                Ok(Step::On | Step::Resync) | Err(CallError::Gone) => self.backoff.succeeded(),
                Ok(Step::Rest) => {
                    self.backoff.succeeded();
                    self.pause(None).await;
                }
                Err(error) => self.pause(Some(&error)).await,
            }
        }
    }

    /// Whether what is known can be brought up to date by changes alone.
    fn is_young(&self) -> bool {
        let age = self.directory.last_contact().map(|contact| self.clock.now().since(contact));
        age.is_some_and(|age| age <= self.directory.limits().too_old)
    }

    async fn poll(&self, standing: Position) -> Result<Step, CallError> {
        let started = Instant::now();
        let polled = self.changes(standing.seq).await;
        self.metrics.polled(polled.as_ref().map_or_else(CallError::kind, |_| "ok"));
        let changes = polled?;
        if changes.epoch != standing.epoch || changes.next_after < standing.seq {
            info!(epoch = changes.epoch, next_after = changes.next_after, "control.sequence is another one");
            return Ok(Step::Resync);
        }
        let quick = self.heard && changes.changes.is_empty() && started.elapsed() < SOON;
        if changes.next_after == standing.seq && !changes.changes.is_empty() {
            return Err(CallError::NoProgress { after: standing.seq });
        }
        self.apply(standing, changes);
        Ok(if quick { Step::Rest } else { Step::On })
    }

    async fn changes(&self, after: u64) -> Result<Changes<Value>, CallError> {
        let limits = self.directory.limits();
        let wait = if self.heard { limits.wait } else { Duration::ZERO };
        let query = format!("after={after}&wait={}", wait.as_secs());
        let response = self.client.get("/internal/changes", Some(&query), wait + limits.timeout).await?;
        let body = client::body(response, limits.changes_bytes, limits.timeout).await?;
        serde_json::from_slice(&body).map_err(CallError::Garbage)
    }

    fn apply(&self, standing: Position, changes: Changes<Value>) {
        let Changes { epoch, changes, next_after, head } = changes;
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

    async fn sync(&mut self) -> Result<Step, CallError> {
        self.clock.sleep_until(self.next_sync).await;
        if self.directory.names() > 0 {
            let spread = self.backoff.up_to(self.directory.limits().sync_spread);
            self.clock.sleep_until(self.clock.now() + spread).await;
        }
        let started = Instant::now();
        let synced = sync::sync(&self.client, &self.directory).await;
        self.metrics.synced(synced.as_ref().map_or_else(CallError::kind, |_| "ok"));
        if has_cost(&synced) {
            self.next_sync = self.clock.now() + self.directory.limits().sync_every;
        }
        let names = synced?;
        self.directory.touch();
        self.store.save();
        info!(names, duration_ms = started.elapsed().as_millis(), "control.synced");
        Ok(Step::On)
    }

    async fn pause(&mut self, error: Option<&CallError>) {
        let pause = self.backoff.failed();
        let now = self.clock.now();
        if let Some((error, left_out)) = error.and_then(|error| Some((error, self.warnings.admit(now)?))) {
            let chain = telemetry::chain(error);
            warn!(kind = error.kind(), error = %chain, left_out, pause_ms = pause.as_millis(), "control.failed");
        }
        self.clock.sleep_until(now + pause).await;
    }
}

/// Whether a synchronisation made the control plane work. One that never reached it may be tried again at once.
fn has_cost(synced: &Result<u64, CallError>) -> bool {
    match synced {
        Err(CallError::Connect(_) | CallError::Status(_) | CallError::Unauthorized | CallError::Gone) => false,
        Ok(_) | Err(_) => true,
    }
}
