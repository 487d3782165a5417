//! How much at a time.

use std::time::Duration;

/// The bounds of a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderLimits {
    /// Endpoints that are sent to at the same time.
    pub lanes: usize,
    /// How many of them may be endpoints whose last try failed: the others always find room.
    pub failing_lanes: usize,
    /// Deliveries to one endpoint at the same time; one, when its last try failed. Receivers are often small.
    pub per_lane: i64,
    /// Longer than a try and the writing down of it; a delivery whose sender died is sent again after this.
    pub lease: Duration,
    /// Endpoints that are looked at in one look. The rest comes in the next.
    pub endpoints: i64,
    /// Events that other processes write are seen after this long at most.
    pub look_again: Duration,
    /// Between two looks at least.
    pub breath: Duration,
    /// After the database did not answer.
    pub pause: Duration,
}

impl Default for SenderLimits {
    fn default() -> Self {
        Self {
            lanes: 128,
            failing_lanes: 64,
            per_lane: 8,
            lease: Duration::from_secs(20),
            endpoints: 10_000,
            look_again: Duration::from_millis(500),
            breath: Duration::from_millis(10),
            pause: Duration::from_secs(2),
        }
    }
}
