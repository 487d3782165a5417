//! [`Throttle`]: how often something may be done under a key, in memory.
//!
//! Each key has a minute's worth in advance and gets it back evenly (GCRA: one time a key says everything). Every process
//! counts for itself, so that a limit is per process: it protects the DNS and this process, it is no quota.

use std::{collections::HashMap, num::NonZeroU32, time::Duration};

use parking_lot::Mutex;

use crate::core::Moment;

const MINUTE: Duration = Duration::from_mins(1);
/// Keys that have used something of their minute. More are refused until others are whole again, which is a minute away
/// at most.
const MOST_KEYS: usize = 100_000;

/// A limit per key.
#[derive(Debug)]
pub struct Throttle {
    interval: Duration,
    /// When each key has everything again.
    whole_at: Mutex<HashMap<String, Moment>>,
}

impl Throttle {
    pub(crate) fn per_minute(most: NonZeroU32) -> Self {
        Self { interval: MINUTE / most.get(), whole_at: Mutex::default() }
    }

    /// Takes one, or says how long until there is one.
    pub(crate) fn take(&self, key: &str, now: Moment) -> Result<(), Duration> {
        let mut keys = self.whole_at.lock();
        if keys.len() >= MOST_KEYS && !keys.contains_key(key) {
            keys.retain(|_, whole_at| *whole_at > now);
            if keys.len() >= MOST_KEYS {
                return Err(MINUTE);
            }
        }
        let whole_at = keys.get(key).copied().filter(|at| *at > now).unwrap_or(now).after(self.interval);
        match whole_at.since(now).checked_sub(MINUTE) {
            Some(too_early) if !too_early.is_zero() => Err(too_early),
            _ => {
                keys.insert(key.to_owned(), whole_at);
                Ok(())
            }
        }
    }

    /// Gives back what was taken for something that was not done after all.
    pub(crate) fn give_back(&self, key: &str) {
        if let Some(whole_at) = self.whole_at.lock().get_mut(key) {
            *whole_at = whole_at.before(self.interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Moment {
        Moment::from_millis(1_800_000_000_000 + ms)
    }

    fn per_minute(most: u32) -> Throttle {
        Throttle::per_minute(NonZeroU32::new(most).unwrap())
    }

    #[test]
    fn a_key_has_a_minutes_worth_at_once_and_then_one_at_a_time() {
        let throttle = per_minute(3);
        assert!((0..3).all(|_| throttle.take("a", at(0)).is_ok()));
        assert_eq!(throttle.take("a", at(0)), Err(Duration::from_secs(20)));
        assert_eq!(throttle.take("a", at(19_000)), Err(Duration::from_secs(1)));
        assert!(throttle.take("b", at(0)).is_ok(), "another key has its own");
        assert!(throttle.take("a", at(20_000)).is_ok());
        assert!(throttle.take("a", at(20_001)).is_err());
        assert!((0..3).all(|_| throttle.take("a", at(200_000)).is_ok()), "never more than a minute's worth");
        assert!(throttle.take("a", at(200_000)).is_err());
    }

    #[test]
    fn what_was_not_done_is_given_back() {
        let throttle = per_minute(1);
        throttle.take("a", at(0)).unwrap();
        throttle.give_back("a");
        throttle.take("a", at(0)).unwrap();
        assert!(throttle.take("a", at(0)).is_err());
    }

    #[test]
    fn keys_that_are_whole_again_make_room() {
        let throttle = per_minute(60);
        (0..MOST_KEYS).for_each(|n| throttle.take(&n.to_string(), at(0)).unwrap());
        assert!(throttle.take("one more", at(500)).is_err());
        assert!(throttle.take("7", at(500)).is_ok(), "those that are known go on");
        assert!(throttle.take("one more", at(1_000)).is_ok());
        assert!(throttle.whole_at.lock().len() < 10);
    }
}
