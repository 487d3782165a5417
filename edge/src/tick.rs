//! One timer that is always about to run out.
//!
//! tokio wakes its driver for a new timer that is due before all others: a system call, and a turn of the loop that finds
//! nothing to do. Where few timers stand, that is nearly every deadline of every handshake and of every idle connection,
//! though hardly one of them ever passes. With a timer that is due within a second, no longer one is the first.
//!
//! What has to be looked at every second is looked at when it runs out.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Shorter than the deadlines that every connection has; long enough to cost nothing.
pub(crate) const PERIOD: Duration = Duration::from_secs(1);

/// Keeps a timer set until `stop`, and calls `each` whenever it runs out.
pub(crate) async fn tick(stop: CancellationToken, each: impl Fn()) {
    let mut interval = interval(PERIOD);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ticking = async {
        loop {
            interval.tick().await;
            each();
        }
    };
    stop.run_until_cancelled(ticking).await;
}
