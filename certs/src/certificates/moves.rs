//! [`Moves`]: names that belong to another tenant than their certificates were ordered for.
//!
//! Certificates and keys belong to the tenant that they were ordered for. A move is *told* before it is live at the gate;
//! from then on nothing of the former tenant's is served, taken into memory, or left to be resumed, and an order that is
//! in flight for it is given up. What is stored is removed at once, and looked for once more a little later: what was
//! just being written is not there at the first look.
//!
//! A certificate of another tenant that is met without such news is *suspected*: in a fleet, another edge may have heard
//! of a move before this one, and ordered for the new tenant. It is not served, and removed when the gate still says the
//! same after a while.

use std::{collections::HashMap, time::Duration};

use clock::Timestamp;
use names::{Subject, Tenant};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{Leaf, Leaving};

/// When a store is looked at once more.
const AGAIN: Duration = Duration::from_secs(10);
/// How long a certificate of another tenant waits for news: several times as long as news take.
const SUSPECTED: Duration = Duration::from_secs(30);
/// A store that failed is tried again after this time.
const RETRY: Duration = Duration::from_secs(5);

/// All moves that are not over, and whom the orders in flight are for.
#[derive(Default)]
pub(super) struct Moves(Mutex<Table>);

#[derive(Default)]
struct Table {
    moves: HashMap<Subject, Move>,
    orders: HashMap<Subject, Order>,
}

/// A name with a tenant of its own time.
#[derive(Debug, Clone)]
struct Move {
    to: Tenant,
    stage: Stage,
    due: Timestamp,
}

/// How far a move has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A certificate of another tenant was met; nobody has told of a move.
    Suspected,
    /// Nothing is removed yet.
    Told,
    /// What was stored is gone; what was being written may not be.
    Purged,
}

struct Order {
    tenant: Option<Tenant>,
    moved: CancellationToken,
}

/// An order in flight, for as long as it lives.
pub(super) struct InFlight<'a> {
    moves: &'a Moves,
    name: &'a Subject,
    moved: CancellationToken,
}

/// A store that is to be looked through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Purge {
    pub(super) name: Subject,
    pub(super) to: Tenant,
    pub(super) leaving: Leaving,
    /// Nobody has told of the move: the gate is to be heard first.
    pub(super) suspected: bool,
}

impl Moves {
    /// The name is `to`'s. Orders in flight for others are given up.
    pub(super) fn tell(&self, name: &Subject, to: &Tenant, now: Timestamp) {
        let mut table = self.0.lock();
        table.moves.insert(name.clone(), Move { to: to.clone(), stage: Stage::Told, due: now });
        let theirs = table.orders.get(name).filter(|order| order.tenant.as_ref() != Some(to));
        if let Some(order) = theirs {
            order.moved.cancel();
        }
    }

    /// A certificate of somebody else's stands in the store for a name that is said to be `to`'s.
    pub(super) fn suspect(&self, name: &Subject, to: &Tenant, now: Timestamp) {
        let fresh = || Move { to: to.clone(), stage: Stage::Suspected, due: now + SUSPECTED };
        let mut table = self.0.lock();
        let known = table.moves.entry(name.clone()).or_insert_with(fresh);
        if known.stage == Stage::Suspected && known.to != *to {
            *known = fresh();
        }
    }

    /// Whether nothing is to be ordered for this tenant now: the name is another's, or may be.
    pub(super) fn holds_up(&self, name: &Subject, tenant: Option<&Tenant>) -> bool {
        let table = self.0.lock();
        table.bars(name, tenant) || table.moves.get(name).is_some_and(|known| known.stage == Stage::Suspected)
    }

    /// Lets `take` take a certificate into memory, unless it is of a former tenant.
    pub(super) fn admit(&self, name: &Subject, leaf: &Leaf, take: impl FnOnce()) -> bool {
        // The lock is held meanwhile: whoever tells of a move afterwards finds in memory what is to be forgotten.
        let table = self.0.lock();
        let admitted = !table.expels(name, leaf);
        if admitted {
            take();
        }
        admitted
    }

    /// Whether a certificate is of a former tenant.
    pub(super) fn expels(&self, name: &Subject, leaf: &Leaf) -> bool {
        self.0.lock().expels(name, leaf)
    }

