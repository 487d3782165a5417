//! How many orders may be placed, and how many at once.
//!
//! A CA's published limit on orders is modelled as a token bucket, so that we wait here instead of being refused there:
//! `orders` at once, then one every `per / orders`. Renewals have a bucket of their own, or none where the CA exempts
//! them, and slots of their own, so that new names can never starve them, nor they new names. Waiting is bounded in
//! time and in number.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use clock::{SharedClock, Timestamp};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{OrderLimit, life::Lane};

/// Longest wait for a token; past it the caller is told when to come back, and its slot goes to another name.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// New names that may wait for a slot. At 16 orders per second and CA they would be through in ten minutes.
const QUEUE: usize = 10_000;
/// Of the slots, one in this many is kept for renewals.
const RENEWAL_SHARE: usize = 4;

/// A token bucket on timestamps: only the moment at which it will be full again is kept.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Time in which one token comes back.
    every: Duration,
    /// How far `full_at` may lie ahead before the bucket is empty.
    depth: Duration,
    full_at: Timestamp,
}

impl Bucket {
    fn new(limit: OrderLimit) -> Self {
        let every = limit.per / limit.orders.max(1);
        Self { every, depth: limit.per.saturating_sub(every), full_at: Timestamp::EPOCH }
    }

    /// Reserves a token; the moment from which it may be used, or, if that is later than `latest`, that moment as an
    /// error and no reservation.
    fn reserve(&mut self, now: Timestamp, latest: Timestamp) -> Result<Timestamp, Timestamp> {
        let start = now.max(self.full_at - self.depth);
        match start <= latest {
            true => {
                self.full_at = self.full_at.max(now) + self.every;
                Ok(start)
            }
            false => Err(start),
        }
    }
}

/// The order budget of one issuer.
pub(crate) struct Budget {
    clock: SharedClock,
    new: Option<Mutex<Bucket>>,
    renewals: Option<Mutex<Bucket>>,
}

impl Budget {
    /// The budget that `limit` allows; without one everything goes at once.
    pub(crate) fn new(limit: Option<OrderLimit>, clock: SharedClock) -> Self {
        let bucket = || limit.map(|limit| Mutex::new(Bucket::new(limit)));
        let exempt = limit.is_some_and(|limit| limit.renewals_exempt);
        Self { clock, new: bucket(), renewals: if exempt { None } else { bucket() } }
    }

    /// Waits for a token, at most [`LONGEST_WAIT`]; the error is when one will be there.
    pub(crate) async fn token(&self, lane: Lane) -> Result<(), Timestamp> {
        let bucket = match lane {
            Lane::New => &self.new,
            Lane::Retry | Lane::Renewal => &self.renewals,
        };
        let Some(bucket) = bucket else { return Ok(()) };
        let now = self.clock.now();
        let start = bucket.lock().reserve(now, now + LONGEST_WAIT)?;
        self.clock.sleep_until(start).await;
        Ok(())
    }
}

/// The slots of orders in flight, all issuers together.
pub(crate) struct Slots {
    new: Arc<Semaphore>,
    renewals: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Too many names wait for a slot already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueFull;

impl Slots {
    /// `in_flight` slots, at least one for each lane.
    pub(crate) fn new(in_flight: usize) -> Self {
        let renewals = (in_flight / RENEWAL_SHARE).max(1);
        let new = in_flight.saturating_sub(renewals).max(1);
        Self {
            new: Arc::new(Semaphore::new(new)),
            renewals: Arc::new(Semaphore::new(renewals)),
            waiting: AtomicUsize::new(0),
        }
    }

    /// A slot for a new name; waits in a queue of bounded length, first come first served.
    pub(crate) async fn wait(&self) -> Result<OwnedSemaphorePermit, QueueFull> {
        if let Ok(slot) = Arc::clone(&self.new).try_acquire_owned() {
            return Ok(slot);
        }
        let _place = Place::take(&self.waiting)?;
        // The semaphore is never closed; if it were, no order could be placed.
        Arc::clone(&self.new).acquire_owned().await.map_err(|_| QueueFull)
    }

