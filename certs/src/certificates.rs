//! [`Certificates`]: the one handle to find a certificate, load it, or have it issued.
//!
//! The order of lookup is memory, store, issuer, and the verbs tell the cost: [`find`](Certificates::find) is memory
//! alone, [`load`](Certificates::load) may read the store, [`obtain`](Certificates::obtain) may place an order. Work is
//! done once per name however many ask, in tasks that belong to the manager: a visitor who waits gets the outcome,
//! failures included, and one who leaves cancels nothing.
//!
//! An error of the store never leads to an order. A certificate is stored before it is served; when the store does not
//! take it, it is served from memory and the store is tried again, and no second one is ordered.
//!
//! Certificates belong to the tenant that they were ordered for. Whoever asks says whom a name is served for, and never
//! gets what was ordered for somebody else; where either side does not know, nobody is kept out.
//!
//! What a name's state makes of an event is decided by the pure `life::step`; here it is carried out.

mod counting;
mod departing;
mod errors;
mod flight;
mod follow;
mod memory;
mod metrics;
mod moves;
mod ordering;
mod plan;
mod releases;
mod renewal;
mod turn;
mod view;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use clock::{SharedClock, Timestamp};
use names::{Hostname, Subject, Tenant};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{
    errors::{LoadError, ObtainError},
    view::CertificateView,
};
use self::{
    errors::{attempts, store_error},
    flight::{Flights, Pilot},
    memory::{Memory, Unsaved},
    metrics::{Metrics, gauge},
    moves::Moves,
    ordering::Line,
    plan::Plan,
    releases::Releases,
};
use crate::{
    Bundle, Issuer, IssuerKey, Leaf, Observer, RolloverError, Step, Store,
    budget::Slots,
    failures::Failures,
    life::{Action, Event, Lane, State, Validity},
    observer::Nobody,
};

/// Limits of the manager.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Longest that [`Certificates::obtain`] waits: about as long as a person waits for a page.
    pub handshake_wait: Duration,
    /// Memory for parsed certificates; an ECDSA chain takes about 4 KiB.
    pub cache_bytes: u64,
    /// Orders at once, all issuers together, renewals included.
    pub orders_in_flight: usize,
    /// Longest that the gate may think about a renewal.
    pub permit_timeout: Duration,
    /// How long a process that died keeps the others of a fleet from going on with its order.
    pub lease: Duration,
    /// How long the certificate of a name that is served no more stays in the store.
    pub released_keep: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            handshake_wait: Duration::from_secs(8),
            cache_bytes: 128 << 20,
            orders_in_flight: 100,
            permit_timeout: Duration::from_secs(10),
            lease: Duration::from_secs(15),
            released_keep: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// Whether a name is still wanted; asked before every renewal.
#[async_trait]
pub trait Permit: Send + Sync + 'static {
    /// What the gate says about renewing `name`; about a wildcard, what the configuration says.
    async fn may_renew(&self, name: &Subject) -> Permission;

    /// Whose the name is, as far as the gate knows now; asks nobody.
    fn tenancy(&self, name: &Subject) -> Tenancy;
}

/// Whose a name is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenancy {
    /// It is served no more.
    Gone,
    /// The operator's own: its certificates are no tenant's.
    Nobodys,
    /// This tenant's.
    Of(Tenant),
    /// Nobody has said.
    Unknown,
}

/// The gate's word on a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// The name is wanted.
    Renew,
    /// The name is not wanted any more.
    Stop,
    /// The gate could not be asked. The renewal goes on: an outage of the gate takes no certificate away.
    Unknown,
}

type Loaded = Result<Option<Arc<Leaf>>, LoadError>;
type Obtained = Result<Arc<Leaf>, ObtainError>;

/// All certificates of this process. Clones are handles to the same.
#[derive(Clone)]
pub struct Certificates(Arc<Shared>);

struct Shared {
    settings: Settings,
    lines: Vec<Arc<Line>>,
    store: Arc<dyn Store>,
    permit: Arc<dyn Permit>,
    observer: Arc<dyn Observer>,
    clock: SharedClock,
    memory: Memory,
    failures: Failures,
    loads: Arc<Flights<Loaded>>,
    orders: Arc<Flights<Obtained>>,
    slots: Slots,
    plan: Mutex<Plan>,
    moves: Moves,
    releases: Releases,
    /// Something changed that the renewal loop waits for.
    changed: Notify,
    heartbeat: AtomicU64,
    /// Whether everything in the store is planned.
    scanned: watch::Sender<bool>,
    /// When the store is tried again with what it did not take.
    save_after: Mutex<Timestamp>,
    tasks: TaskTracker,
    metrics: Metrics,
}

