//! Log set-up and the one way errors are printed.
//!
//! Diagnostics go to standard error, as text on a terminal and as JSON lines elsewhere. Writing one never waits and never
//! fails ([`Lines`]), and no place in the program can flood the log. This crate never sees requests: the access log is
//! the edge's own.

mod crash;
mod flood;
mod lines;
mod metrics;

use std::{
    error::Error,
    fmt,
    io::{self, IsTerminal},
    sync::OnceLock,
    time::Duration,
};

use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt, util::SubscriberInitExt};

use flood::Flood;

pub use crash::keep_secrets;
pub use lines::{Lines, Lost, unbuffered};
pub use metrics::LostLines;

/// Lines of diagnostics that wait for standard error; beyond it they are dropped and counted.
const QUEUE: usize = 8192;
/// How long the end of a process waits for its last lines to be taken.
const FLUSH: Duration = Duration::from_secs(1);
/// Lines that one place may write within ten seconds unless the configuration says otherwise: two a second tell what
/// goes on, and a flood for a whole day stays within 50 MB a place.
pub const USUAL_BURST: usize = 20;

/// Where panics are told as well.
static DIAGNOSTICS: OnceLock<Lines> = OnceLock::new();

/// The diagnostics of this process. Dropped: what is queued is written, within a second.
#[derive(Debug)]
#[must_use = "its end writes the last lines"]
pub struct Diagnostics {
    lines: Lines,
    flood: Flood,
}

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The level is neither a level nor a filter such as `info,certs=debug`.
    #[error("`{level}` is not a log level or filter")]
    Level {
        /// What was given.
        level: String,
        /// What the filter parser says.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// A logger is already set in this process.
    #[error("the logger was already set up")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
    /// The system gives no thread or no descriptor for it.
    #[error("the logger cannot be started")]
    Start(#[from] io::Error),
}

/// Starts logging at `level` (`error` … `trace`, or a filter); `RUST_LOG` wins over it. One place in the program writes
/// at most `burst` lines within ten seconds; how many it left out is told then.
///
/// # Errors
/// [`LogError`] when the filter does not parse, a logger stands already, or no thread can be started.
pub fn init(level: &str, burst: usize) -> Result<Diagnostics, LogError> {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| level.to_owned());
    let filter = EnvFilter::try_new(&filter).map_err(|source| LogError::Level { level: filter, source })?;
    let lines = Lines::to(unbuffered(&io::stderr())?, QUEUE, "log")?;
    let flood = Flood::new(u64::try_from(burst).unwrap_or(u64::MAX));
    // The library tells of its own failures on standard error, and panics when that fails too.
    let layer = tracing_subscriber::fmt::layer().log_internal_errors(false);
    let (writer, registry) = (lines.clone(), tracing_subscriber::registry().with(filter));
    let result = match io::stderr().is_terminal() {
        true => registry.with(layer.with_writer(writer).with_filter(flood.clone())).try_init(),
        false => {
            let layer = layer.json().flatten_event(true).with_writer(writer);
            registry.with(layer.with_filter(flood.clone())).try_init()
        }
    };
    result.map_err(LogError::Twice)?;
    // Only one logger can have been set, so this is the first.
    let _ = DIAGNOSTICS.set(lines.clone());
    let turning = flood.clone();
    std::thread::Builder::new().name("log-window".to_owned()).spawn(move || {
        loop {
            std::thread::park_timeout(flood::WINDOW);
            turning.turn();
        }
    })?;
    Ok(Diagnostics { lines, flood })
}

/// Waits until the diagnostics so far are written, at most `limit`: before an end that no `Drop` sees.
pub fn flush(limit: Duration) {
    if let Some(lines) = DIAGNOSTICS.get() {
        lines.flush(limit);
    }
}

impl Drop for Diagnostics {
    fn drop(&mut self) {
        self.flood.turn();
        self.lines.flush(FLUSH);
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

/// Prints an error with all its causes: `a: b: c`.
///
/// Errors in this workspace never repeat their source in `Display`, so this is the only place that joins them.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + 'a {
    Chain(error)
}

struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_chain_prints_every_cause_once() {
        let error = Outer(io::Error::other("inner"));
        assert_eq!(chain(&error).to_string(), "outer: inner");
    }
}
