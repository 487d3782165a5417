//! Why a gate cannot be set up.

use std::io;

/// The gate could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// The HTTP client.
    #[error("the HTTP client for the ask endpoint cannot be set up")]
    Client(#[source] reqwest::Error),
    /// The metrics are registered already.
    #[error("the metrics of the gate cannot be registered")]
    Metrics(#[from] prometheus::Error),
    /// The folder of last answers cannot be listed, or its writer not started.
    #[error("the last answers cannot be opened")]
    Records(#[from] io::Error),
    /// Something else than http or https.
    #[error("`{0}` is no scheme for an ask endpoint; http and https are")]
    Scheme(String),
    /// No trusted certificates on this machine, or no TLS.
    #[error("TLS to the ask endpoint cannot be set up")]
    Tls(#[source] rustls::Error),
}
