//! How many questions about strangers may be asked in a second.
//!
//! One number, the moment at which the bucket is full again: a question moves it on by the time that one question takes
//! to be earned. Names that the endpoint has allowed before are not strangers; visitors cannot choose those.

use clock::Timestamp;
use parking_lot::Mutex;

/// Seconds whose questions may be saved up: an edge that starts with an empty memory asks much at once.
const SAVED: u64 = 10;
const SECOND: u64 = 1_000_000;

/// A bucket of questions. Times are microseconds.
pub(crate) struct Pace {
    interval: u64,
    full_at: Mutex<u64>,
}

impl Pace {
    /// So many in a second.
    pub(crate) fn per_second(count: usize) -> Self {
        let count = u64::try_from(count).unwrap_or(SECOND).clamp(1, SECOND);
        Self { interval: SECOND / count, full_at: Mutex::new(0) }
    }

    /// Takes one question; false when none is left.
    pub(crate) fn take(&self, now: Timestamp) -> bool {
        let (now, most) = (now.as_millis().saturating_mul(1000), SAVED * SECOND);
        let mut full_at = self.full_at.lock();
        // A clock that was set back leaves a moment that is further ahead than any bucket is deep.
        let begun = if *full_at > now.saturating_add(most) { now } else { (*full_at).max(now) };
        let after = begun.saturating_add(self.interval);
        let left = after - now <= most;
        if left {
            *full_at = after;
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pace: &Pace, millis: u64) -> usize {
        (0..10_000).take_while(|_| pace.take(Timestamp::from_millis(millis))).count()
    }

    #[test]
    fn ten_seconds_are_saved_up_and_then_the_rate_holds() {
        let pace = Pace::per_second(50);
        assert_eq!(taken(&pace, 1_000_000), 500);
        assert_eq!(taken(&pace, 1_000_100), 5);
        assert_eq!(taken(&pace, 1_060_000), 500);
    }

    #[test]
    fn a_clock_that_is_set_back_stops_no_questions() {
        let pace = Pace::per_second(50);
        assert_eq!(taken(&pace, 86_400_000), 500);
        assert_eq!(taken(&pace, 1_000_000), 500);
    }
}