impl Certificates {
    /// A manager that asks `issuers` in their order.
    ///
    /// # Errors
    /// [`prometheus::Error`] when `registry` holds metrics of the same names.
    pub fn new(
        settings: Settings,
        issuers: Vec<Arc<dyn Issuer>>,
        store: Arc<dyn Store>,
        permit: Arc<dyn Permit>,
        clock: SharedClock,
        registry: &prometheus::Registry,
    ) -> Result<Self, prometheus::Error> {
        Self::observed(settings, issuers, store, permit, Arc::new(Nobody), clock, registry)
    }

    /// As [`new`](Self::new), with somebody who hears of every step.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn observed(
        settings: Settings,
        issuers: Vec<Arc<dyn Issuer>>,
        store: Arc<dyn Store>,
        permit: Arc<dyn Permit>,
        observer: Arc<dyn Observer>,
        clock: SharedClock,
        registry: &prometheus::Registry,
    ) -> Result<Self, prometheus::Error> {
        Ok(Self(Arc::new(Shared {
            lines: issuers.into_iter().map(|issuer| Arc::new(Line::new(issuer, Arc::clone(&clock)))).collect(),
            memory: Memory::new(settings.cache_bytes),
            failures: Failures::new(Arc::clone(&store), Arc::clone(&clock)),
            loads: Arc::default(),
            orders: Arc::default(),
            slots: Slots::new(settings.orders_in_flight),
            plan: Mutex::new(Plan::new()),
            moves: Moves::default(),
            releases: Releases::new(Arc::clone(&store), settings.released_keep),
            changed: Notify::new(),
            heartbeat: AtomicU64::new(0),
            scanned: watch::Sender::new(false),
            save_after: Mutex::new(Timestamp::EPOCH),
            tasks: TaskTracker::new(),
            metrics: Metrics::new(registry)?,
            settings,
            store,
            permit,
            observer,
            clock,
        })))
    }

    /// Does what nobody asks for: finishes orders that a crash cut off, and renews what is in the store. Ends when
    /// `stop` is cancelled.
    pub async fn run(&self, stop: CancellationToken) {
        renewal::run(&self.0, stop).await;
    }

    /// A certificate that is in memory, valid now, and may be served for `tenant`.
    pub fn find(&self, name: &Hostname, tenant: Option<&Tenant>) -> Option<Arc<Leaf>> {
        self.0.find(&name.into(), tenant)
    }

    /// A certificate from memory or the store that is valid now and may be served for `tenant`; never an order.
    ///
    /// # Errors
    /// [`LoadError`] when the store does not say whether there is one.
    pub async fn load(&self, name: &Hostname, tenant: Option<&Tenant>) -> Result<Option<Arc<Leaf>>, LoadError> {
        let name = &name.into();
        self.0.load(name, self.0.tenant_for(name, tenant)).await
    }

    /// A certificate from memory, the store, or an order for `tenant`. Waits for at most
    /// [`handshake_wait`](Settings::handshake_wait); an order goes on behind it. The caller has asked the gate.
    ///
    /// # Errors
    /// [`ObtainError`] says why there is none now.
    pub async fn obtain(&self, name: &Hostname, tenant: Option<&Tenant>) -> Result<Arc<Leaf>, ObtainError> {
        let name = &Subject::from(name);
        if let Some(leaf) = self.0.at_hand(name, tenant) {
            return Ok(leaf);
        }
        let (start, limit) = (Instant::now(), self.0.settings.handshake_wait);
        let obtained = tokio::time::timeout(limit, self.0.obtain(name, tenant)).await;
        let obtained = obtained.unwrap_or(Err(ObtainError::StillIssuing { waited: limit }));
        let result = obtained.as_ref().map_or_else(ObtainError::code, |_| "ok");
        self.0.metrics.wait(result, start.elapsed());
        obtained
    }

    /// As [`obtain`](Self::obtain), for a name or a wildcard that nobody waits for: it takes as long as an order takes.
    /// How many of these are under way at once is the caller's to bound.
    ///
    /// # Errors
    /// [`ObtainError`] says why there is none now.
    pub async fn obtain_ahead(&self, name: &Subject, tenant: Option<&Tenant>) -> Result<Arc<Leaf>, ObtainError> {
        self.0.obtain(name, tenant).await
    }

    /// Whether `name` has a certificate or an order in flight, as far as the plan knows: one look into memory. Names
    /// that are served under another name's certificate are not in it.
    pub fn is_planned(&self, name: &Subject) -> bool {
        self.0.plan.lock().state(name).is_some_and(|state| state != State::Missing)
    }

    /// Waits until everything in the store is planned. An error of the store ends the walk, and the wait too.
    pub async fn scanned(&self) {
        // The sender lives as long as this handle.
        let _ = self.0.scanned.subscribe().wait_for(|scanned| *scanned).await;
    }

    /// Lets go of a name that is not served any more: its certificate leaves memory, and its renewal the plan. What is
    /// in the store serves again if the name comes back to the same tenant, and is removed after
    /// [`released_keep`](Settings::released_keep). An order in flight goes on.
    pub fn release(&self, name: &Hostname, tenant: Option<&Tenant>) {
        let name = &Subject::from(name);
        self.0.memory.forget(name);
        self.0.plan.lock().forget(name);
        if self.0.permit.tenancy(name) != Tenancy::Nobodys {
            self.0.releases.release(name, tenant, self.0.clock.now());
        }
        self.0.changed.notify_one();
    }

    /// The name is about to be served for another tenant than so far. To be told before it is: from now on nothing is
    /// served that was ordered for the former one, or of which nobody knows for whom it was. All of that is removed, from
    /// memory at once and from the store within seconds; an order in flight for the former tenant is given up.
    pub fn hand_over(&self, name: &Hostname, to: &Tenant) {
        let name = &Subject::from(name);
        if self.0.permit.tenancy(name) != Tenancy::Nobodys {
            self.0.hand_over(name, to);
        }
    }

    /// The name is served for `tenant`: what another one has released is removed.
    pub fn welcome(&self, name: &Hostname, tenant: &Tenant) {
        self.0.welcome(&Subject::from(name), tenant);
    }

    /// Takes a certificate from elsewhere: stores it, serves it, plans its renewal.
    ///
    /// # Errors
    /// [`LoadError`] when it cannot be used for `name` or is not stored.
    pub async fn insert(&self, name: &Subject, bundle: &Bundle) -> Result<Arc<Leaf>, LoadError> {
        let leaf = parse(bundle)?;
        self.0.store.save(name, bundle).await.map_err(store_error)?;
        self.0.adopt(name, &leaf);
        Ok(leaf)
    }

    /// What is known about `name`, without changing anything.
    pub async fn explain(&self, name: &Hostname) -> CertificateView {
        self.0.explain(&name.into()).await
    }

    /// Gives the account at each CA another key, one after the other; what became of each. The account's URL where there
    /// is an account.
    pub async fn roll_over(&self) -> Vec<(IssuerKey, Result<Option<String>, RolloverError>)> {
        let mut rolled = Vec::new();
        for line in &self.0.lines {
            rolled.push((line.issuer.key().clone(), line.issuer.roll_over().await));
        }
        rolled
    }

    /// When the renewal loop last went round.
    pub fn heartbeat(&self) -> Timestamp {
        Timestamp::from_millis(self.0.heartbeat.load(Ordering::Relaxed))
    }
}

