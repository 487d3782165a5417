//! The access log: one line a request, on its way to standard output through a bounded queue ([`Lines`]). A request
//! never waits for a disk or a pipe; lines that are lost are counted.

use std::time::Duration;

use telemetry::Lines;

/// How long the end of the process waits for the last lines.
const FLUSH: Duration = Duration::from_secs(1);

/// Where finished requests are written. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AccessLog(Option<Lines>);

impl AccessLog {
    /// A log that writes nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// A log of JSON lines.
    pub fn to(lines: Lines) -> Self {
        Self(Some(lines))
    }

    /// Whether lines are written at all.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Queues a line, or drops and counts it.
    pub fn write(&self, line: Vec<u8>) {
        if let Some(lines) = &self.0 {
            lines.write(line);
        }
    }

    /// The lines underneath, for metrics.
    pub fn lines(&self) -> Option<&Lines> {
        self.0.as_ref()
    }

    /// Waits a moment until everything is written.
    pub fn flush(&self) {
        if let Some(lines) = &self.0 {
            lines.flush(FLUSH);
        }
    }

    /// Lines dropped so far because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |lines| lines.lost().not_queued)
    }
}
