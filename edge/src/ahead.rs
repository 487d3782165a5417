//! Certificates before the first visit: what the control plane says is verified and points here is ordered at once.
//!
//! A listener of the feed and an observer of the certificate manager put names into one bounded queue; a task takes
//! them out, a few at a time. Nothing is believed of a queued name but that it is worth a look: whether it is listed,
//! has a certificate, may have one and when, is asked of those who know, at its turn. What the queue has no room for is
//! found again by a walk over all known names, so no name is lost, and none that has a certificate costs more than that
//! walk.
//!
//! Orders made here are bounded in number below the manager's own slots: a flood of new connections keeps no visitor of
//! another name waiting.

mod metrics;
mod queue;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use certs::{Certificates, DnsSolver, ObtainError};
use clock::{SharedClock, Timestamp};
use control_client::{Directory, Event, Freshness, Listener, Refusal};
use names::{Hostname, Subject};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::{
    metrics::{Metrics, Outcome},
    queue::Queue,
};
use crate::{herald::Herald, policy::Policy};

/// A name that could not be dealt with for a reason that is not its own is looked at again after this time.
const LATER: Duration = Duration::from_secs(60);
/// Names that were left out are looked for at most this often: a walk over a million names takes a second.
const WALK_EVERY: Duration = Duration::from_secs(60);
/// Longest wait for an event; only bounds what a clock that jumps can do.
const ROUND: Duration = Duration::from_secs(3600);

/// The names that are worth a look. Cheap to clone.
#[derive(Clone)]
pub struct Ahead(Arc<Inner>);

struct Inner {
    queue: Mutex<Queue>,
    more: Notify,
    metrics: Metrics,
    /// Known once the manager is built.
    certificates: OnceLock<Certificates>,
    /// Whether names may be proven that do not point here.
    records: bool,
}

/// Whom the task asks.
pub struct Desk {
    /// The certificates.
    pub certificates: Certificates,
    /// The known names.
    pub directory: Directory,
    /// Tells the control plane of certificates that it has not heard of.
    pub herald: Arc<Herald>,
    /// The gate of the moment.
    pub policy: Arc<ArcSwap<Policy>>,
    /// Orders at once.
    pub in_flight: usize,
    /// Knows which names are proven by records, and so before they point here.
    pub solver: Option<Arc<dyn DnsSolver>>,
    /// The time.
    pub clock: SharedClock,
}

impl Ahead {
    /// A queue of at most `limit` names; with `records`, of names too that do not point here.
    ///
    /// # Errors
    /// [`prometheus::Error`] when `registry` holds metrics of the same names.
    pub fn new(limit: usize, records: bool, registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        Ok(Self(Arc::new(Inner {
            queue: Mutex::new(Queue::new(limit)),
            more: Notify::new(),
            metrics: Metrics::new(registry)?,
            certificates: OnceLock::new(),
            records,
        })))
    }

    /// Says which certificates are let go of when their name is deleted or moves. To be called before the feed runs.
    pub fn attach(&self, certificates: &Certificates) {
        // A second call would be about the same ones.
        let _ = self.0.certificates.set(certificates.clone());
    }

    /// A name is worth a look now.
    pub fn push(&self, name: &Hostname) {
        self.change(|queue| queue.push(name));
    }

    /// A name is worth a look at `at`.
    pub fn push_at(&self, name: &Hostname, at: Timestamp) {
        self.change(|queue| queue.push_at(name, at));
    }

    /// Every name without a certificate of its own is worth a look, soon.
    pub fn walk_again(&self) {
        self.0.queue.lock().want_walk();
        self.0.more.notify_one();
    }

    fn change(&self, change: impl FnOnce(&mut Queue) -> bool) {
        let mut queue = self.0.queue.lock();
        if !change(&mut queue) {
            self.0.metrics.overflowed();
        }
        self.0.metrics.waiting(queue.len());
        drop(queue);
        self.0.more.notify_one();
    }

    /// Looks at queued names until `stop`; a look that is under way then is given up, its order is not.
    pub async fn run(self, desk: Desk, stop: CancellationToken) {
        let desk = Arc::new(desk);
        stop.run_until_cancelled(self.work(&desk)).await;
    }

