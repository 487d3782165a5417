//! The renewal loop: every live name is renewed while its old certificate is served, visited or not.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use clock::Timestamp;
use names::{Subject, Tenant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{ObtainError, Obtained, Permission, Shared, Tenancy, errors::attempts, parse, validity};
use crate::{
    Bundle, Leaf, Scanned, Step,
    fleet::{Held, order_lease},
    jitter::jitter,
    life::{Action, Event, Lane, Validity},
};

/// The loop goes round at least this often, which is what its heartbeat promises.
const ROUND: Duration = Duration::from_secs(30);
/// After an error of the store a name is looked at again after this time.
pub(super) const STORE_RETRY: Duration = Duration::from_secs(60);
/// A name whose renewal another edge orders is looked at again after this time.
const ELSEWHERE_RETRY: Duration = Duration::from_secs(30);
/// A store that did not take a certificate is tried again after this time.
const SAVE_AGAIN: Duration = Duration::from_secs(10);
/// Issuers are asked about windows at most this many at a time; Let's Encrypt takes 1,000 such questions a second.
const HINTS_AT_ONCE: usize = 8;
/// Names met in the store are asked about within this time after the start.
const HINTS_WITHIN: Duration = Duration::from_secs(6 * 3600);
/// A name whose certificate is fresh is asked about within this time.
const FIRST_HINT_WITHIN: Duration = Duration::from_secs(60);
/// An issuer that could not tell is asked again after this time.
const HINT_RETRY: Duration = Duration::from_secs(3600);
/// Tasks have this long to end when the process stops; orders that do not are resumed by the next one.
const STOPPING: Duration = Duration::from_secs(5);

/// When an issuer is asked first about the renewal of a certificate: soon, or spread over `within`.
pub(super) fn first_hint(name: &Subject, now: Timestamp, within: Duration) -> Timestamp {
    now + jitter(name, "hint", within.max(FIRST_HINT_WITHIN))
}

/// Runs until `stop`.
pub(super) async fn run(shared: &Arc<Shared>, stop: CancellationToken) {
    let hints = Arc::new(Semaphore::new(HINTS_AT_ONCE));
    for work in [Startup::Resume, Startup::Scan, Startup::Sweep] {
        let (shared, stop) = (Arc::clone(shared), stop.clone());
        shared.clone().tasks.spawn(async move { stop.run_until_cancelled(work.run(&shared)).await });
    }
    while !stop.is_cancelled() {
        let now = shared.clock.now();
        shared.beat(now);
        let round = if shared.memory.unsaved_count() > 0 { SAVE_AGAIN } else { ROUND };
        let next = shared.start_due(now, &hints).min(now + round);
        tokio::select! {
            () = stop.cancelled() => {}
            () = shared.changed.notified() => {}
            () = shared.clock.sleep_until(next) => {}
        }
    }
    shared.tasks.close();
    if tokio::time::timeout(STOPPING, shared.tasks.wait()).await.is_err() {
        tracing::info!(open = shared.tasks.len(), "orders in flight are left to the next start");
    }
}

/// What is done once at the start.
#[derive(Clone, Copy)]
enum Startup {
    /// Finish orders that a crash cut off.
    Resume,
    /// Take up the notes of released names, then plan the renewals of everything in the store, then of what other edges
    /// add to it.
    Scan,
    /// Remove what an earlier process left elsewhere.
    Sweep,
}

impl Startup {
    async fn run(self, shared: &Arc<Shared>) {
        match self {
            Self::Resume => shared.resume().await,
            Self::Scan => {
                let seq = shared.present().await;
                shared.load_releases().await;
                shared.scan().await;
                shared.follow(seq).await;
            }
            Self::Sweep => {
                for line in &shared.lines {
                    line.issuer.sweep().await;
                }
            }
        }
    }
}

impl Shared {
    fn beat(&self, now: Timestamp) {
        self.heartbeat.store(now.as_millis(), Ordering::Relaxed);
        self.metrics.heartbeat.set(super::gauge(now.as_secs()));
        self.show_sizes();
    }

    /// Starts everything that is due and for which there is a slot; the moment at which to look again.
    fn start_due(self: &Arc<Self>, now: Timestamp, hints: &Arc<Semaphore>) -> Timestamp {
        self.start_saving(now);
        self.start_departures(now);
        let expiring = self.plan.lock().look_ahead(now);
        if let Some(expiring) = expiring {
            self.metrics.expiring(expiring);
        }
        let renewals_wait = self.start_renewals(now);
        let hints_wait = self.start_hints(now, hints);
        match renewals_wait || hints_wait {
            // Whoever gives a slot back wakes the loop.
            true => now + ROUND,
            false => self.plan.lock().next().min(self.next_departure()),
        }
    }

    /// Tries the store again, now and then, with what it did not take.
    fn start_saving(self: &Arc<Self>, now: Timestamp) {
        let mut save_after = self.save_after.lock();
        if self.memory.unsaved_count() > 0 && *save_after <= now {
            *save_after = now + SAVE_AGAIN;
            let shared = Arc::clone(self);
            self.tasks.spawn(async move { shared.save_again().await });
        }
    }

    /// Whether a renewal is left without a slot.
    fn start_renewals(self: &Arc<Self>, now: Timestamp) -> bool {
        loop {
            let Some(name) = self.plan.lock().pop_renewal(now) else { return false };
            let Some(slot) = self.slots.try_renewal() else {
                self.plan.lock().push_back(name);
                return true;
            };
            let shared = Arc::clone(self);
            self.tasks.spawn(async move { shared.renew(name, slot).await });
        }
    }

    /// Whether a question to an issuer is left without a slot.
    fn start_hints(self: &Arc<Self>, now: Timestamp, hints: &Arc<Semaphore>) -> bool {
        loop {
            let Ok(slot) = Arc::clone(hints).try_acquire_owned() else { return true };
            let Some(name) = self.plan.lock().pop_hint(now) else { return false };
            let shared = Arc::clone(self);
            self.tasks.spawn(async move {
                let again = shared.take_hint(&name).await;
                drop(slot);
                if let Some(again) = again {
                    shared.plan.lock().ask_at(&name, again);
                }
                shared.changed.notify_one();
            });
        }
    }

    /// One name whose moment has come. The renewal runs in a task of its own: a panic in it costs this one attempt.
    async fn renew(self: Arc<Self>, name: Subject, slot: OwnedSemaphorePermit) {
        if self.apply(&name, Event::Due).contains(&Action::Ask) && self.is_wanted(&name).await {
            let (shared, flown) = (Arc::clone(&self), name.clone());
            let done = self.tasks.spawn(async move { shared.renew_wanted(&flown).await }).await;
            if done.is_err() {
                let held = self.held(&name);
                let until = self.clock.now() + STORE_RETRY;
                self.apply(&name, Event::Failed { until, attempts: 0, held });
            }
        }
        drop(slot);
        self.changed.notify_one();
    }

    async fn is_wanted(&self, name: &Subject) -> bool {
        match self.ask_permit(name).await {
            Permission::Renew | Permission::Unknown => true,
            Permission::Stop => {
                self.apply(name, Event::Stopped);
                self.metrics.renewal("stopped");
                tracing::info!(%name, "the gate does not want a renewal");
                false
            }
        }
    }

    /// Renews, unless an order for the name is in flight already: that one's outcome is this one's.
    async fn renew_wanted(self: &Arc<Self>, name: &Subject) {
        let (ticket, pilot) = self.orders.board(name);
        let Some(pilot) = pilot else {
            drop(ticket.outcome().await);
            return;
        };
        let renewed = self.renew_stored(name).await;
        let word = renewed.as_ref().map_or_else(ObtainError::code, |_| "renewed");
        self.metrics.renewal(word);
        pilot.land(renewed);
    }

    async fn renew_stored(self: &Arc<Self>, name: &Subject) -> Obtained {
        let stored = match self.current(name).await {
            Ok(Some(stored)) => stored,
            Ok(None) => {
                // Somebody removed it: what nobody keeps is not renewed.
                self.apply(name, Event::Failed { until: self.clock.now(), attempts: 0, held: None });
                return Err(ObtainError::Died);
            }
            Err(error) => {
                tracing::error!(%name, error = %telemetry::chain(&error), "a renewal waits for the store");
                let until = self.clock.now() + STORE_RETRY;
                self.apply(name, Event::Failed { until, attempts: 0, held: self.held(name) });
                return Err(error);
            }
        };
        let current = self.tenant_now(name);
        if !self.may_serve(name, &stored.bundle, current.as_ref()) {
            self.apply(name, Event::Failed { until: self.clock.now(), attempts: 0, held: None });
            return Err(ObtainError::Moved);
        }
        let held = validity(&stored.leaf);
        if self.clock.now() < held.renew_at(name, None) && !self.is_planned_before(name, &stored.leaf) {
            // Another process has renewed it.
            self.adopt(name, &stored.leaf);
            return Ok(stored.leaf);
        }
        let tenant = current.as_ref().or_else(|| stored.leaf.tenant());
        let renewed = self.renew_held(name, tenant, &stored.bundle).await;
        match &renewed {
            Ok(_) => {}
            // Nothing has failed. What the other edge gets is taken up when it is stored; this is for when it gets none.
            Err(ObtainError::Elsewhere) => {
                let renew_at = self.clock.now() + ELSEWHERE_RETRY;
                self.apply(name, Event::Found { not_after: held.not_after, renew_at });
            }
            Err(error) => {
                let held = (!matches!(error, ObtainError::Moved)).then_some(held);
                let event = Event::Failed { until: self.until(error), attempts: attempts(error), held };
                self.apply(name, event);
            }
        }
        renewed
    }

    /// Whose the name is, where the gate knows.
    fn tenant_now(&self, name: &Subject) -> Option<Tenant> {
        match self.permit.tenancy(name) {
            Tenancy::Of(tenant) => Some(tenant),
            Tenancy::Gone | Tenancy::Nobodys | Tenancy::Unknown => None,
        }
    }

    async fn renew_held(self: &Arc<Self>, name: &Subject, tenant: Option<&Tenant>, bundle: &Bundle) -> Obtained {
        let failure = self.failures.load(name).await.map_err(super::errors::store_error)?;
        let actions = self.apply(name, Event::Permitted);
        let Some(Action::Order(lane)) = actions.first() else { return Err(ObtainError::Busy) };
        match failure {
            Some(failure) if *lane == Lane::Renewal && self.clock.now() < failure.next_order() => {
                Err(ObtainError::BackingOff { until: failure.next_order(), failure })
            }
            _ => self.try_order(name, tenant, *lane, Some(bundle)).await,
        }
    }

    /// The certificate that is to be renewed, from wherever it is kept.
    async fn current(&self, name: &Subject) -> Result<Option<Stored>, ObtainError> {
        if let Some(unsaved) = self.memory.find_unsaved(name) {
            return Ok(Some(Stored { leaf: unsaved.leaf, bundle: Bundle::clone(&unsaved.bundle) }));
        }
        let Some(bundle) = self.store.load(name).await.map_err(super::errors::store_error)? else { return Ok(None) };
        Ok(Some(Stored { leaf: parse(&bundle)?, bundle }))
    }

    /// Whether the plan knows this certificate, or a newer one.
    fn is_planned_before(&self, name: &Subject, leaf: &Leaf) -> bool {
        self.plan.lock().state(name).is_some_and(|state| leaf.not_after() <= state.held_until())
    }

    /// What is known about the certificate in service when the store cannot be asked. The start of its life is not, so
    /// its emergency is taken to be now.
    fn held(&self, name: &Subject) -> Option<Validity> {
        let not_after = self.plan.lock().state(name)?.held_until();
        Some(Validity { not_before: self.clock.now(), not_after })
    }

    /// Asks the issuer when it wants its certificate to be renewed; when to ask again.
    async fn take_hint(&self, name: &Subject) -> Option<Timestamp> {
        let again = self.clock.now() + HINT_RETRY;
        let Ok(Some(stored)) = self.current(name).await else { return Some(again) };
        let line = self.line(&stored.bundle.issuer)?;
        match line.issuer.renewal_hint(&stored.bundle).await {
            Ok(Some(hint)) => {
                let renew_at = validity(&stored.leaf).renew_at(name, Some(hint));
                self.apply(name, Event::Hinted { renew_at });
                Some(hint.ask_again)
            }
            Ok(None) => None,
            Err(error) => {
                tracing::debug!(%name, error = %telemetry::chain(&error), "the issuer does not say when to renew");
                Some(again)
            }
        }
    }

    /// Plans everything in the store, a piece at a time.
    async fn scan(&self) {
        let (mut count, mut counted) = (0, Vec::new());
        let mut visit = |piece: Vec<Scanned>| {
            count += piece.len();
            counted.extend(piece.iter().filter(|entry| self.is_counted(entry)).cloned());
            self.plan_piece(piece);
            true
        };
        let scanned = self.store.scan(&mut visit).await;
        self.count_all(counted);
        match scanned {
            Ok(()) => tracing::info!(certificates = count, "renewals are planned"),
            Err(error) => tracing::error!(error = %telemetry::chain(&error), "the store could not be walked through"),
        }
        self.scanned.send_replace(true);
        self.changed.notify_one();
    }

    /// Wildcards are renewed if somebody asks for them by name: an imported one may be one that nobody here can prove.
    fn plan_piece(&self, mut piece: Vec<Scanned>) {
        piece.retain(|entry| !entry.name.is_wildcard());
        let now = self.clock.now();
        piece.retain(|entry| !self.is_suspected(entry, now));
        let valid = piece.iter().filter(|entry| now < entry.not_after);
        valid.for_each(|entry| self.tell(&entry.name, &Step::Kept { entry }));
        let mut plan = self.plan.lock();
        for Scanned { name, not_before, not_after, .. } in piece {
            let known = plan.state(&name).is_some_and(|state| not_after <= state.held_until());
            if not_after <= now || known {
                continue;
            }
            let renew_at = Validity { not_before, not_after }.renew_at(&name, None);
            plan.apply(&name, Event::Found { not_after, renew_at }, now);
            plan.ask_at(&name, first_hint(&name, now, HINTS_WITHIN));
        }
        drop(plan);
        self.changed.notify_one();
    }

    /// Whether a certificate is another tenant's than the one whom its name was last known to belong to: a crash has cut
    /// its removal off, or we are behind.
    fn is_suspected(&self, entry: &Scanned, now: Timestamp) -> bool {
        let current = self.tenant_now(&entry.name);
        match current.filter(|current| !Tenant::may_share(entry.tenant.as_ref(), Some(current))) {
            Some(current) => {
                self.moves.suspect(&entry.name, &current, now);
                true
            }
            None => {
                if self.permit.tenancy(&entry.name) == Tenancy::Gone {
                    self.releases.release(&entry.name, entry.tenant.as_ref(), now);
                }
                false
            }
        }
    }

    /// Goes on with orders that were cut off.
    async fn resume(self: &Arc<Self>) {
        for line in &self.lines {
            match line.issuer.unfinished().await {
                Ok(names) => {
                    for name in names {
                        self.resume_one(line, &name).await;
                    }
                }
                Err(error) => {
                    tracing::error!(error = %telemetry::chain(&error), "unfinished orders could not be looked for");
                }
            }
        }
    }

    /// A name without a certificate gets its order finished. A renewal comes due by itself, and its order is resumed
    /// then; where the certificate is fresh, the crash came after it was stored, and the order is over.
    async fn resume_one(self: &Arc<Self>, line: &super::Line, name: &Subject) {
        let tenant = self.tenant_now(name);
        match self.read(name, tenant.as_ref()).await {
            Ok(None) => {
                if let (_, Some(pilot)) = self.orders.board(name) {
                    self.start(name, tenant.as_ref(), pilot);
                }
            }
            Ok(Some(leaf)) if self.clock.now() < validity(&leaf).renew_at(name, None) => {
                // Of a fleet it may be another edge's, that is under way.
                let fleet = self.store.fleet().is_some();
                let held = Held::take(&self.store, &order_lease(name), self.settings.lease).await;
                if fleet && !matches!(held, Ok(Some(_))) {
                    return;
                }
                if let Err(error) = line.issuer.settled(name).await {
                    tracing::warn!(%name, error = %telemetry::chain(&error), "the journal still holds a finished order");
                }
            }
            Ok(Some(_)) => {}
            Err(error) => {
                tracing::error!(%name, error = %telemetry::chain(&error), "an unfinished order waits for the store");
            }
        }
    }
}

/// A certificate as it is kept.
struct Stored {
    leaf: Arc<Leaf>,
    bundle: Bundle,
}
