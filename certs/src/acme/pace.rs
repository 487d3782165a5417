//! [`Pace`]: how often an order is looked at.

use std::time::Duration;

use tokio::time::Instant;

/// First wait: a CA on the same machine is done by then.
const FIRST: Duration = Duration::from_millis(5);
/// Longest wait while a visitor may be waiting.
const LONGEST: Duration = Duration::from_millis(250);
/// Longest wait once the visitor has gone.
const LONGEST_LATER: Duration = Duration::from_secs(1);
/// A visitor waits about this long.
const VISITOR: Duration = Duration::from_secs(8);
/// `Retry-After` counts whole seconds, and RFC 8555 (section 7.5.1) calls it a suggestion: in the first second we look
/// at our own pace, which is at most ten times, and from then on the CA's is kept.
const EAGER: Duration = Duration::from_secs(1);
/// Longest `Retry-After` that is kept to while polling; the order's own limit is minutes.
const RETRY_AFTER_LONGEST: Duration = Duration::from_secs(60);

/// The waits between two looks at an order.
pub(super) struct Pace {
    next: Duration,
    start: Instant,
}

impl Pace {
    pub(super) fn start() -> Self {
        Self { next: FIRST, start: Instant::now() }
    }

    /// Waits until it is time for the next look.
    pub(super) async fn wait(&mut self, retry_after: Option<Duration>) {
        let wait = self.next_wait(self.start.elapsed(), retry_after);
        tokio::time::sleep(wait).await;
    }

    fn next_wait(&mut self, elapsed: Duration, retry_after: Option<Duration>) -> Duration {
        let longest = if elapsed < VISITOR { LONGEST } else { LONGEST_LATER };
        let own = self.next.min(longest);
        self.next = self.next.saturating_mul(2).min(LONGEST_LATER);
        match retry_after {
            Some(wait) if elapsed >= EAGER => own.max(wait.min(RETRY_AFTER_LONGEST)),
            Some(_) | None => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The moments at which an order is looked at within `span`.
    fn looks(retry_after: Option<Duration>, span: Duration) -> Vec<Duration> {
        let mut pace = Pace { next: FIRST, start: Instant::now() };
        let mut looks = Vec::new();
        let mut elapsed = Duration::ZERO;
        while elapsed < span {
            elapsed += pace.next_wait(elapsed, retry_after);
            looks.push(elapsed);
        }
        looks
    }

    #[tokio::test]
    async fn the_first_looks_come_fast_and_are_few() {
        let looks = looks(None, Duration::from_secs(300));
        assert_eq!(looks[0], Duration::from_millis(5));
        assert!(looks.iter().filter(|look| **look < EAGER).count() <= 10);
        assert!(looks.len() < 340);
    }

    #[tokio::test]
    async fn from_the_second_second_on_retry_after_is_kept() {
        let wait = Duration::from_secs(3);
        let looks = looks(Some(wait), Duration::from_secs(60));
        for pair in looks.windows(2).filter(|pair| pair[0] >= EAGER) {
            assert_eq!(pair[1] - pair[0], wait);
        }
    }
}