    /// An order begins; `None` when it would be for a former tenant.
    pub(super) fn board<'a>(&'a self, name: &'a Subject, tenant: Option<&Tenant>) -> Option<InFlight<'a>> {
        let mut table = self.0.lock();
        if table.bars(name, tenant) {
            return None;
        }
        let moved = CancellationToken::new();
        table.orders.insert(name.clone(), Order { tenant: tenant.cloned(), moved: moved.clone() });
        Some(InFlight { moves: self, name, moved })
    }

    /// What of a name's is to be removed before anything of it is read.
    pub(super) fn before_reading(&self, name: &Subject, now: Timestamp) -> Option<Purge> {
        let table = self.0.lock();
        let known = table.moves.get(name)?;
        match known.stage {
            Stage::Told => Some(known.purge(name)),
            Stage::Suspected if known.due <= now => Some(known.purge(name)),
            Stage::Purged | Stage::Suspected => None,
        }
    }

    /// What is to be removed now.
    pub(super) fn due(&self, now: Timestamp) -> Vec<Purge> {
        let mut table = self.0.lock();
        let due = table.moves.iter_mut().filter(|(_, known)| known.due <= now);
        let due = due.map(|(name, known)| {
            // Until its end is told, nobody else begins it.
            known.due = now + RETRY;
            known.purge(name)
        });
        due.collect()
    }

    /// A removal has come to its end.
    pub(super) fn purged(&self, purge: &Purge, now: Timestamp) {
        let mut table = self.0.lock();
        let Some(known) = table.moves.get_mut(&purge.name).filter(|known| known.to == purge.to) else { return };
        match known.stage {
            Stage::Purged if purge.leaving == Leaving::Others(purge.to.clone()) => {
                drop(table.moves.remove(&purge.name))
            }
            Stage::Purged => {}
            Stage::Suspected | Stage::Told => (known.stage, known.due) = (Stage::Purged, now + AGAIN),
        }
    }

    /// Something of a former tenant was stored behind the last look.
    pub(super) fn renew(&self, name: &Subject, now: Timestamp) {
        if let Some(known) = self.0.lock().moves.get_mut(name) {
            (known.stage, known.due) = (Stage::Told, now);
        }
    }

    /// A suspicion was wrong.
    pub(super) fn clear(&self, name: &Subject) {
        let mut table = self.0.lock();
        if table.moves.get(name).is_some_and(|known| known.stage == Stage::Suspected) {
            table.moves.remove(name);
        }
    }

    /// When to look again.
    pub(super) fn next(&self) -> Timestamp {
        self.0.lock().moves.values().map(|known| known.due).min().unwrap_or(Timestamp::NEVER)
    }

    /// How many are not over.
    pub(super) fn len(&self) -> usize {
        self.0.lock().moves.len()
    }
}

impl Table {
    fn bars(&self, name: &Subject, tenant: Option<&Tenant>) -> bool {
        let told = self.moves.get(name).filter(|known| known.stage != Stage::Suspected);
        told.is_some_and(|known| !Tenant::may_share(Some(&known.to), tenant))
    }

    fn expels(&self, name: &Subject, leaf: &Leaf) -> bool {
        let Some(known) = self.moves.get(name) else { return false };
        match leaf.tenant() {
            Some(tenant) => *tenant != known.to,
            // As long as it was not looked through, the store may hold what nobody is noted for.
            None => known.stage == Stage::Told,
        }
    }
}

impl Move {
    fn purge(&self, name: &Subject) -> Purge {
        let leaving = match self.stage {
            Stage::Told => Leaving::OthersAndUnknown(self.to.clone()),
            Stage::Purged | Stage::Suspected => Leaving::Others(self.to.clone()),
        };
        Purge { name: name.clone(), to: self.to.clone(), leaving, suspected: self.stage == Stage::Suspected }
    }
}

impl InFlight<'_> {
    /// Ends when the order is not wanted any more, since the name is another tenant's.
    pub(super) async fn moved(&self) {
        self.moved.cancelled().await;
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.moves.0.lock().orders.remove(self.name);
    }
}
