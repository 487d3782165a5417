//! The control plane: who may use which hostname, and how far each one is.
//!
//! [`db`] keeps the rows, [`core`] holds what is true about them. The core's words are facets; each API surface projects
//! them onto its own state words. This crate knows no TLS, obtains no certificate and proxies no request: it answers the
//! edges' question and is told by them.

pub mod core;
pub mod db;
