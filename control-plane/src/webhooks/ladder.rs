//! When a message is tried again: after 1, 2, 4, 8, 16, 32 minutes, then every hour, until its time is over.

use std::{
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    time::Duration,
};

const MINUTE: Duration = Duration::from_mins(1);
/// The longest wait, whether ours or asked for.
const LONGEST: Duration = Duration::from_hours(1);
/// Rungs that double; the last is half an hour.
const DOUBLING: u32 = 6;

/// The waits between tries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ladder {
    retry_for: Duration,
}

impl Ladder {
    /// A ladder whose waits, without jitter, are `retry_for` together at most.
    pub(crate) fn new(retry_for: Duration) -> Self {
        Self { retry_for }
    }

    /// How long to wait after this many tries; `None` when it was tried often enough. `asked` is the receiver's wish,
    /// which is heard if it is for more time.
    ///
    /// The jitter only adds, a tenth at most, and is the delivery's own: many that failed together do not come back
    /// together.
    pub(crate) fn wait(self, delivery_id: &str, tries: i64, asked: Option<Duration>) -> Option<Duration> {
        let tries = u32::try_from(tries).unwrap_or(u32::MAX).max(1);
        if until(tries) > self.retry_for {
            return None;
        }
        let hash = BuildHasherDefault::<DefaultHasher>::new().hash_one((delivery_id, tries));
        let per_mille = u32::try_from(1000 + hash % 101).unwrap_or(1000);
        Some(asked.unwrap_or_default().min(LONGEST).max(rung(tries) * per_mille / 1000))
    }
}

fn rung(tries: u32) -> Duration {
    if tries > DOUBLING { LONGEST } else { MINUTE * (1 << (tries - 1)) }
}

/// All waits up to and with the one after this many tries.
fn until(tries: u32) -> Duration {
    let doubling = MINUTE * ((1 << tries.min(DOUBLING)) - 1);
    doubling.saturating_add(LONGEST.saturating_mul(tries.saturating_sub(DOUBLING)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In minutes, without the jitter.
    fn waits(retry_for: Duration) -> Vec<u64> {
        let ladder = Ladder::new(retry_for);
        let tries = (1..).map_while(|tries| ladder.wait("d", tries, None).map(|_| tries));
        tries.map(|tries| rung(u32::try_from(tries).unwrap()).as_secs() / 60).collect()
    }

    #[test]
    fn the_waits_double_and_then_are_an_hour_until_the_time_is_over() {
        let hour = Duration::from_hours(1);
        assert!(waits(Duration::ZERO).is_empty(), "one try");
        assert_eq!(waits(Duration::from_mins(62)), [1, 2, 4, 8, 16]);
        assert_eq!(waits(Duration::from_mins(63)), [1, 2, 4, 8, 16, 32]);
        assert_eq!(waits(Duration::from_mins(123)), [1, 2, 4, 8, 16, 32, 60]);
        assert_eq!(waits(24 * hour).len(), 6 + 22, "29 tries in a day");
    }

    #[test]
    fn the_jitter_only_adds_and_is_the_deliverys_own() {
        let ladder = Ladder::new(Duration::from_hours(24));
        let all: Vec<Duration> = (0..100).filter_map(|id| ladder.wait(&format!("d{id}"), 3, None)).collect();
        let (least, most) = (4 * MINUTE, 4 * MINUTE + 24 * Duration::from_secs(1));
        assert!(all.iter().all(|wait| (least..=most).contains(wait)), "{all:?}");
        assert!(all.iter().any(|wait| wait.as_secs() != 240));
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_up_to_an_hour() {
        let ladder = Ladder::new(Duration::from_hours(24));
        let wait = |asked| ladder.wait("d", 1, Some(Duration::from_secs(asked))).unwrap().as_secs();
        assert!((60..=66).contains(&wait(5)));
        assert_eq!(wait(600), 600);
        assert_eq!(wait(1_000_000), 3600);
    }
}
