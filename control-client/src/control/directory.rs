//! [`Directory`]: which names the control plane knows, and how sure that is.
//!
//! One writer (the feed's task) and any number of readers. A reader takes a pointer and one read lock of a 256th of the
//! table. A deletion is first entered among the deleted names and then taken out of the known ones, a return the other
//! way round: no reader ever finds a name in neither.

mod draft;

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use clock::{SharedClock, Timestamp};
use control_api::{Change, ChangeKind, Route};
use names::{Hostname, Tenant};
use parking_lot::{Mutex, RwLock};

pub(super) use self::draft::Draft;
use super::{
    index::Index,
    known::Known,
    listener::{Event, Listener},
    metrics::Metrics,
    origins::Origins,
    settings::ControlLimits,
    tombs::Tombs,
};
use crate::{Admitted, Freshness, Origin, Refusal, Whose, site::SiteError};

/// Whoever remembers answers about names.
pub(crate) trait Forget: Send + Sync {
    /// The name has changed.
    fn changed(&self, name: &Hostname);
    /// The name is gone for good.
    fn gone(&self, name: &Hostname);
}

/// How far the feed was followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) epoch: u64,
    pub(super) seq: u64,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applied {
    /// It cannot be used.
    Bad,
    /// The name is gone.
    Deleted,
    /// No room for another name.
    Full,
    /// Something newer is known.
    Outdated,
    /// It is of a kind that this edge does not know.
    Unknown,
    /// The name is served like that.
    Upserted,
}

impl Applied {
    /// For counters and logs.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Deleted => "delete",
            Self::Full => "full",
            Self::Outdated => "outdated",
            Self::Unknown => "unknown",
            Self::Upserted => "upsert",
        }
    }
}

/// What the control plane says of a name beside what is served there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id of the connection.
    pub connection_id: Option<Arc<str>>,
    /// The name is verified and its DNS points here: a certificate can be had.
    pub pointing: bool,
    /// Whose the name is, where that was told.
    pub tenant: Option<Tenant>,
}

/// The known names. Clones are handles to the same ones.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    index: ArcSwap<Index>,
    tombs: RwLock<Tombs>,
    origins: Origins,
    position: Mutex<Option<Position>>,
    /// Last contact of this process, in milliseconds since the epoch; 0 before the first.
    contact: AtomicU64,
    /// Last contact of the process before.
    contact_before: AtomicU64,
    /// Counts changes of what is served.
    version: AtomicU64,
    gates: Mutex<Vec<Weak<dyn Forget>>>,
    listener: Option<Arc<dyn Listener>>,
    /// Set when the feed starts: what is loaded from disk before is no news.
    live: AtomicBool,
    limits: Arc<ControlLimits>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
}

impl Directory {
    pub(super) fn new(
        limits: Arc<ControlLimits>,
        listener: Option<Arc<dyn Listener>>,
        clock: SharedClock,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self(Arc::new(Inner {
            index: ArcSwap::default(),
            tombs: RwLock::new(Tombs::new(limits.deleted)),
            origins: Origins::default(),
            position: Mutex::default(),
            contact: AtomicU64::new(0),
            contact_before: AtomicU64::new(0),
            version: AtomicU64::new(0),
            gates: Mutex::default(),
            listener,
            live: AtomicBool::new(false),
            limits,
            clock,
            metrics,
        }))
    }

    /// How many names are known.
    pub fn names(&self) -> usize {
        self.0.index.load().len()
    }

    /// Another number after every change of what is served. A connection that remembers it can tell for the price of
    /// one load that its site still stands, and admit its name again when it may not.
    pub fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    /// What the control plane says of a name beside what is served there, however old that is.
    pub fn find(&self, name: &Hostname) -> Option<Listed> {
        let listed = |known: &Known| Listed {
            connection_id: known.connection_id(),
            pointing: known.pointing(),
            tenant: known.tenant(),
        };
        self.0.index.load().find(name, listed)
    }

