//! Everybody who is here, to find out who has been idle the longest.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use super::Seat;

/// Parts with a lock each: connections that come and go at once rarely meet.
const SHARDS: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Crowd {
    shards: [Mutex<HashMap<u64, Weak<Seat>>>; SHARDS],
    next: AtomicU64,
}

impl Crowd {
    /// A number for a new seat.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn add(&self, seat: &Arc<Seat>) {
        self.shard(seat.number()).lock().insert(seat.number(), Arc::downgrade(seat));
    }

    pub(super) fn remove(&self, number: u64) {
        let mut shard = self.shard(number).lock();
        shard.remove(&number);
        if shard.is_empty() {
            shard.shrink_to(0);
        }
    }

    /// Asks at most `most` of the idle to leave, the longest idle first.
    pub(super) fn shed(&self, most: usize, beat: u32) -> usize {
        let idle = self.greatest(most, |seat| seat.idle_for(beat));
        idle.iter().for_each(|seat| seat.ask_to_leave());
        idle.len()
    }

    /// Ends at most `most` connections, those with the most requests in flight first and none with fewer than `least`.
    pub(super) fn cut(&self, most: usize, least: u32) -> usize {
        let crowded = self.greatest(most, |seat| seat.crowded(least));
        crowded.iter().for_each(|seat| seat.cut());
        crowded.len()
    }

    /// At most `most` seats with the greatest of what is asked for; those that have none are passed over. A walk over
    /// all seats: about a millisecond for 50,000, and only while something is short.
    fn greatest<K: Ord>(&self, most: usize, key: impl Fn(&Seat) -> Option<K>) -> Vec<Arc<Seat>> {
        let mut found: Vec<(K, Arc<Seat>)> = Vec::new();
        for shard in &self.shards {
            let seats: Vec<_> = shard.lock().values().filter_map(Weak::upgrade).collect();
            // Outside the lock: the last reference to a seat takes it again.
            found.extend(seats.into_iter().filter_map(|seat| Some((key(&seat)?, seat))));
        }
        if found.len() > most {
            found.select_nth_unstable_by(most, |(one, _), (other, _)| other.cmp(one));
            found.truncate(most);
        }
        found.into_iter().map(|(_, seat)| seat).collect()
    }

    fn shard(&self, number: u64) -> &Mutex<HashMap<u64, Weak<Seat>>> {
        #[expect(clippy::indexing_slicing, reason = "the remainder is below the length, which is a constant")]
        &self.shards[number as usize % SHARDS]
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}
