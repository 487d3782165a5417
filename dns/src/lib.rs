//! What the DNS says about a customer's name, and what should be changed there.
//!
//! [`Resolvers`] asks several recursive servers and the zone's own servers, each by itself, and keeps their answers
//! apart. An [`Answer`] is one of three: present, absent, or indeterminate with a reason. A server that fails, refuses,
//! lies about its role or stays silent has said nothing, and nothing is ever concluded from nothing: [`merge`] holds
//! the one rule by which answers become a verdict, [`Drift`] the one by which verdicts over time become a demotion.
//!
//! The surprising thing: questions go out through a small exchange of our own (one socket and one random port a
//! question), with hickory's codec. A pooled resolver hides which server said what, retries past the timeout it was
//! given, and answers some names without asking.
//!
//! This crate knows no database, no claim and no account. It never writes a record and never decides whether a gate
//! opens.

mod answer;
pub mod check;
pub mod domain_connect;
mod drift;
mod exchange;
mod forms;
#[cfg(fuzzing)]
pub mod fuzzing;
mod limits;
pub mod merge;
mod metrics;
mod name;
pub mod outward;
pub mod provider;
mod reply;
mod resolvers;
mod server;
mod values;
mod world;
mod zone;

pub use answer::{Absence, Answer, Reason};
pub use drift::{Drift, DriftPolicy, DriftState};
pub use forms::relative_host;
pub use limits::Limits;
pub use metrics::Metrics;
pub use name::{NameError, OwnerName};
pub use resolvers::{Authority, Resolvers, ResolversConfig, ResolversError};
pub use server::{Role, Server, ServerError, Transport};
pub use values::{Addresses, CaaRecord};