    /// Whose a name is, as far as was ever told; `None` when nothing was.
    pub(crate) fn whose(&self, name: &Hostname) -> Option<Whose> {
        let known = self.0.index.load().find(name, |known| known.tenant().into());
        known.or_else(|| self.tomb(name).map(|_| Whose::Gone))
    }

    /// Visits every name that is verified and points here, one after the other; blocks for about a second for a million
    /// names. No lock is held while `visit` works.
    pub fn each_pointing(&self, mut visit: impl FnMut(Hostname)) {
        self.0.index.load_full().each(|known| {
            if let Some(name) = known.hostname().filter(|_| known.pointing()) {
                visit(name);
            }
        });
    }

    /// The last contact with the control plane, that of an earlier process included.
    pub fn last_contact(&self) -> Option<Timestamp> {
        let latest = self.own_contact().max(self.0.contact_before.load(Ordering::Relaxed));
        (latest > 0).then(|| Timestamp::from_millis(latest))
    }

    /// What the gate says without a question; `None` leaves the name to the ask endpoint.
    pub(crate) fn admit(
        &self,
        name: &Hostname,
        default_origin: Option<&Origin>,
        now: Timestamp,
    ) -> Option<Result<Admitted, Refusal>> {
        let outcome = self.look_up(name, default_origin, now);
        match &outcome {
            Some(Ok(_)) => self.0.metrics.known.inc(),
            Some(Err(_)) => self.0.metrics.gone.inc(),
            None => {}
        }
        outcome
    }

    /// As [`admit`](Self::admit), uncounted.
    pub(crate) fn look_up(
        &self,
        name: &Hostname,
        default_origin: Option<&Origin>,
        now: Timestamp,
    ) -> Option<Result<Admitted, Refusal>> {
        let freshness = self.freshness(now)?;
        let known = self.0.index.load().find(name, |known| known.site(name, default_origin));
        match (known, freshness) {
            (Some(site), _) => Some(Ok(Admitted { site: Arc::new(site), freshness })),
            (None, Freshness::Fresh) => self.tomb(name).map(|_| Err(Refusal::Denied)),
            (None, Freshness::Stale) => None,
        }
    }

    /// The lowest generation that an answer of the ask endpoint must have: above that of the name's deletion.
    pub(crate) fn floor(&self, name: &Hostname) -> u64 {
        self.tomb(name).map_or(0, |generation| generation.saturating_add(1))
    }

    /// `changed` and `gone` are called for every change from now on, as long as the gate lives.
    pub(crate) fn attach(&self, gate: Weak<dyn Forget>) {
        let mut gates = self.0.gates.lock();
        gates.retain(|gate| gate.strong_count() > 0);
        gates.push(gate);
    }

    /// How much the known names may be relied on; `None` when not at all.
    fn freshness(&self, now: Timestamp) -> Option<Freshness> {
        let age = now.since(self.last_contact()?);
        // What an earlier process heard makes nothing fresh: names may have gone while there was no process.
        let own = self.own_contact() > 0;
        match (own && age <= self.0.limits.fresh, age <= self.0.limits.stale) {
            (true, _) => Some(Freshness::Fresh),
            (false, true) => Some(Freshness::Stale),
            (false, false) => None,
        }
    }

    fn own_contact(&self) -> u64 {
        self.0.contact.load(Ordering::Relaxed)
    }

    fn tomb(&self, name: &Hostname) -> Option<u64> {
        self.0.tombs.read().find(name)
    }

    /// How far the feed was followed; `None` before the first snapshot.
    pub(super) fn position(&self) -> Option<Position> {
        *self.0.position.lock()
    }

    /// Everything up to here is in the names.
    pub(super) fn advance(&self, position: Position) {
        *self.0.position.lock() = Some(position);
    }

    /// The control plane was heard of now.
    pub(super) fn touch(&self) {
        let now = self.0.clock.now();
        self.0.contact.store(now.as_millis(), Ordering::Relaxed);
        self.0.metrics.contact(now);
    }

    /// An earlier process heard of it then.
    pub(super) fn touched_before(&self, at_ms: u64) {
        self.0.contact_before.fetch_max(at_ms, Ordering::Relaxed);
    }

