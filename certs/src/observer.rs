//! [`Observer`]: who else wants to know what becomes of certificates.
//!
//! The manager tells; it never waits for the listener and does not know what is done with the news.

use std::sync::Arc;

use clock::Timestamp;
use names::Subject;

use crate::{Failure, Leaf, Scanned};

/// One step in the life of a name's certificate.
#[derive(Debug)]
pub enum Step<'a> {
    /// An order failed at every issuer that was asked.
    Failed {
        /// What they said, and when the name may be tried again.
        failure: &'a Failure,
        /// Whether it was to follow a certificate that is still served, and is tried again by itself.
        renewal: bool,
    },
    /// A certificate was issued; it is stored, or served from memory until it is.
    Issued {
        /// The certificate.
        leaf: &'a Arc<Leaf>,
        /// Whether it follows another.
        renewal: bool,
        /// Which attempt in a row this was, from 1.
        attempt: u32,
    },
    /// The walk at the start has met it in the store.
    Kept {
        /// The entry.
        entry: &'a Scanned,
    },
}

/// Hears every step. Called in the middle of the manager's work: it must not block.
pub trait Observer: Send + Sync + 'static {
    /// `step` was taken for `name` at `at`.
    fn observe(&self, name: &Subject, step: &Step<'_>, at: Timestamp);
}

/// Nobody wants to know.
pub(crate) struct Nobody;

impl Observer for Nobody {
    fn observe(&self, _: &Subject, _: &Step<'_>, _: Timestamp) {}
}