impl Shared {
    fn find(&self, name: &Subject, tenant: Option<&Tenant>) -> Option<Arc<Leaf>> {
        let found = self.at_hand(name, tenant);
        match found {
            Some(_) => self.metrics.hits.inc(),
            None => self.metrics.misses.inc(),
        }
        found
    }

    /// The name's own certificate, else that of the wildcard above it, unless the store holds one of the name's own: that
    /// one is read then.
    fn at_hand(&self, name: &Subject, tenant: Option<&Tenant>) -> Option<Arc<Leaf>> {
        let now = self.clock.now();
        self.memory.find(name, now).filter(|leaf| leaf.is_for(tenant)).or_else(|| {
            let wildcard = self.memory.find_wildcard(name, now).filter(|leaf| leaf.is_for(tenant))?;
            let own = self.plan.lock().state(name).is_some_and(|state| now < state.held_until());
            (!own).then_some(wildcard)
        })
    }

    /// From memory or the store; one read at a time per name, in a task of its own.
    async fn load(self: &Arc<Self>, name: &Subject, tenant: Option<&Tenant>) -> Loaded {
        if let Some(leaf) = self.at_hand(name, tenant) {
            return Ok(Some(leaf));
        }
        if self.memory.is_missing(name, self.clock.now()) {
            return Ok(None);
        }
        let (ticket, pilot) = self.loads.board(name);
        if let Some(pilot) = pilot {
            let (shared, name, tenant) = (Arc::clone(self), name.clone(), tenant.cloned());
            self.tasks.spawn(async move {
                let loaded = shared.read(&name, tenant.as_ref()).await;
                if let Ok(None) = loaded {
                    shared.memory.set_missing(&name, shared.clock.now());
                }
                pilot.land(loaded);
            });
        }
        let loaded = ticket.outcome().await.unwrap_or(Err(LoadError::Died))?;
        // The read may have been for somebody who asked before the name moved.
        Ok(loaded.filter(|leaf| leaf.is_for(tenant)))
    }

