//! Why there is no certificate.

use std::{sync::Arc, time::Duration};

use clock::Timestamp;

use crate::{Failure, LeafError, StoreError};

/// A certificate could not be loaded.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The work was cut off: the process ends, or it has a bug.
    #[error("the load was cut off")]
    Died,
    /// What is stored cannot be served.
    #[error("the stored certificate cannot be used")]
    Leaf(#[source] Arc<LeafError>),
    /// The store failed. This is not "there is none".
    #[error("the store failed")]
    Store(#[source] Arc<StoreError>),
}

/// No certificate came.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ObtainError {
    /// Earlier orders failed; the next one is placed no sooner.
    #[error("no order before {until}, since the last one failed")]
    BackingOff {
        /// When the next order may be placed.
        until: Timestamp,
        /// What went wrong.
        failure: Arc<Failure>,
    },
    /// Too many names wait for their orders already.
    #[error("too many orders wait already")]
    Busy,
    /// The work was cut off: the process ends, or it has a bug.
    #[error("the order was cut off")]
    Died,
    /// Another edge of the fleet orders for the name; what it gets is served here too.
    #[error("another edge orders for this name")]
    Elsewhere,
    /// The order has just failed.
    #[error("the order failed")]
    Failed {
        /// What went wrong, per issuer.
        failure: Arc<Failure>,
    },
    /// The store failed; nothing was ordered.
    #[error("the certificate could not be looked for")]
    Load(#[from] LoadError),
    /// The name belongs to another tenant now than to whom this was for.
    #[error("the name is another tenant's now")]
    Moved,
    /// The order goes on; whoever comes later finds the certificate.
    #[error("the order is not done after {} s and goes on", waited.as_secs_f32())]
    StillIssuing {
        /// How long was waited.
        waited: Duration,
    },
    /// The store cannot keep a certificate under this name, so none is ordered.
    #[error("the name is too long for the store")]
    Unstorable,
}

impl ObtainError {
    /// A stable word for metrics and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BackingOff { .. } => "backing_off",
            Self::Busy => "busy",
            Self::Died => "died",
            Self::Elsewhere => "elsewhere",
            Self::Failed { .. } => "failed",
            Self::Load(_) => "store_failed",
            Self::Moved => "moved",
            Self::StillIssuing { .. } => "still_issuing",
            Self::Unstorable => "unstorable",
        }
    }
}

/// How often the name failed by its own fault.
pub(super) fn attempts(error: &ObtainError) -> u32 {
    match error {
        ObtainError::BackingOff { failure, .. } | ObtainError::Failed { failure } => failure.attempts,
        ObtainError::Busy
        | ObtainError::Died
        | ObtainError::Elsewhere
        | ObtainError::Load(_)
        | ObtainError::Moved
        | ObtainError::StillIssuing { .. }
        | ObtainError::Unstorable => 0,
    }
}

/// A failed question to the store.
pub(super) fn store_error(error: StoreError) -> LoadError {
    LoadError::Store(Arc::new(error))
}
