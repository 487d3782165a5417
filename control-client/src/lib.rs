//! The edge's view of the gate: may this hostname be served, and where do its requests go?
//!
//! [`Gate::admit`] answers from memory, or asks the configured endpoint once for everyone who waits. Denied and broken
//! are different things: a denial is remembered and ends in [`Refusal::Denied`]; an error lets a name that was allowed
//! within the last days pass as [`Freshness::Stale`] and refuses every other name.
//!
//! The surprising thing: the last allowing answer of every name is also a small file (a *record*), so that a restart
//! while the endpoint is down still knows the names it served before. Records are written behind the answer, never
//! before it, and read only for names that have one.
//!
//! With a control plane of our own, [`Control`] keeps a [`Directory`] of all known names, and a gate made
//! [with it](Gate::with_directory) asks only about the others.
//!
//! This crate knows no TLS towards visitors, no certificate, no proxying, no HTTP request of a visitor. It does not
//! judge spellings either: whatever is no [`names::Hostname`] was refused before.

mod answer;
mod ask;
mod control;
mod flights;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gate;
mod memory;
mod metrics;
mod origin;
mod pace;
mod records;
mod sampler;
mod settings;
mod site;
mod tls;

pub use control::{
    Control, ControlError, ControlLimits, ControlSettings, Delivery, Directory, Event, Feed, Listed, Listener, Reporter,
};
pub use gate::{Explanation, Gate, GateError, Source};
pub use origin::{Host, Origin, OriginError, Scheme};
pub use settings::{GateLimits, GateSettings};
pub use site::{Admitted, Freshness, Refusal, Site, Whose};