    /// The stored certificate if it is valid now and may be served for `tenant`; taken into memory and the plan.
    async fn read(self: &Arc<Self>, name: &Subject, tenant: Option<&Tenant>) -> Loaded {
        self.before_reading(name, tenant).await?;
        let Some(bundle) = self.store.load(name).await.map_err(store_error)? else { return Ok(None) };
        if !self.may_serve(name, &bundle, tenant) {
            return Ok(None);
        }
        let leaf = parse(&bundle)?;
        if !leaf.is_valid_at(self.clock.now()) || !leaf.serves(name) {
            return Ok(None);
        }
        Ok(self.adopt(name, &leaf).then_some(leaf))
    }

    async fn obtain(self: &Arc<Self>, name: &Subject, tenant: Option<&Tenant>) -> Obtained {
        let tenant = self.tenant_for(name, tenant);
        loop {
            if let Some(leaf) = self.load(name, tenant).await? {
                return Ok(leaf);
            }
            let (ticket, pilot) = self.orders.board(name);
            let own = pilot.is_some();
            if let Some(pilot) = pilot {
                self.start(name, tenant, pilot);
            }
            let outcome = ticket.outcome().await.unwrap_or(Err(ObtainError::Died));
            let outcome = outcome.and_then(|leaf| if leaf.is_for(tenant) { Ok(leaf) } else { Err(ObtainError::Moved) });
            match outcome {
                // That order was for another tenant, and is over now.
                Err(ObtainError::Moved) if !own => {}
                outcome => return outcome,
            }
        }
    }

    /// Starts the flight of a name without a certificate.
    fn start(self: &Arc<Self>, name: &Subject, tenant: Option<&Tenant>, pilot: Pilot<Obtained>) {
        let (shared, name, tenant) = (Arc::clone(self), name.clone(), tenant.cloned());
        self.tasks.spawn(async move {
            let obtained = shared.obtain_new(&name, tenant.as_ref()).await;
            pilot.land(obtained);
        });
    }

    /// The flight itself. It looks into the store once more, past everything that memory believes: only the store's own
    /// "there is none" leads to an order.
    async fn obtain_new(self: &Arc<Self>, name: &Subject, tenant: Option<&Tenant>) -> Obtained {
        if let Some(leaf) = self.at_hand(name, tenant) {
            return Ok(leaf);
        }
        if let Some(leaf) = self.read(name, tenant).await? {
            return Ok(leaf);
        }
        if self.moves.holds_up(name, tenant) || self.is_anothers(name, tenant) {
            return Err(ObtainError::Moved);
        }
        if let Some(leaf) = self.await_wildcard(name).await {
            return Ok(leaf);
        }
        if !self.store.can_keep(name) {
            return Err(ObtainError::Unstorable);
        }
        let failure = self.failures.load(name).await.map_err(store_error)?;
        let state = failure.as_deref().map_or(State::Missing, |failure| State::Backoff {
            until: failure.next_order(),
            held_until: Timestamp::EPOCH,
            attempts: failure.attempts,
        });
        let actions = self.apply_from(name, state, Event::Wanted);
        match (actions.first(), failure) {
            (Some(Action::Order(lane)), _) => self.order_new(name, tenant, *lane).await,
            (_, Some(failure)) => {
                self.apply_from(name, state, Event::Due);
                Err(ObtainError::BackingOff { until: failure.next_order(), failure })
            }
            (_, None) => Err(ObtainError::Busy),
        }
    }

    /// The certificate of the wildcard above `name`, if its order is in flight and comes to a good end: a name that it
    /// will cover needs none of its own.
    async fn await_wildcard(&self, name: &Subject) -> Option<Arc<Leaf>> {
        let above = Subject::above(&name.hostname()?)?;
        let ticket = self.orders.find(&above)?;
        ticket.outcome().await?.ok()
    }

