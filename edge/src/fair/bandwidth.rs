//! Bytes of bodies that pass for one hostname: a token bucket that holds what drips in within a second.
//!
//! As in [`super::bucket`], a bucket is the moment at which it will be full again. Bytes are charged in whole, whether
//! there are so many in it or not, and are told when they may pass: each has its turn behind what was charged before it.
//! So nobody is refused, those who wait pass in the order in which they came, and nobody is woken before his turn.

use std::{
    num::NonZeroU64,
    sync::atomic::{AtomicU64, Ordering},
};

const SECOND: u64 = 1_000_000_000;
/// A bucket holds what drips in within this time.
const DEPTH: u64 = SECOND;

/// Bytes in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bandwidth(NonZeroU64);

impl Bandwidth {
    /// So many bytes in a second; none at all is no limit.
    pub fn per_second(bytes: u64) -> Option<Self> {
        NonZeroU64::new(bytes).map(Self)
    }

    /// How long so many bytes take to drip in, in nanoseconds.
    fn time(self, bytes: usize) -> u64 {
        let nanos = (bytes as u128) * u128::from(SECOND) / u128::from(self.0.get());
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

/// The bucket of one hostname. Times are nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Meter {
    full_at: AtomicU64,
}

impl Meter {
    /// A bucket that will be full again at `full_at`.
    pub(super) fn new(full_at: u64) -> Self {
        Self { full_at: AtomicU64::new(full_at) }
    }

    /// When it will be full again.
    pub(super) fn full_at(&self) -> u64 {
        self.full_at.load(Ordering::Relaxed)
    }

    /// Takes what these bytes cost; from when on they may pass.
    pub(super) fn charge(&self, bytes: usize, bandwidth: Bandwidth, now: u64) -> u64 {
        let time = bandwidth.time(bytes);
        let after = |full_at: u64| full_at.max(now).saturating_add(time);
        let charged = |full_at| Some(after(full_at));
        let before = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, charged).unwrap_or_else(|at| at);
        after(before).saturating_sub(DEPTH)
    }

    /// Gives back what bytes were charged that do not pass.
    pub(super) fn give_back(&self, bytes: usize, bandwidth: Bandwidth) {
        let given = |full_at: u64| Some(full_at.saturating_sub(bandwidth.time(bytes)));
        let _ = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, given);
    }

    /// Takes over what another bucket of the same hostname owes.
    pub(super) fn owe(&self, full_at: u64) {
        self.full_at.fetch_max(full_at, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1000 * SECOND;
    const RATE: u64 = 1000;

    fn rate() -> Bandwidth {
        Bandwidth::per_second(RATE).unwrap()
    }

    #[test]
    fn a_seconds_worth_passes_at_once_and_the_rest_has_its_turn_in_order() {
        let meter = Meter::default();
        assert!(meter.charge(600, rate(), NOW) <= NOW);
        assert!(meter.charge(400, rate(), NOW) <= NOW);
        assert_eq!(meter.charge(100, rate(), NOW), NOW + SECOND / 10);
        assert_eq!(meter.charge(900, rate(), NOW), NOW + SECOND);
        // What is larger than the bucket passes too, after its time.
        assert_eq!(meter.charge(5000, rate(), NOW), NOW + 6 * SECOND);
        assert!(meter.charge(1000, rate(), NOW + 60 * SECOND) <= NOW + 60 * SECOND);
        assert!(meter.charge(1, rate(), NOW + 60 * SECOND) > NOW + 60 * SECOND, "no more than a second is saved up");
    }

    #[test]
    fn what_does_not_pass_costs_nothing() {
        let meter = Meter::default();
        meter.charge(1000, rate(), NOW);
        for _ in 0..1000 {
            meter.charge(16_384, rate(), NOW);
            meter.give_back(16_384, rate());
        }
        assert_eq!(meter.charge(100, rate(), NOW), NOW + SECOND / 10);
    }

    #[test]
    fn the_least_and_the_most_that_can_be_set_overflow_nowhere() {
        assert_eq!(Bandwidth::per_second(0), None);
        let (least, most) = (Bandwidth::per_second(1).unwrap(), Bandwidth::per_second(u64::MAX).unwrap());
        let meter = Meter::default();
        assert!(meter.charge(usize::MAX, most, NOW) <= NOW + 2 * SECOND);
        assert!(meter.charge(usize::MAX, least, NOW) > NOW);
        assert!(meter.charge(usize::MAX, least, NOW) > NOW);
    }

    proptest! {
        /// Whatever comes when, in any time no more passes than its seconds and one more allow.
        #[test]
        fn no_more_passes_than_drips_in(pieces in prop::collection::vec((0_u64..SECOND, 1_usize..3000), 1..200)) {
            let meter = Meter::default();
            let (mut now, mut passed) = (NOW, Vec::new());
            for (wait, bytes) in pieces {
                now += wait;
                passed.push((meter.charge(bytes, rate(), now).max(now), bytes as u64));
            }
            prop_assert!(passed.is_sorted_by_key(|(at, _)| *at));
            for (first, (from, _)) in passed.iter().enumerate() {
                let mut bytes = 0;
                for (until, more) in &passed[first..] {
                    bytes += more;
                    let drips = (until - from) * RATE / SECOND + RATE;
                    // The bytes that wait longest are charged before they pass, and what is divided is rounded.
                    prop_assert!(bytes <= drips + 1 + passed[first].1, "{bytes} bytes, {drips} may");
                }
            }
        }
    }
}
