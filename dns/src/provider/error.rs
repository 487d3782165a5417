//! [`ProviderError`]: what went wrong at a provider, in kinds that say what to do and words that a customer understands.

use std::time::Duration;

/// What a provider, or the way to it, had against a request.
///
/// Never holds a credential, a URL or a body: only [`said`](Self::said), the provider's own sentence, cut and redacted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{provider}: {problem}")]
pub struct ProviderError {
    /// The provider's name for people.
    pub provider: &'static str,
    /// What it is.
    pub problem: Problem,
    /// What the provider said, at most 300 characters.
    pub said: Option<String>,
}

/// The kinds of trouble.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The provider does not know the credential.
    #[error("the credential is not accepted: it may be mistyped, expired or revoked")]
    Auth,
    /// The stored text cannot be a credential of this provider. Holds the expected form.
    #[error("the credential does not have the form {0}")]
    BadCredential(&'static str),
    /// The zone is no longer what the plan was made for.
    #[error("the zone has changed since the change was shown: look at the new preview")]
    Changed,
    /// Records that cannot stand beside the new ones.
    #[error("other records of the name stand in the way")]
    Conflict,
    /// The credential may not do this.
    #[error("the credential is accepted but may not change records of this zone")]
    Forbidden,
    /// The provider refuses the content.
    #[error("the provider refuses the record")]
    Invalid,
    /// The account must first become entitled to use the interface. Holds the provider's condition.
    #[error("the account may not use the provider's interface: {0}")]
    NotEligible(&'static str),
    /// Too many requests.
    #[error("the provider takes no more requests for now")]
    RateLimited {
        /// When it will take some again, if it said so.
        retry_after: Option<Duration>,
    },
    /// An answer that breaks a bound of ours.
    #[error("the answer exceeds the limit of {0}")]
    TooLarge(&'static str),
    /// No answer, or one that says nothing about the request. Holds what happened.
    #[error("no usable answer came: {0}")]
    Transient(&'static str),
    /// The provider cannot do this.
    #[error("the provider does not support this: {0}")]
    Unsupported(&'static str),
    /// No zone of the account holds the name.
    #[error("no zone of this account holds the name")]
    ZoneNotFound,
}

impl Problem {
    /// A stable word for metrics, the API and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::BadCredential(_) => "bad_credential",
            Self::Changed => "changed",
            Self::Conflict => "conflict",
            Self::Forbidden => "forbidden",
            Self::Invalid => "invalid",
            Self::NotEligible(_) => "not_eligible",
            Self::RateLimited { .. } => "rate_limited",
            Self::TooLarge(_) => "too_large",
            Self::Transient(_) => "transient",
            Self::Unsupported(_) => "unsupported",
            Self::ZoneNotFound => "zone_not_found",
        }
    }

    /// Whether a write that ended so may have happened all the same.
    pub(crate) fn is_unclear(&self) -> bool {
        matches!(self, Self::Transient(_))
    }

    /// Whether the same request may succeed later without anybody doing anything.
    pub fn passes(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Transient(_) => true,
            Self::Auth
            | Self::BadCredential(_)
            | Self::Changed
            | Self::Conflict
            | Self::Forbidden
            | Self::Invalid
            | Self::NotEligible(_)
            | Self::TooLarge(_)
            | Self::Unsupported(_)
            | Self::ZoneNotFound => false,
        }
    }
}

impl ProviderError {
    pub(crate) fn new(provider: &'static str, problem: Problem) -> Self {
        Self { provider, problem, said: None }
    }

    /// What the customer should do, as whole sentences.
    pub fn advice(&self) -> String {
        let name = self.provider;
        match &self.problem {
            Problem::Auth => format!("{name} does not accept the credential. Create a new one and store it again."),
            Problem::BadCredential(form) => format!("A credential of {name} has the form {form}. Store it again."),
            Problem::Changed => {
                format!("Somebody changed these records at {name} meanwhile. Look at the preview and confirm it again.")
            }
            Problem::Conflict => format!(
                "Another record at {name} cannot stand beside the new one. Remove it there, or connect another name."
            ),
            Problem::Forbidden => {
                format!("{name} knows the credential, but it may not change this zone. Give it the right to edit it.")
            }
            Problem::Invalid => format!("{name} refuses the record. Its own words say why."),
            Problem::NotEligible(condition) => format!("{name}: {condition}"),
            Problem::RateLimited { retry_after: Some(after) } => {
                format!("{name} takes no more requests now. We go on in {} seconds by ourselves.", after.as_secs())
            }
            Problem::RateLimited { retry_after: None } => {
                format!("{name} takes no more requests now. We go on later by ourselves.")
            }
            Problem::TooLarge(_) => format!("The zone at {name} is larger than we handle. Add the records by hand."),
            Problem::Transient(_) => format!("{name} cannot be reached at present. We try again by ourselves."),
            Problem::Unsupported(_) => format!("{name} cannot do this through its interface. Add the records by hand."),
            Problem::ZoneNotFound => format!(
                "The account at {name} has no zone for this name. Check that the credential is of the account that \
                 holds the domain."
            ),
        }
    }
}
