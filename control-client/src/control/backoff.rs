//! Pauses between attempts: they double, and no two edges make the same ones.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Length of the first pause at most.
const FIRST: Duration = Duration::from_millis(500);

/// Counts failures in a row.
pub(super) struct Backoff {
    dice: RandomState,
    rolls: u64,
    failures: u32,
    longest: Duration,
}

impl Backoff {
    pub(super) fn new(longest: Duration) -> Self {
        Self { dice: RandomState::new(), rolls: 0, failures: 0, longest }
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The pause after one more failure: anything up to the doubled limit. Only the full range spreads edges that all
    /// lost the control plane at the same moment.
    pub(super) fn failed(&mut self) -> Duration {
        let most = FIRST.saturating_mul(1 << self.failures.min(16)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        self.up_to(most)
    }

    /// Between a twentieth of `most` and all of it.
    pub(super) fn up_to(&mut self, most: Duration) -> Duration {
        self.rolls = self.rolls.wrapping_add(1);
        let share = u32::try_from(self.dice.hash_one(self.rolls) % 1000).unwrap_or(0);
        most / 20 + most * share / 1000 * 19 / 20
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_limit_and_differ_between_edges() {
        let longest = Duration::from_secs(30);
        let mut last = Vec::new();
        for _ in 0..50 {
            let mut backoff = Backoff::new(longest);
            assert!(backoff.failed() <= FIRST);
            for _ in 0..20 {
                let pause = backoff.failed();
                assert!(pause <= longest && pause >= FIRST / 20, "{pause:?}");
            }
            last.push(backoff.failed());
        }
        last.sort();
        last.dedup();
        assert!(last.len() > 40, "{} different pauses of 50", last.len());
        assert!(last.last() > Some(&(longest / 2)) && last.first() < Some(&(longest / 2)));
    }
}