    async fn work(&self, desk: &Arc<Desk>) {
        // Before that, names that have a certificate cannot be told from those that have none.
        desk.certificates.scanned().await;
        let slots = Arc::new(Semaphore::new(desk.in_flight));
        let (mut looks, mut walk_at) = (JoinSet::new(), Timestamp::EPOCH);
        loop {
            // The semaphore is never closed.
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            while looks.try_join_next().is_some() {}
            let now = desk.clock.now();
            let (name, walk, next) = {
                let mut queue = self.0.queue.lock();
                (queue.pop(now), queue.wants_walk(), queue.next())
            };
            match name {
                Some(name) => {
                    let (ahead, desk) = (self.clone(), Arc::clone(desk));
                    looks.spawn(async move {
                        ahead.look(&desk, &name).await;
                        drop(slot);
                    });
                }
                None if walk && walk_at <= now => {
                    walk_at = now + WALK_EVERY;
                    self.walk(desk).await;
                }
                None => {
                    let next = if walk { next.min(walk_at) } else { next };
                    tokio::select! {
                        () = self.0.more.notified() => {}
                        () = desk.clock.sleep_until(next.min(now + ROUND)) => {}
                    }
                }
            }
        }
    }

    /// Queues every listed name without a certificate, as far as there is room.
    async fn walk(&self, desk: &Desk) {
        let (ahead, directory, certificates) = (self.clone(), desk.directory.clone(), desk.certificates.clone());
        self.0.queue.lock().begin_walk();
        let walk = move || {
            directory.each_pointing(|name| {
                if !certificates.is_planned(&Subject::from(&name)) {
                    ahead.0.queue.lock().push_old(&name);
                }
            });
        };
        // A panic in it is printed by its thread; the next walk finds what this one did not.
        let _ = tokio::task::spawn_blocking(walk).await;
        self.0.metrics.waiting(self.0.queue.lock().len());
    }

    async fn look(&self, desk: &Desk, name: &Hostname) {
        let outcome = desk.look(name).await;
        self.0.metrics.looked(&outcome);
        if let Outcome::Postponed { until } = outcome {
            self.push_at(name, until);
        }
    }
}

impl Listener for Ahead {
    /// Never loses a name: what the queue has no room for is found by a walk.
    fn hear(&self, event: Event) -> bool {
        let certificates = self.0.certificates.get();
        match event {
            Event::Gone { name, tenant } => {
                certificates.inspect(|certificates| certificates.release(&name, tenant.as_ref()));
                self.0.queue.lock().forget(&name);
            }
            Event::Known { name, pointing, tenant } => {
                if let (Some(certificates), Some(tenant)) = (certificates, tenant) {
                    certificates.welcome(&name, &tenant);
                }
                if pointing || self.0.records {
                    self.push(&name);
                }
            }
            Event::Moving { name, to } => {
                certificates.inspect(|certificates| certificates.hand_over(&name, &to));
            }
        }
        true
    }
}

impl Desk {
    async fn look(&self, name: &Hostname) -> Outcome {
        let Some(listed) = self.directory.find(name) else { return Outcome::Gone };
        match self.certificates.load(name, listed.tenant.as_ref()).await {
            // The control plane could not keep up with what it is told at its first sight of an old edge.
            Ok(Some(_)) if self.herald.is_behind() => self.later(),
            Ok(Some(leaf)) => {
                self.herald.kept(name, &leaf, &listed, self.clock.now());
                Outcome::Held
            }
            Ok(None) if listed.pointing || self.is_delegated(name).await => self.order(name, listed.pointing).await,
            Ok(None) => Outcome::Gone,
            Err(_) => self.later(),
        }
    }

    async fn is_delegated(&self, name: &Hostname) -> bool {
        match &self.solver {
            Some(solver) => solver.proves(name).await,
            None => false,
        }
    }

    /// Orders, if the gate says yes, now: a stale yes never leads to an order.
    async fn order(&self, name: &Hostname, pointing: bool) -> Outcome {
        let gate = self.policy.load().gate.clone();
        let site = match gate.admit(name).await {
            Ok(admitted) if admitted.freshness == Freshness::Fresh => admitted.site,
            Ok(_) | Err(Refusal::Unavailable) => return self.later(),
            Err(Refusal::Denied) => return Outcome::Gone,
        };
        match self.certificates.obtain_ahead(&name.into(), site.tenant.as_ref()).await {
            Ok(_) => Outcome::Obtained,
            Err(ObtainError::BackingOff { until, .. }) => Outcome::Postponed { until },
            // The control plane expects nothing of a name that does not point here; we try again by ourselves.
            Err(ObtainError::Failed { failure }) if !pointing => Outcome::Postponed { until: failure.next_order() },
            // The herald has heard of it, and queues the name for its next attempt.
            Err(ObtainError::Failed { .. }) => Outcome::Failed,
            Err(ObtainError::Unstorable) => Outcome::Gone,
            Err(_) => self.later(),
        }
    }

    fn later(&self) -> Outcome {
        Outcome::Postponed { until: self.clock.now() + LATER }
    }
}
