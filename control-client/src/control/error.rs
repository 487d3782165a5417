//! What can go wrong at set-up, and in one exchange with the control plane.

use std::{io, path::PathBuf};

use reqwest::StatusCode;

use super::snapshot::SnapshotError;

/// The line to the control plane could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The HTTP client.
    #[error("the HTTP client for the control plane cannot be set up")]
    Client(#[source] reqwest::Error),
    /// The folder of what is kept.
    #[error("{} cannot be used", path.display())]
    Folder {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The metrics are registered already.
    #[error("the metrics of the control plane's client cannot be registered")]
    Metrics(#[from] prometheus::Error),
    /// Something else than http or https.
    #[error("`{0}` is no scheme for a control plane; http and https are")]
    Scheme(String),
    /// No trusted certificates on this machine, or no TLS.
    #[error("TLS to the control plane cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The token file.
    #[error("the token cannot be read from {}", path.display())]
    Token {
        /// Which one.
        path: PathBuf,
        /// Why; never what is in it.
        #[source]
        source: io::Error,
    },
}

/// One exchange has failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// No connection.
    #[error("the control plane cannot be reached")]
    Connect(#[source] reqwest::Error),
    /// What came is no answer.
    #[error("the control plane answered garbage")]
    Garbage(#[source] serde_json::Error),
    /// The question's `after` is not in the feed.
    #[error("the control plane no longer has the changes asked for")]
    Gone,
    /// It says what cannot be.
    #[error("the control plane's answer does not go on from change {after}")]
    NoProgress {
        /// What was asked.
        after: u64,
    },
    /// A snapshot that cannot be taken.
    #[error("the snapshot was refused")]
    Snapshot(#[from] SnapshotError),
    /// Another status than expected.
    #[error("the control plane answered {0}")]
    Status(StatusCode),
    /// Not in time.
    #[error("the control plane did not answer in time")]
    TimedOut,
    /// Longer than any answer may be.
    #[error("the control plane's answer is longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// The connection broke.
    #[error("the connection to the control plane failed")]
    Transport(#[source] reqwest::Error),
    /// The token was refused, also after reading its file again.
    #[error("the control plane refused the token")]
    Unauthorized,
}

impl CallError {
    /// The label of counters.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Garbage(_) | Self::NoProgress { .. } => "garbage",
            Self::Gone => "gone",
            Self::Snapshot(_) => "refused",
            Self::Status(_) => "status",
            Self::TimedOut => "timeout",
            Self::TooLong { .. } => "too_long",
            Self::Transport(_) => "transport",
            Self::Unauthorized => "unauthorized",
        }
    }

    /// Every [`kind`](Self::kind), so that all series exist from the start.
    pub(super) const KINDS: [&str; 9] =
        ["connect", "garbage", "gone", "refused", "status", "timeout", "too_long", "transport", "unauthorized"];
}

impl From<reqwest::Error> for CallError {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        match (error.is_timeout(), error.is_connect()) {
            (_, true) => Self::Connect(error),
            (true, false) => Self::TimedOut,
            (false, false) => Self::Transport(error),
        }
    }
}
