//! The control plane: who may use which hostname, and how far each one is.
//!
//! [`db`] keeps the rows, [`core`] holds what is true about them, [`surfaces`] speak about it over HTTP, [`worker`] does
//! by itself what the surfaces' verbs do, [`writer`] writes at customers' DNS providers, [`webhooks`] tells of it. The core's words are facets; each API surface projects them onto its own state
//! words. This crate knows no TLS, obtains no certificate and proxies no request: it answers the edges' question and is
//! told by them.

pub mod checks;
pub mod core;
pub mod db;
pub mod doctor;
pub mod domains;
pub mod metrics;
pub mod process;
pub mod settings;
pub mod surfaces;
pub mod tokens;
pub mod webhooks;
pub mod worker;
pub mod writer;
