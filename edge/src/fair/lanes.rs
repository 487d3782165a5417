//! Requests in flight for one hostname, and the bytes of their bodies: a site that is slow, or very busy, leaves room for
//! the others.
//!
//! A hostname's lane is found when a connection is admitted, and kept with the admission; a request counts itself on it,
//! and nothing is looked up. A lane is here while a connection of its hostname is; what it owes when it goes is kept in a
//! table of fixed size, or those who come one after the other would each find a full bucket.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use names::Hostname;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    bandwidth::{Bandwidth, Meter},
    bucket::Buckets,
};

/// Parts with a lock each: connections that are admitted at once rarely meet.
const SHARDS: usize = 16;

/// The lanes of all hostnames.
#[derive(Debug)]
pub struct Lanes {
    shards: [Mutex<HashMap<Hostname, Weak<Lane>>>; SHARDS],
    hasher: RandomState,
    began: Instant,
    /// What hostnames owe that have no lane; made when the first of them does.
    debts: OnceLock<Buckets>,
}

/// One hostname's requests in flight.
#[derive(Debug)]
pub struct Lane {
    name: Hostname,
    count: AtomicUsize,
    meter: Meter,
    lanes: Arc<Lanes>,
}

/// A request on its lane. Dropped: it is over.
#[derive(Debug)]
pub struct OnLane(Arc<Lane>);

impl Default for Lanes {
    fn default() -> Self {
        Self { shards: Default::default(), hasher: RandomState::new(), began: Instant::now(), debts: OnceLock::new() }
    }
}

impl Lanes {
    /// The lane of a hostname.
    pub fn find(self: &Arc<Self>, name: &Hostname) -> Arc<Lane> {
        let mut shard = self.shard(name).lock();
        if let Some(lane) = shard.get(name).and_then(Weak::upgrade) {
            return lane;
        }
        let meter = Meter::new(self.debts.get().map_or(0, |debts| debts.kept(name)));
        let lane = Arc::new(Lane { name: name.clone(), count: AtomicUsize::new(0), meter, lanes: self.clone() });
        shard.insert(name.clone(), Arc::downgrade(&lane));
        lane
    }

    fn shard(&self, name: &Hostname) -> &Mutex<HashMap<Hostname, Weak<Lane>>> {
        #[expect(clippy::indexing_slicing, reason = "the remainder is below the length, which is a constant")]
        &self.shards[self.hasher.hash_one(name) as usize % SHARDS]
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Lane {
    /// Counts a request, unless `most` are in flight.
    pub fn enter(self: &Arc<Self>, most: usize) -> Option<OnLane> {
        // Counted first: of two that come at once for the last place one may be turned away, never both let in.
        let before = self.count.fetch_add(1, Ordering::AcqRel);
        let on = OnLane(self.clone());
        (before < most).then_some(on)
    }

    /// Charges bytes of a body to the hostname. How long they have to wait; none when they may pass at once.
    pub fn charge(&self, bytes: usize, bandwidth: Bandwidth) -> Option<Duration> {
        let now = self.lanes.now();
        let wait = self.meter.charge(bytes, bandwidth, now).saturating_sub(now);
        (wait > 0).then(|| Duration::from_nanos(wait))
    }

    /// These bytes were charged and do not pass.
    pub fn give_back(&self, bytes: usize, bandwidth: Bandwidth) {
        self.meter.give_back(bytes, bandwidth);
    }
}

impl OnLane {
    /// The lane.
    pub fn lane(&self) -> &Arc<Lane> {
        &self.0
    }
}

impl Drop for OnLane {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let owes = Some(self.meter.full_at()).filter(|full_at| *full_at > self.lanes.now());
        let mut shard = self.lanes.shard(&self.name).lock();
        // Another lane may have been made for the name since the last reference to this one went.
        let heir = shard.get(&self.name).and_then(Weak::upgrade);
        if heir.is_none() {
            shard.remove(&self.name);
            if let Some(full_at) = owes {
                self.lanes.debts.get_or_init(Buckets::new).keep(&self.name, full_at);
            }
        }
        if shard.is_empty() {
            shard.shrink_to(0);
        }
        drop(shard);
        // Only now: it may be the last reference by now, and then this is done for it too.
        if let Some((heir, full_at)) = heir.zip(owes) {
            heir.meter.owe(full_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Hostname {
        Hostname::parse(text).unwrap()
    }

    #[test]
    fn a_hostname_has_one_lane_however_many_connections_it_has() {
        let lanes = Arc::new(Lanes::default());
        let (first, second) = (lanes.find(&name("a.test")), lanes.find(&name("a.test")));
        let requests = [first.enter(2).unwrap(), second.enter(2).unwrap()];
        assert!(first.enter(2).is_none());
        assert!(lanes.find(&name("b.test")).enter(2).is_some(), "others have their own");
        drop(requests);
        assert!(second.enter(1).is_some(), "a request that was turned away left no trace");
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_one_after_the_other_waits_as_those_do_who_come_at_once() {
        let (lanes, rate) = (Arc::new(Lanes::default()), Bandwidth::per_second(1000).unwrap());
        let charge = |bytes| lanes.find(&name("a.test")).charge(bytes, rate);
        assert_eq!(charge(1000), None);
        assert_eq!(charge(500), Some(Duration::from_millis(500)), "its bucket was kept");
        assert_eq!(lanes.find(&name("b.test")).charge(1000, rate), None, "others have their own");
        let (first, second) = (lanes.find(&name("a.test")), lanes.find(&name("a.test")));
        assert_eq!(first.charge(500, rate), Some(Duration::from_secs(1)));
        drop(first);
        assert_eq!(second.charge(500, rate), Some(Duration::from_millis(1500)));
        drop(second);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(charge(1000), None);
    }

    #[test]
    fn a_lane_that_nobody_is_on_is_forgotten() {
        let lanes = Arc::new(Lanes::default());
        let lane = lanes.find(&name("a.test"));
        let request = lane.enter(1);
        drop(lane);
        assert!(lanes.find(&name("a.test")).enter(1).is_none(), "a request keeps its lane");
        drop(request);
        assert_eq!(lanes.shards.iter().map(|shard| shard.lock().len()).sum::<usize>(), 0);
    }
}
