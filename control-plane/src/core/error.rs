//! [`CoreError`]: everything that a core function may answer instead of its result.
//!
//! Surfaces give each its status, code and words; the core only says what happened.

use names::HostnameError;

use super::{NameRule, Reason, SealError, UsageKind};
use crate::db::DbError;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CoreError {
    /// No such thing, or another account's: nobody is told which.
    #[error("no such {what}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// The key is not known, not valid or revoked.
    #[error("the key is not valid")]
    Unauthorized,
    /// The key does not have the scope.
    #[error("the key lacks the scope {scope}")]
    LacksScope {
        /// What it lacks.
        scope: super::Scope,
    },
    /// A value breaks a rule. `pointer` says which one (RFC 6901).
    #[error("{detail}")]
    Invalid {
        /// Where it stands in the body.
        pointer: String,
        /// The rule.
        detail: String,
    },
    /// A text is not a hostname.
    #[error("the hostname cannot be used")]
    BadHostname(#[source] HostnameError),
    /// A hostname that nobody may claim.
    #[error("the hostname cannot be claimed")]
    NameRefused(#[source] NameRule),
    /// The hostname is served for another claim, or this account has a claim of it already.
    #[error("the hostname {hostname} is claimed already")]
    HostnameConflict {
        /// Which.
        hostname: String,
        /// The account's own claim; another account's is nobody's business.
        own_connection: Option<String>,
    },
    /// The proof of ownership is not there.
    #[error("ownership is not shown")]
    OwnershipNotFound {
        /// What to change.
        reason: Box<Reason>,
    },
    /// The claim is archived or failed: nothing can be done with it any more.
    #[error("the connection is {lifecycle}")]
    WrongState {
        /// What it is.
        lifecycle: super::Lifecycle,
    },
    /// The webhook endpoint is told nothing any more.
    #[error("the webhook endpoint is disabled")]
    EndpointDisabled,
    /// The plan's limit is reached.
    #[error("the limit of {limit} of the plan {plan} is reached")]
    QuotaExceeded {
        /// Of what.
        kind: UsageKind,
        /// How much the plan has.
        limit: i64,
        /// Its name.
        plan: String,
    },
    /// The same idempotency key is in use by a request that has not ended.
    #[error("a request with this idempotency key is under way")]
    IdempotencyInFlight,
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyReused,
    /// There is no key to seal a secret under.
    #[error("no key file is set, so no secret can be kept")]
    NoKeyring,
    /// Two changes of one claim met; the second may be tried again.
    #[error("the connection was changed at the same time")]
    Raced,
    /// A secret could not be sealed or opened.
    #[error("a secret could not be sealed or opened")]
    Seal(#[source] SealError),
    /// The database.
    #[error("the record was not read or written")]
    Db(#[source] DbError),
}

impl From<DbError> for CoreError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<SealError> for CoreError {
    fn from(error: SealError) -> Self {
        Self::Seal(error)
    }
}

impl CoreError {
    pub(crate) fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid { pointer: pointer.into(), detail: detail.into() }
    }
}
