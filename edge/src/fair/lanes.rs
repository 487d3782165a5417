//! Requests in flight for one hostname: a site that is slow, or very busy, leaves room for the others.
//!
//! A hostname's lane is found when a connection is admitted, and kept with the admission; a request counts itself on it,
//! and nothing is looked up. A lane is here while a connection of its hostname is.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use names::Hostname;
use parking_lot::Mutex;

/// Parts with a lock each: connections that are admitted at once rarely meet.
const SHARDS: usize = 16;

/// The lanes of all hostnames.
#[derive(Debug, Default)]
pub struct Lanes {
    shards: [Mutex<HashMap<Hostname, Weak<Lane>>>; SHARDS],
    hasher: RandomState,
}

/// One hostname's requests in flight.
#[derive(Debug)]
pub struct Lane {
    name: Hostname,
    count: AtomicUsize,
    lanes: Arc<Lanes>,
}

/// A request on its lane. Dropped: it is over.
#[derive(Debug)]
pub struct OnLane(Arc<Lane>);

impl Lanes {
    /// The lane of a hostname.
    pub fn find(self: &Arc<Self>, name: &Hostname) -> Arc<Lane> {
        let mut shard = self.shard(name).lock();
        if let Some(lane) = shard.get(name).and_then(Weak::upgrade) {
            return lane;
        }
        let lane = Arc::new(Lane { name: name.clone(), count: AtomicUsize::new(0), lanes: self.clone() });
        shard.insert(name.clone(), Arc::downgrade(&lane));
        lane
    }

    fn shard(&self, name: &Hostname) -> &Mutex<HashMap<Hostname, Weak<Lane>>> {
        #[expect(clippy::indexing_slicing, reason = "the remainder is below the length, which is a constant")]
        &self.shards[self.hasher.hash_one(name) as usize % SHARDS]
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
}

impl Drop for OnLane {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut shard = self.lanes.shard(&self.name).lock();
        // Another lane may have been made for the name since the last reference to this one went.
        if shard.get(&self.name).is_some_and(|lane| lane.strong_count() == 0) {
            shard.remove(&self.name);
        }
        if shard.is_empty() {
            shard.shrink_to(0);
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