    async fn order_new(self: &Arc<Self>, name: &Subject, tenant: Option<&Tenant>, lane: Lane) -> Obtained {
        let _cleanup = Grounded { shared: self, name };
        let obtained = self.order_in_turn(name, tenant, lane).await;
        if let Err(error) = &obtained {
            let until = self.until(error);
            self.apply(name, Event::Failed { until, attempts: attempts(error), held: None });
        }
        obtained
    }

    /// When an error lets a name be tried again.
    fn until(&self, error: &ObtainError) -> Timestamp {
        match error {
            ObtainError::BackingOff { until, .. } => *until,
            ObtainError::Failed { failure } => failure.next_order(),
            ObtainError::Busy
            | ObtainError::Died
            | ObtainError::Elsewhere
            | ObtainError::Load(_)
            | ObtainError::Moved
            | ObtainError::StillIssuing { .. }
            | ObtainError::Unstorable => self.clock.now() + renewal::STORE_RETRY,
        }
    }

    /// A certificate that stands in the store: served from now on, and planned where it is the name's own. Whether it is
    /// taken: one of a former tenant is not.
    fn adopt(&self, name: &Subject, leaf: &Arc<Leaf>) -> bool {
        let now = self.clock.now();
        // A wildcard's certificate is kept once for all names below it, so that its renewal reaches them all.
        let own = leaf.is_named(name);
        let keeper = if own { None } else { name.hostname().as_ref().and_then(Subject::above) };
        let keeper = keeper.as_ref().unwrap_or(name);
        let take = || {
            if leaf.is_valid_at(now) {
                self.memory.insert(keeper, Arc::clone(leaf));
            }
        };
        if !self.moves.admit(keeper, leaf, take) {
            return false;
        }
        // Whether the wildcard is renewed is not decided by who is served under it.
        if !own {
            return true;
        }
        let renew_at = validity(leaf).renew_at(name, None);
        let mut plan = self.plan.lock();
        if plan.state(name).is_none_or(|state| state.held_until() < leaf.not_after()) {
            plan.apply(name, Event::Found { not_after: leaf.not_after(), renew_at }, now);
            plan.ask_at(name, renewal::first_hint(name, now, Duration::ZERO));
            self.changed.notify_one();
        }
        true
    }

    fn tell(&self, name: &Subject, step: &Step<'_>) {
        self.observer.observe(name, step, self.clock.now());
    }

    fn apply(&self, name: &Subject, event: Event) -> Vec<Action> {
        let actions = self.plan.lock().apply(name, event, self.clock.now());
        self.changed.notify_one();
        actions
    }

    fn apply_from(&self, name: &Subject, state: State, event: Event) -> Vec<Action> {
        self.plan.lock().apply_from(name, state, event, self.clock.now())
    }

    fn show_sizes(&self) {
        let (bytes, entries) = self.memory.size();
        self.metrics.cache_bytes.set(gauge(bytes));
        self.metrics.cache_entries.set(gauge(entries));
        self.metrics.planned.set(gauge(self.plan.lock().len()));
        self.metrics.released.set(gauge(self.releases.len()));
        self.metrics.moving.set(gauge(self.moves.len()));
        self.metrics.unsaved.set(gauge(self.memory.unsaved_count()));
        self.metrics.waiting.set(gauge(self.slots.waiting()));
        self.metrics.in_flight.set(gauge(self.orders.len()));
        for line in &self.lines {
            self.metrics.budget(line.issuer.key(), line.budget.used());
        }
    }
}

/// Takes a name without a certificate out of the plan if its flight ends without a word: a panic, a cancelled task.
struct Grounded<'a> {
    shared: &'a Shared,
    name: &'a Subject,
}

impl Drop for Grounded<'_> {
    fn drop(&mut self) {
        let state = self.shared.plan.lock().state(self.name);
        if let Some(State::Issuing { held_until: Timestamp::EPOCH, since, .. }) = state {
            self.shared.apply(self.name, Event::Failed { until: since, attempts: 0, held: None });
        }
    }
}

fn validity(leaf: &Leaf) -> Validity {
    Validity { not_before: leaf.not_before(), not_after: leaf.not_after() }
}

fn parse(bundle: &Bundle) -> Result<Arc<Leaf>, LoadError> {
    Leaf::parse(bundle).map(Arc::new).map_err(|error| LoadError::Leaf(Arc::new(error)))
}

#[cfg(test)]
mod tests;