    /// Makes one change live.
    pub(super) fn apply(&self, change: &Change) -> Applied {
        let applied = match &change.kind {
            ChangeKind::Delete => self.delete(&change.hostname, change.generation),
            ChangeKind::Unknown => Applied::Unknown,
            ChangeKind::Upsert(route) => self.upsert(&change.hostname, change.generation, route),
        };
        self.gauge();
        applied
    }

    /// Enters a deleted name as it stands on disk.
    pub(super) fn bury(&self, name: &Hostname, generation: u64) {
        self.0.tombs.write().put(name, generation);
    }

    fn upsert(&self, name: &Hostname, generation: u64, route: &Route) -> Applied {
        let index = self.0.index.load();
        let known = index.find(name, Known::generation);
        if known.is_some_and(|known| generation < known) || self.tomb(name).is_some_and(|tomb| generation <= tomb) {
            return Applied::Outdated;
        }
        if known.is_none() && index.len() >= self.0.limits.names {
            return Applied::Full;
        }
        let Ok(new) = self.pack(name, generation, route) else { return Applied::Bad };
        if let Some(to) = index.find(name, |old| old.moves_to(&new)).flatten() {
            self.tell_moving(name, to);
        }
        let old = index.put(new.clone());
        self.0.tombs.write().remove(name);
        if !old.is_some_and(|old| old.same(&new)) {
            self.tell_known(name, &new);
        }
        Applied::Upserted
    }

    fn delete(&self, name: &Hostname, generation: u64) -> Applied {
        let index = self.0.index.load();
        if index.find(name, Known::generation).is_some_and(|known| generation < known) {
            return Applied::Outdated;
        }
        self.bury(name, generation);
        let tenant = index.take(name).and_then(|known| known.tenant());
        self.tell_gone(name, tenant);
        Applied::Deleted
    }

    fn pack(&self, name: &Hostname, generation: u64, route: &Route) -> Result<Known, SiteError> {
        Known::pack(name, generation, route, &self.0.origins)
    }

    fn tell_known(&self, name: &Hostname, known: &Known) {
        self.0.version.fetch_add(1, Ordering::Release);
        self.each_gate(|gate| gate.changed(name));
        self.hear(|| Event::Known { name: name.clone(), pointing: known.pointing(), tenant: known.tenant() });
    }

    /// Before it is live.
    fn tell_moving(&self, name: &Hostname, to: Tenant) {
        self.hear(|| Event::Moving { name: name.clone(), to });
    }

    fn tell_gone(&self, name: &Hostname, tenant: Option<Tenant>) {
        self.0.version.fetch_add(1, Ordering::Release);
        self.each_gate(|gate| gate.gone(name));
        self.hear(|| Event::Gone { name: name.clone(), tenant });
    }

    fn each_gate(&self, tell: impl Fn(&dyn Forget)) {
        let gates: Vec<_> = self.0.gates.lock().iter().filter_map(Weak::upgrade).collect();
        gates.iter().for_each(|gate| tell(&**gate));
    }

    fn hear(&self, event: impl FnOnce() -> Event) {
        let listener = self.0.listener.as_ref().filter(|_| self.0.live.load(Ordering::Acquire));
        if listener.is_some_and(|listener| !listener.hear(event())) {
            self.0.metrics.events_lost.inc();
        }
    }

    /// From now on the listener hears of changes.
    pub(super) fn go_live(&self) {
        self.0.live.store(true, Ordering::Release);
    }

    /// Every known name.
    pub(super) fn each(&self, visit: impl FnMut(Known)) {
        self.0.index.load_full().each(visit);
    }

    /// Deleted names with their generations, oldest first.
    pub(super) fn buried(&self) -> Vec<(Hostname, u64)> {
        self.0.tombs.read().all()
    }

    pub(super) fn limits(&self) -> &Arc<ControlLimits> {
        &self.0.limits
    }

    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    pub(super) fn clock(&self) -> &SharedClock {
        &self.0.clock
    }

    fn gauge(&self) {
        let whole = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.0.metrics.names.set(whole(self.names()));
        self.0.metrics.deleted.set(whole(self.0.tombs.read().len()));
    }
}
