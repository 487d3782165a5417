//! [`Slots`]: how many orders are in flight at once, and whose turn it is when one ends.

use std::{collections::VecDeque, sync::Arc};

use names::Tenant;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::turns::{Queue as _, Turns};

/// New names that may wait for a slot. At 16 orders per second and CA they would be through in ten minutes.
const QUEUE: usize = 10_000;
/// Of the slots, one in this many is kept for renewals.
const RENEWAL_SHARE: usize = 4;

/// The slots of orders in flight, all issuers together. New names and renewals have slots of their own, so that neither
/// can starve the other. Of new names that wait, tenants take turns, and within a tenant its registered domains.
pub(crate) struct Slots {
    new: Arc<Pool>,
    renewals: Arc<Semaphore>,
}

/// Too many names wait for a slot already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueFull;

/// The right to have an order for a new name in flight; given back on drop.
pub(crate) struct Slot(Option<Arc<Pool>>);

#[derive(Default)]
struct Pool(Mutex<Line>);

#[derive(Default)]
struct Line {
    free: usize,
    waiting: usize,
    turns: Turns<Option<Tenant>, Domains>,
}

/// Who waits, by registered domain.
type Domains = Turns<Arc<str>, VecDeque<oneshot::Sender<Slot>>>;

impl Slots {
    /// `in_flight` slots, at least one for each lane.
    pub(crate) fn new(in_flight: usize) -> Self {
        let renewals = (in_flight / RENEWAL_SHARE).max(1);
        let free = in_flight.saturating_sub(renewals).max(1);
        let new = Pool(Mutex::new(Line { free, ..Line::default() }));
        Self { new: Arc::new(new), renewals: Arc::new(Semaphore::new(renewals)) }
    }

    /// A slot for a new name of `tenant` below the registered domain `domain`; waits in a queue of bounded length.
    pub(crate) async fn wait(&self, tenant: Option<&Tenant>, domain: &str) -> Result<Slot, QueueFull> {
        let given = {
            let mut line = self.new.0.lock();
            if line.free > 0 {
                line.free -= 1;
                return Ok(Slot(Some(Arc::clone(&self.new))));
            }
            if line.waiting >= QUEUE {
                return Err(QueueFull);
            }
            line.waiting += 1;
            let (give, given) = oneshot::channel();
            line.turns.queue(tenant.cloned()).queue(domain.into()).push_back(give);
            given
        };
        // The other end is kept until it gives; if it were not, no order could be placed.
        given.await.map_err(|_| QueueFull)
    }

    /// A slot for a renewal, if one is free.
    pub(crate) fn try_renewal(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.renewals).try_acquire_owned().ok()
    }

    /// How many new names wait; those that have stopped waiting count until their turn.
    pub(crate) fn waiting(&self) -> usize {
        self.new.0.lock().waiting
    }
}

impl Drop for Slot {
    /// Gives it to the next who still waits. Not one inside the other: thousands may have stopped waiting.
    fn drop(&mut self) {
        let Some(pool) = self.0.take() else { return };
        let mut slot = Self(Some(Arc::clone(&pool)));
        loop {
            let next = pool.0.lock().next();
            let Some(give) = next else {
                slot.0 = None;
                return;
            };
            match give.send(slot) {
                Ok(()) => return,
                Err(back) => slot = back,
            }
        }
    }
}

impl Line {
    /// Who is next; when nobody waits, the slot is free.
    fn next(&mut self) -> Option<oneshot::Sender<Slot>> {
        let next = self.turns.pop();
        match next {
            Some(_) => self.waiting = self.waiting.saturating_sub(1),
            None => self.free += 1,
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    type Waiting<'a> = Pin<Box<dyn Future<Output = Result<Slot, QueueFull>> + 'a>>;

    fn poll(waiting: &mut Waiting<'_>) -> Option<Slot> {
        match waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(slot) => Some(slot.unwrap()),
            Poll::Pending => None,
        }
    }

    /// Somebody who waits in line.
    fn queue<'a>(slots: &'a Slots, tenant: &str, domain: &'a str) -> Waiting<'a> {
        let tenant: Tenant = tenant.parse().unwrap();
        let mut waiting: Waiting<'a> = Box::pin(async move { slots.wait(Some(&tenant), domain).await });
        assert!(poll(&mut waiting).is_none());
        waiting
    }

    #[tokio::test]
    async fn new_names_cannot_take_the_slots_of_renewals() {
        let slots = Slots::new(4);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(slots.wait(None, "a.example").await.unwrap());
        }
        let mut fourth = queue(&slots, "t", "a.example");
        assert_eq!(slots.waiting(), 1);
        assert!(slots.try_renewal().is_some());
        drop(held.pop());
        assert!(poll(&mut fourth).is_some());
        assert_eq!(slots.waiting(), 0);
    }

    #[tokio::test]
    async fn tenants_take_turns_however_many_names_one_of_them_has_waiting() {
        let slots = Slots::new(1);
        let held = slots.wait(None, "first.example").await.unwrap();
        let mut many: Vec<_> = (0..1000).map(|_| queue(&slots, "many", "many.example")).collect();
        let mut other = queue(&slots, "many", "other.example");
        let mut few = queue(&slots, "few", "few.example");
        drop(held);
        let slot = poll(&mut many[0]).expect("who came first");
        drop(slot);
        let slot = poll(&mut few).expect("then the other tenant");
        drop(slot);
        let slot = poll(&mut other).expect("then the tenant's other domain");
        drop(slot);
        assert!(poll(&mut many[1]).is_some());
    }

    #[tokio::test]
    async fn a_slot_passes_over_those_who_have_stopped_waiting() {
        let slots = Slots::new(1);
        let held = slots.wait(None, "first.example").await.unwrap();
        let gone: Vec<_> = (0..QUEUE - 2).map(|_| queue(&slots, "t", "a.example")).collect();
        let unaware = queue(&slots, "t", "a.example");
        let mut last = queue(&slots, "t", "a.example");
        assert!(matches!(slots.wait(None, "b.example").await, Err(QueueFull)));
        drop(gone);
        drop(held);
        // It was given the slot and goes without looking.
        assert!(poll(&mut last).is_none());
        drop(unaware);
        drop(poll(&mut last).expect("the slot is not lost"));
        assert_eq!(slots.waiting(), 0);
        assert!(slots.wait(None, "b.example").await.is_ok());
    }
}
