//! Token buckets: how many handshakes of late.
//!
//! A bucket is one number, the moment at which it will be full again (the "generic cell rate algorithm" of ATM): taking
//! a token moves that moment by the time one token takes to drip in, and a bucket whose moment is too far ahead is
//! empty. A bucket that is full needs no memory.
//!
//! Those of addresses live in a table of fixed size. Each address has four places; when others have taken them, the one
//! that owes least gives way. Whoever comes with ever more addresses pushes out only what he is about to need himself,
//! and the bucket of everybody still stands in his way. Those of hostnames that nobody is connected to have another such
//! table.

use std::hash::{BuildHasher, Hash, RandomState};

use parking_lot::Mutex;

use super::Address;

/// Sets of four places: 32,768 addresses that began handshakes within two seconds, 0.6 MiB.
const SETS: usize = 8192;
const PLACES: usize = 4;
const SECOND: u64 = 1_000_000_000;
/// A bucket holds what drips in within this time.
const DEPTH: u64 = 2 * SECOND;

/// How many tokens drip into a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Nanoseconds for one token.
    interval: u64,
}

impl Rate {
    /// So many a second; twice as many may be saved up.
    pub const fn per_second(count: usize) -> Self {
        Self { interval: SECOND / if count == 0 { 1 } else { count as u64 } }
    }

    /// A bucket that is full at `full_at`, after a token was taken; `None` when it has none. Times are nanoseconds.
    pub(super) fn take(self, full_at: u64, now: u64) -> Option<u64> {
        let after = full_at.max(now).saturating_add(self.interval);
        (after - now <= DEPTH).then_some(after)
    }

    /// The same bucket with three quarters of a token more.
    pub(super) fn give_back(self, full_at: u64) -> u64 {
        full_at.saturating_sub(self.interval / 4 * 3)
    }
}

/// A bucket and whose it is. The hash stands for the address: it is keyed, and 64 bits do not meet by chance.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    owner: u64,
    full_at: u64,
}

/// The place of an owner: his own, or that of who owes least.
fn place_of(owner: u64, places: &mut [Place; PLACES]) -> Option<&mut Place> {
    let own = places.iter().position(|place| place.owner == owner);
    match own {
        Some(index) => places.get_mut(index),
        None => places.iter_mut().min_by_key(|place| place.full_at),
    }
}

/// The buckets of all addresses, or of all hostnames.
#[derive(Debug)]
pub(super) struct Buckets {
    sets: Box<[Mutex<[Place; PLACES]>]>,
    hasher: RandomState,
}

impl Buckets {
    pub(super) fn new() -> Self {
        Self { sets: (0..SETS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }

    /// Takes a token of an address; false when it has none.
    pub(super) fn take(&self, address: Address, rate: Rate, now: u64) -> bool {
        let (owner, set) = self.find(&address);
        let mut places = set.lock();
        let Some(place) = place_of(owner, &mut places) else { return true };
        let full_at = if place.owner == owner { place.full_at } else { 0 };
        let taken = rate.take(full_at, now);
        if let Some(full_at) = taken {
            *place = Place { owner, full_at };
        }
        taken.is_some()
    }

    /// Gives an address a part of a token back.
    pub(super) fn give_back(&self, address: Address, rate: Rate) {
        let (owner, set) = self.find(&address);
        if let Some(place) = set.lock().iter_mut().find(|place| place.owner == owner) {
            place.full_at = rate.give_back(place.full_at);
        }
    }

    /// Keeps a bucket whose owner is not here any more. Who owes least gives way.
    pub(super) fn keep(&self, owner: &impl Hash, full_at: u64) {
        let (owner, set) = self.find(owner);
        if let Some(place) = place_of(owner, &mut set.lock()).filter(|place| place.full_at < full_at) {
            *place = Place { owner, full_at };
        }
    }

    /// A bucket as it was kept; a full one when it was not.
    pub(super) fn kept(&self, owner: &impl Hash) -> u64 {
        let (owner, set) = self.find(owner);
        set.lock().iter().find(|place| place.owner == owner).map_or(0, |place| place.full_at)
    }

    fn find(&self, owner: &impl Hash) -> (u64, &Mutex<[Place; PLACES]>) {
        let owner = self.hasher.hash_one(owner);
        #[expect(clippy::indexing_slicing, reason = "the remainder is below the length, which is a constant")]
        (owner, &self.sets[owner as usize % SETS])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1000 * SECOND;

    fn takes(buckets: &Buckets, address: Address, rate: Rate, now: u64) -> usize {
        (0..10_000).take_while(|_| buckets.take(address, rate, now)).count()
    }

    #[test]
    fn an_address_has_two_seconds_of_tokens_and_then_its_rate() {
        let (buckets, rate, address) = (Buckets::new(), Rate::per_second(100), Address::V4(1));
        assert_eq!(takes(&buckets, address, rate, NOW), 200);
        assert_eq!(takes(&buckets, address, rate, NOW), 0);
        assert_eq!(takes(&buckets, address, rate, NOW + SECOND / 10), 10);
        assert_eq!(takes(&buckets, address, rate, NOW + 60 * SECOND), 200, "no more than two seconds are saved up");
        assert_eq!(takes(&buckets, Address::V4(2), rate, NOW), 200, "others have their own");
    }

    #[test]
    fn a_resumed_handshake_costs_a_quarter() {
        let (buckets, rate, address) = (Buckets::new(), Rate::per_second(100), Address::V6(1));
        let resumed = (0..10_000).take_while(|_| {
            let taken = buckets.take(address, rate, NOW);
            buckets.give_back(address, rate);
            taken
        });
        assert_eq!(resumed.count(), 797, "four times 200, of which the last has to be charged in whole first");
    }

    #[test]
    fn the_slowest_rate_still_lets_one_pass() {
        let (buckets, rate) = (Buckets::new(), Rate::per_second(1));
        assert_eq!(takes(&buckets, Address::V4(1), rate, NOW), 2);
        assert_eq!(takes(&buckets, Address::V4(1), rate, NOW + SECOND), 1);
    }

    #[test]
    fn a_million_addresses_take_no_more_memory_and_leave_a_busy_one_its_place() {
        let (buckets, rate) = (Buckets::new(), Rate::per_second(100));
        let busy = Address::V4(u32::MAX);
        assert_eq!(takes(&buckets, busy, rate, NOW), 200);
        for address in 0..1_000_000 {
            buckets.take(Address::V6(address), rate, NOW);
        }
        assert!(!buckets.take(busy, rate, NOW), "who owes the most is remembered the longest");
        assert_eq!(buckets.sets.len() * size_of::<Mutex<[Place; PLACES]>>(), 72 * SETS);
    }
}
