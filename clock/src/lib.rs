//! Time as an argument.
//!
//! Whatever outlives one request (validity periods, back-off, renewal, jitter) takes a [`Clock`]; tests hand in a
//! [`ManualClock`] and move it by days. Short waits on a socket use tokio's timers and are not this crate's business.
//!
//! This crate knows no calendar, no time zone and no leap second: a [`Timestamp`] is a count of milliseconds.

mod manual;
mod timestamp;

use std::{future::Future, pin::Pin, sync::Arc, time::SystemTime};

pub use manual::ManualClock;
pub use timestamp::Timestamp;

/// A future that ends when the clock has reached a moment.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The wall clock and a way to wait on it.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Ends as soon as [`now`](Clock::now) is at or past `moment`.
    fn sleep_until(&self, moment: Timestamp) -> Sleep;
}

/// A clock that is shared by everything in one process.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's wall clock")]
    fn now(&self) -> Timestamp {
        Timestamp::from(SystemTime::now())
    }

    fn sleep_until(&self, moment: Timestamp) -> Sleep {
        let clock = *self;
        Box::pin(async move {
            // The monotonic timer and the wall clock may drift apart over days: look again until it is true.
            while let Some(left) = moment.checked_since(clock.now()) {
                if left.is_zero() {
                    break;
                }
                tokio::time::sleep(left.min(std::time::Duration::from_secs(60))).await;
            }
        })
    }
}
