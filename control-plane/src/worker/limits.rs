//! How much at a time.

use std::time::Duration;

/// The bounds of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerLimits {
    /// Looks under way. Each waits for name servers most of its time: 100,000 names a minute at half a second each need
    /// 833.
    pub looks: usize,
    /// Jobs taken in one transaction: enough that taking is cheap, few enough that it is short.
    pub batch: i64,
    /// Longer than the longest look; a job whose worker died is done again after this.
    pub lease: Duration,
    /// Between two takings while fewer than a batch are due, so that they are taken together.
    pub gather: Duration,
    /// Looks that changed nothing are written together …
    pub notes: usize,
    /// … after this long at most.
    pub notes_wait: Duration,
    /// Jobs that others make are seen after this long at most.
    pub look_again: Duration,
    /// After the database did not answer.
    pub pause: Duration,
}

impl Default for WorkerLimits {
    fn default() -> Self {
        Self {
            looks: 1024,
            batch: 256,
            lease: Duration::from_mins(1),
            gather: Duration::from_millis(250),
            notes: 256,
            notes_wait: Duration::from_millis(100),
            look_again: Duration::from_millis(500),
            pause: Duration::from_secs(2),
        }
    }
}
