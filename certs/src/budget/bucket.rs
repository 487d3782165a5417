//! [`Bucket`]: how much of something may be had at once, and how soon again.

use std::time::Duration;

use clock::Timestamp;

use super::LONGEST_WAIT;
use crate::Rate;

/// A token bucket on timestamps: only the moment at which it will be full again is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    full_at: Timestamp,
}

/// How a bucket of some rate behaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    /// Time in which one token comes back.
    every: Duration,
    /// How far `full_at` may lie ahead before the bucket is empty.
    depth: Duration,
}

impl Size {
    /// There is always one more.
    pub(super) const UNLIMITED: Self = Self { every: Duration::ZERO, depth: Duration::MAX };

    pub(super) fn new(rate: Rate) -> Self {
        let every = rate.per / rate.most.max(1);
        Self { every, depth: rate.per.saturating_sub(every) }
    }

    /// The same bucket, of which only what lies above its half is given away.
    pub(super) fn upper_half(self) -> Self {
        Self { depth: self.depth / 2, ..self }
    }
}

impl Default for Bucket {
    fn default() -> Self {
        Self { full_at: Timestamp::EPOCH }
    }
}

impl Bucket {
    /// When a token can be had.
    pub(super) fn next(self, size: Size, now: Timestamp) -> Timestamp {
        now.max(self.bounded(size, now).full_at - size.depth)
    }

    /// A token is taken at `at`, which may be before `now`, or after it, whether or not one is there. What was taken so
    /// long ago that it is back does not count.
    pub(super) fn take(&mut self, size: Size, at: Timestamp, now: Timestamp) {
        if now < at + size.depth + size.every {
            self.full_at = self.full_at.max(at) + size.every;
            *self = self.bounded(size, now);
        }
    }

    /// A token that was taken comes back.
    pub(super) fn put_back(&mut self, size: Size) {
        self.full_at = self.full_at - size.every;
    }

    /// How many tokens are there.
    pub(super) fn left(self, size: Size, now: Timestamp) -> u32 {
        let free = (size.depth + size.every).saturating_sub(self.full_at.since(now));
        free.as_millis()
            .checked_div(size.every.as_millis())
            .map_or(u32::MAX, |left| left.try_into().unwrap_or(u32::MAX))
    }

    pub(super) fn is_full(self, now: Timestamp) -> bool {
        self.full_at <= now
    }

    /// It owes at most what makes it empty: whoever took more than was there is not locked out for longer, nor is anybody
    /// when the clock has jumped back.
    fn bounded(self, size: Size, now: Timestamp) -> Self {
        Self { full_at: self.full_at.min(now + LONGEST_WAIT + size.depth + size.every) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LETS_ENCRYPT: Rate = Rate { most: 300, per: Duration::from_secs(3 * 3600) };

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    /// Takes as many tokens as there are.
    fn drain(bucket: &mut Bucket, size: Size, now: Timestamp) -> usize {
        let mut taken = 0;
        while bucket.next(size, now) == now {
            bucket.take(size, now, now);
            taken += 1;
        }
        taken
    }

    #[test]
    fn three_hundred_go_at_once_and_then_one_every_36_seconds() {
        let (mut bucket, size, now) = (Bucket::default(), Size::new(LETS_ENCRYPT), at(1_000_000));
        assert_eq!(drain(&mut bucket, size, now), 300);
        let next = now + Duration::from_secs(36);
        assert_eq!(bucket.next(size, now), next);
        assert_eq!(drain(&mut bucket, size, next), 1);
        assert_eq!(bucket.next(size, next), next + Duration::from_secs(36));
        bucket.put_back(size);
        assert_eq!(bucket.next(size, next), next);
    }

    #[test]
    fn no_window_of_three_hours_after_the_first_sees_more_than_the_limit() {
        let (mut bucket, size) = (Bucket::default(), Size::new(LETS_ENCRYPT));
        let mut granted = Vec::new();
        for minute in 0..2000 {
            let now = at(1_000_000 + minute * 60);
            granted.extend(std::iter::repeat_n(now, drain(&mut bucket, size, now)));
        }
        // The CA's own bucket of the same shape never refuses what ours grants.
        assert!(granted.len() <= 300 + (2000 * 60) / 36);
        for window in granted[300..].windows(301) {
            assert!(window[300].since(window[0]) >= LETS_ENCRYPT.per);
        }
    }

    #[test]
    fn what_was_taken_a_window_ago_counts_for_nothing_and_later_ones_count() {
        let (mut bucket, size, now) = (Bucket::default(), Size::new(LETS_ENCRYPT), at(1_000_000));
        for _ in 0..300 {
            bucket.take(size, now, now);
        }
        let next = bucket.next(size, now);
        bucket.take(size, now - LETS_ENCRYPT.per, now);
        assert_eq!(bucket.next(size, now), next);
        bucket.take(size, now - LETS_ENCRYPT.per / 2, now);
        assert!(bucket.next(size, now) > next);
    }

    #[test]
    fn a_clock_that_jumps_back_locks_nobody_out_for_longer_than_an_empty_bucket_does() {
        let (mut bucket, size, now) = (Bucket::default(), Size::new(LETS_ENCRYPT), at(100_000_000));
        drain(&mut bucket, size, now);
        let before = at(10_000_000);
        let next = bucket.next(size, before);
        assert!(next <= before + LONGEST_WAIT + Duration::from_secs(36), "{next}");
    }
}