    /// A slot for a renewal, if one is free.
    pub(crate) fn try_renewal(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.renewals).try_acquire_owned().ok()
    }

    /// How many new names wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// A place in the queue, given back on drop.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Result<Self, QueueFull> {
        let place = Self(waiting);
        match waiting.fetch_add(1, Ordering::Relaxed) < QUEUE {
            true => Ok(place),
            false => Err(QueueFull),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use clock::ManualClock;

    use super::*;

    const LETS_ENCRYPT: OrderLimit =
        OrderLimit { orders: 300, per: Duration::from_secs(3 * 3600), renewals_exempt: true };

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    #[test]
    fn three_hundred_orders_go_at_once_and_then_one_every_36_seconds() {
        let mut bucket = Bucket::new(LETS_ENCRYPT);
        let now = at(1_000_000);
        for _ in 0..300 {
            assert_eq!(bucket.reserve(now, now), Ok(now));
        }
        let next = now + Duration::from_secs(36);
        assert_eq!(bucket.reserve(now, now), Err(next));
        assert_eq!(bucket.reserve(now, now + LONGEST_WAIT), Err(next), "a refusal reserves nothing");
        assert_eq!(bucket.reserve(next, next), Ok(next));
        assert_eq!(bucket.reserve(next, next), Err(next + Duration::from_secs(36)));
    }

    #[test]
    fn no_window_of_three_hours_after_the_first_sees_more_than_the_limit() {
        let mut bucket = Bucket::new(LETS_ENCRYPT);
        let mut granted = Vec::new();
        for minute in 0..2000 {
            let now = at(1_000_000 + minute * 60);
            while bucket.reserve(now, now).is_ok() {
                granted.push(now);
            }
        }
        // The CA's own bucket of the same shape never refuses what ours grants.
        assert!(granted.len() <= 300 + (2000 * 60) / 36);
        for window in granted[300..].windows(301) {
            assert!(window[300].since(window[0]) >= LETS_ENCRYPT.per);
        }
    }

    #[tokio::test]
    async fn an_empty_bucket_holds_new_names_and_not_exempt_renewals() {
        let clock = Arc::new(ManualClock::new(at(1_000_000)));
        let budget = Budget::new(Some(OrderLimit { orders: 1, ..LETS_ENCRYPT }), Arc::clone(&clock) as SharedClock);
        assert_eq!(budget.token(Lane::New).await, Ok(()));
        assert_eq!(budget.token(Lane::New).await, Err(at(1_000_000 + 3 * 3600)));
        for _ in 0..100 {
            assert_eq!(budget.token(Lane::Renewal).await, Ok(()));
        }
        clock.advance(Duration::from_secs(3 * 3600));
        assert_eq!(budget.token(Lane::New).await, Ok(()));
    }

    #[tokio::test]
    async fn renewals_that_are_not_exempt_have_a_bucket_of_their_own() {
        let clock = Arc::new(ManualClock::new(at(1_000_000)));
        let limit = OrderLimit { orders: 1, renewals_exempt: false, ..LETS_ENCRYPT };
        let budget = Budget::new(Some(limit), clock);
        assert_eq!(budget.token(Lane::New).await, Ok(()));
        assert_eq!(budget.token(Lane::Renewal).await, Ok(()));
        assert!(budget.token(Lane::Renewal).await.is_err());
    }

    #[tokio::test]
    async fn new_names_cannot_take_the_slots_of_renewals() {
        let slots = Slots::new(4);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(slots.wait().await.unwrap());
        }
        let mut fourth = Box::pin(slots.wait());
        assert!(futures_poll_once(&mut fourth).await.is_none());
        assert_eq!(slots.waiting(), 1);
        assert!(slots.try_renewal().is_some());
        drop(held.pop());
        drop(fourth.await.unwrap());
        assert_eq!(slots.waiting(), 0);
    }

    async fn futures_poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = std::future::ready(()) => None,
        }
    }
}
