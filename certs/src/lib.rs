//! Certificates: decide, issue, store, renew.
//!
//! [`Certificates`] is the one handle: it finds a certificate in memory, loads it from the store, or has it issued by a
//! manager that no visitor owns. Challenges of orders in flight are answered from [`Challenges`].
//!
//! This crate knows nothing of Pingora, of HTTP proxying, of sockets that visitors use, or of who may have a
//! certificate: its caller has asked the gate.

mod account;
mod acme;
mod budget;
mod certificates;
mod challenges;
mod dns01;
mod failures;
mod file_store;
#[cfg(test)]
mod fixture;
mod fleet;
mod import;
mod internal;
mod issuer;
mod jitter;
mod leaf;
mod life;
#[cfg(test)]
mod memory_store;
mod observer;
#[cfg(feature = "postgres")]
mod postgres_store;
mod preflight;
mod seal;
mod store;

pub use acme::{AcmeError, AcmeIssuer, ClockSkew, ExternalAccount, HttpError, ORDER_TIMEOUT, Settings as AcmeSettings};
pub use certificates::{
    CertificateView, Certificates, LoadError, ObtainError, Permission, Permit, Settings as CertificatesSettings,
    Tenancy,
};
pub use challenges::{Challenges, Guard, OfferError};
pub use dns01::{ChallengeRecord, DnsError, DnsSolver};
pub use failures::{Attempt, Failure, Fault};
pub use file_store::{FileStore, OpenError, Swept};
pub use fleet::{Changes, Fleet, Lease, Offer};
pub use import::{ImportError, ImportReport, ImportSource, SkipReason, Skipped, UnknownSource, import};
pub use internal::{InternalCa, InternalCaError};
pub use issuer::{
    ChallengeKind, IssueError, Issued, Issuer, IssuerKey, OrderLimits, Progress, Rate, RenewalHint, RolloverError,
};
pub use leaf::{Leaf, LeafError};
pub use observer::{Observer, Step};
#[cfg(feature = "postgres")]
pub use postgres_store::{PostgresError, PostgresSettings, PostgresStore};
pub use preflight::{Applicant, Obstacle, Preflight};
pub use seal::{Kept, Seal, SealProblem};
pub use sealing::SealError;
pub use store::{Bundle, Leaving, Scanned, Store, StoreError};
