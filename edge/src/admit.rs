//! The second stage: may this name be served at all?

use std::sync::Arc;

use control_client::{Freshness, Gate, Refusal, Site};

use crate::hello::{Alert, Visitor};

/// A visitor whose name the gate admits.
#[derive(Debug)]
pub struct Admitted {
    /// The visitor.
    pub visitor: Visitor,
    /// What the gate says about the name.
    pub site: Arc<Site>,
    /// Whether a missing certificate may be ordered: never on the word of an answer that has gone stale.
    pub freshness: Freshness,
}

/// Why the gate does not admit a name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdmitError {
    /// The gate said no.
    #[error("the gate denies the name")]
    Denied,
    /// The gate could not be asked and nothing is remembered about the name.
    #[error("the gate cannot be asked and the name is not known")]
    Unavailable,
}

impl AdmitError {
    /// A stable word for metrics and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied => "gate_denied",
            Self::Unavailable => "gate_unavailable",
        }
    }

    /// What the visitor's program sees: a denial is final, an outage is not.
    fn alert(&self) -> Alert {
        match self {
            Self::Denied => Alert::UnrecognizedName,
            Self::Unavailable => Alert::InternalError,
        }
    }
}

/// Asks the gate about the visitor's name.
///
/// # Errors
/// [`AdmitError`]; the visitor has been sent the matching alert.
pub async fn admit(visitor: Visitor, gate: &Gate) -> Result<Admitted, AdmitError> {
    let error = match gate.admit(&visitor.name).await {
        Ok(admitted) => return Ok(Admitted { visitor, site: admitted.site, freshness: admitted.freshness }),
        Err(Refusal::Denied) => AdmitError::Denied,
        Err(Refusal::Unavailable) => AdmitError::Unavailable,
    };
    visitor.refuse(error.alert()).await;
    Err(error)
}
