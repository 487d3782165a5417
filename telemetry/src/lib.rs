//! Log set-up and the one way errors are printed.
//!
//! Diagnostics go to standard error, as text on a terminal and as JSON lines elsewhere. This crate never sees requests:
//! the access log is the edge's own.

use std::{error::Error, fmt, io::IsTerminal};

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

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
}

/// Starts logging at `level` (`error` … `trace`, or a filter); `RUST_LOG` wins over it.
///
/// # Errors
/// [`LogError`] when the filter does not parse or a logger stands already.
pub fn init(level: &str) -> Result<(), LogError> {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| level.to_owned());
    let filter = EnvFilter::try_new(&filter).map_err(|source| LogError::Level { level: filter, source })?;
    let registry = tracing_subscriber::registry().with(filter);
    let result = match std::io::stderr().is_terminal() {
        true => registry.with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr)).try_init(),
        false => {
            let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
            registry.with(layer).try_init()
        }
    };
    result.map_err(LogError::Twice)
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
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_chain_prints_every_cause_once() {
        let error = Outer(std::io::Error::other("inner"));
        assert_eq!(chain(&error).to_string(), "outer: inner");
    }
}
