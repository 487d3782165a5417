//! The names of the field, parsed once at the door.
//!
//! [`Hostname`] is a customer's name in canonical form. SNI, `Host`, `:authority`, configuration, stored entries and
//! ACME identifiers all become a `Hostname` through the one canonicaliser here, so that two spellings of one name can
//! never be two keys. [`Subject`] is what a certificate may be for beside it: a wildcard. [`Tenant`] is whose a name is.
//! [`is_public`] says which addresses may be dialled for a name that a stranger chose. [`Lookalikes`] says which names may
//! be read as another's. [`registrable`] and its kin read the public suffix list.
//!
//! This crate does no I/O, knows no clock, no runtime and no certificate. It does not know which names exist.

mod address;
mod hostname;
mod lookalike;
mod subject;
mod suffix;
mod tenant;

pub use address::is_public;
pub use hostname::{Hostname, HostnameError, MAX_HOSTNAME, MAX_LABEL};
pub use lookalike::{Lookalikes, Suspicion};
pub use subject::Subject;
pub use suffix::{is_apex, is_below_public_suffix, is_public_suffix, registrable};
pub use tenant::{Tenant, TenantError};
