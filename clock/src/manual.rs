//! [`ManualClock`]: a clock that moves only when it is told to.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{Clock, Sleep, Timestamp};

/// A clock for tests. Clones share one time; sleepers wake when it is moved past their moment.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<watch::Sender<Timestamp>>);

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(Arc::new(watch::Sender::new(start)))
    }

    /// Moves the clock forward and wakes every sleeper whose moment has come.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|now| *now = *now + by);
    }

    /// Sets the clock, backwards too.
    pub fn set(&self, now: Timestamp) {
        self.0.send_replace(now);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    fn sleep_until(&self, moment: Timestamp) -> Sleep {
        let mut time = self.0.subscribe();
        Box::pin(async move {
            // The sender lives as long as the clock; without it nobody can move the time, so the sleep never ends.
            if time.wait_for(|now| *now >= moment).await.is_err() {
                std::future::pending().await
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sleeper_wakes_when_the_clock_passes_its_moment_and_not_before() {
        let clock = ManualClock::new(Timestamp::from_secs(100));
        let mut sleep = clock.sleep_until(Timestamp::from_secs(160));
        clock.advance(Duration::from_secs(59));
        assert!(tokio::time::timeout(Duration::from_secs(1), &mut sleep).await.is_err());
        clock.advance(Duration::from_secs(1));
        sleep.await;
    }
}
