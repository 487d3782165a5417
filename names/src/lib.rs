//! The names of the field, parsed once at the door.
//!
//! [`Hostname`] is a customer's name in canonical form. SNI, `Host`, `:authority`, configuration, stored entries and
//! ACME identifiers all become a `Hostname` through the one canonicaliser here, so that two spellings of one name can
//! never be two keys.
//!
//! This crate does no I/O, knows no clock, no runtime and no certificate. It does not know which names exist.

mod hostname;

pub use hostname::{Hostname, HostnameError, MAX_HOSTNAME, MAX_LABEL};
