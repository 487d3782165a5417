//! How long and how much at a time.

use std::time::Duration;

/// The bounds of a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterLimits {
    /// How long a request that makes a connection waits for the write. Most providers take two seconds; the request is
    /// answered in any case, and the write goes on.
    pub create_wait: Duration,
    /// How long `records:apply` does.
    pub apply_wait: Duration,
    /// One run. The longest, a zone of 50,000 records in 500 pages, takes three minutes.
    pub attempt: Duration,
    /// What a process that dies leaves taken ends after this.
    pub lease: Duration,
    /// Leases are lengthened this often: several times before they end.
    pub beat: Duration,
    /// How long a run waits for the turn of a zone that is being written; then it is put off …
    pub turn: Duration,
    /// … for this long.
    pub busy: Duration,
    /// Between two questions whether another process has given the turn back.
    pub look_again: Duration,
    /// Writes under way of one process. Each holds a connection to a provider and a listing of a zone (8 MiB at most).
    pub at_once: usize,
}

impl Default for WriterLimits {
    fn default() -> Self {
        Self {
            create_wait: Duration::from_secs(10),
            apply_wait: Duration::from_secs(30),
            attempt: Duration::from_mins(5),
            lease: Duration::from_secs(15),
            beat: Duration::from_secs(4),
            turn: Duration::from_secs(20),
            busy: Duration::from_secs(2),
            look_again: Duration::from_millis(100),
            at_once: 16,
        }
    }
}
