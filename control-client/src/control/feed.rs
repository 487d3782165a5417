//! [`Feed`]: follows the control plane's changes, for ever.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use clock::{SharedClock, Timestamp};
use tokio::{
    task::{JoinError, JoinHandle},
    time::Instant,
};
use tracing::{info, warn};

use super::{
    backoff::Backoff,
    changer::{Changer, Taken},
    client::{self, Client},
    directory::{Directory, Position},
    error::CallError,
    metrics::Metrics,
    store::Store,
    sync,
};
use crate::sampler::Sampler;

/// An empty answer that comes sooner than this was not waited for: a server that does not hold questions is asked at
/// the pace of failures, not as fast as it can answer.
const SOON: Duration = Duration::from_millis(100);
/// A longer answer is taken on a thread of its own: a few changes are read and made live in microseconds, and visitors
/// would have to wait behind a thousand.
const SHORT: usize = 4 << 10;

/// The task that keeps the directory up to date. [`run`](Self::run) it.
pub struct Feed {
    directory: Directory,
    client: Arc<Client>,
    store: Arc<Store>,
    changer: Arc<Changer>,
    /// Changes that a thread of their own is making live. Where the feed is stopped, they are waited for.
    changing: Option<JoinHandle<Result<Taken, CallError>>>,
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
        let (next_sync, warnings, store) = (Timestamp::EPOCH, Sampler::default(), Arc::new(store));
        let changer = Changer::new(directory.clone(), Arc::clone(&store), Arc::clone(&clock), Arc::clone(&metrics));
        Self {
            directory,
            client,
            store,
            changer: Arc::new(changer),
            changing: None,
            clock,
            metrics,
            backoff,
            next_sync,
            heard: false,
            warnings,
        }
    }

    /// Follows the feed until `stop` ends, then waits until all of it is on disk.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let stop = pin!(stop);
        tokio::select! {
            () = self.follow() => {}
            () = stop => {}
        }
        // What is live is on disk when this ends.
        if let Some(changing) = self.changing.take() {
            let _ = changing.await;
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

    async fn poll(&mut self, standing: Position) -> Result<Step, CallError> {
        let started = Instant::now();
        let asked = self.ask(standing.seq).await;
        let waited = started.elapsed();
        let taken = match asked {
            Ok(body) => self.take(standing, body).await,
            Err(error) => Err(error),
        };
        self.metrics.polled(taken.as_ref().map_or_else(CallError::kind, |_| "ok"));
        Ok(match taken? {
            Taken::Nothing if self.heard && waited < SOON => Step::Rest,
            Taken::Changes | Taken::Nothing => Step::On,
            Taken::OtherSequence => Step::Resync,
        })
    }

    async fn ask(&self, after: u64) -> Result<Vec<u8>, CallError> {
        let limits = self.directory.limits();
        let wait = if self.heard { limits.wait } else { Duration::ZERO };
        let query = format!("after={after}&wait={}", wait.as_secs());
        let response = self.client.get("/internal/changes", Some(&query), wait + limits.timeout).await?;
        client::body(response, limits.changes_bytes, limits.timeout).await
    }

    async fn take(&mut self, standing: Position, body: Vec<u8>) -> Result<Taken, CallError> {
        if body.len() <= SHORT {
            return self.changer.take(standing, &body);
        }
        let changer = Arc::clone(&self.changer);
        let changing = tokio::task::spawn_blocking(move || changer.take(standing, &body));
        let taken = self.changing.insert(changing).await;
        self.changing = None;
        match taken.map_err(JoinError::try_into_panic) {
            Ok(taken) => taken,
            // As one here would, it ends the feed's task.
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The runtime is at its end.
            Err(Err(_)) => std::future::pending().await,
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
