//! The second stage: may this name be served at all?

use control_client::{Freshness, Gate, Refusal};

use crate::{
    hello::{Alert, Visitor},
    standing::Admission,
};

/// A visitor whose name the gate admits.
#[derive(Debug)]
pub struct Admitted {
    /// The visitor.
    pub visitor: Visitor,
    /// What the gate says about the name.
    pub admission: Admission,
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
    // Taken before the gate is asked: a change that comes meanwhile is noticed by the first request.
    let version = gate.version();
    let error = match gate.admit(&visitor.name).await {
        Ok(admitted) => {
            let admission = Admission::new(admitted.site, version);
            return Ok(Admitted { visitor, admission, freshness: admitted.freshness });
        }
        Err(Refusal::Denied) => AdmitError::Denied,
        Err(Refusal::Unavailable) => AdmitError::Unavailable,
    };
    visitor.refuse(error.alert()).await;
    Err(error)
}
