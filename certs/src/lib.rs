//! Certificates: decide, issue, store, renew.
//!
//! [`Certificates`] is the one handle: it finds a certificate in memory, loads it from the store, or has it issued by a
//! manager that no visitor owns. Challenges of orders in flight are answered from [`Challenges`].
//!
//! This crate knows nothing of Pingora, of HTTP proxying, of sockets that visitors use, or of who may have a
//! certificate: its caller has asked the gate.

mod account;
mod file_store;
#[cfg(test)]
mod fixture;
mod issuer;
mod leaf;
mod store;

pub use file_store::{FileStore, OpenError};
pub use issuer::{ChallengeKind, IssueError, Issued, Issuer, IssuerKey, OrderLimit, Progress, RenewalHint};
pub use leaf::{Leaf, LeafError};
pub use store::{Bundle, Scanned, Store, StoreError};
