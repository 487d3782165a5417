//! One log line a second, whatever happens; the next line says how many were left out.

use std::time::Duration;

use clock::Timestamp;
use parking_lot::Mutex;

/// Time between two lines.
const PERIOD: Duration = Duration::from_secs(1);

/// Decides which events are worth a line.
#[derive(Default)]
pub(crate) struct Sampler(Mutex<Option<Sampled>>);

struct Sampled {
    last: Timestamp,
    left_out: u64,
}

impl Sampler {
    /// `Some(left out since the last line)` when this event gets a line.
    pub(crate) fn admit(&self, now: Timestamp) -> Option<u64> {
        let mut sampled = self.0.lock();
        if let Some(sampled) = sampled.as_mut().filter(|sampled| is_soon(sampled.last, now)) {
            sampled.left_out += 1;
            return None;
        }
        let before = sampled.replace(Sampled { last: now, left_out: 0 });
        Some(before.map_or(0, |before| before.left_out))
    }
}

/// A clock that was set back must not silence the log.
fn is_soon(last: Timestamp, now: Timestamp) -> bool {
    now.checked_since(last).is_some_and(|passed| passed < PERIOD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_errors_in_a_second_are_one_line_and_a_count() {
        let sampler = Sampler::default();
        let start = Timestamp::from_secs(1_000);
        assert_eq!(sampler.admit(start), Some(0));
        assert!((0..999).all(|ms| sampler.admit(start + Duration::from_millis(ms)).is_none()));
        assert_eq!(sampler.admit(start + PERIOD), Some(999));
        assert_eq!(sampler.admit(start), Some(0));
    }
}
