//! Records written at a customer's DNS provider, on the customer's behalf.
//!
//! # Design
//!
//! **One engine, many wire shapes.** An [`Adapter`] says how a provider finds a zone, lists records and takes a change;
//! it never decides what to change. [`plan()`] decides, purely: what is desired, what is there and what we wrote before
//! go in, a [`Plan`] comes out that can be shown to the customer. [`Provider::apply`] carries out what was shown.
//!
//! **Three families.** Providers differ in how they take a change, and in nothing else that matters: single records with
//! ids ([`Records`]), record sets that are put as a whole ([`Sets`]), whole zones that are replaced ([`Whole`]). The
//! engine turns a plan into the steps of the family, in an order that never leaves a name without its record where the
//! provider allows that: create before delete, replace in place where there is an edit call. A CNAME cannot stand beside
//! anything, so a change of type deletes first unless the provider takes both in one call.
//!
//! **The zone is the memory.** After any failure whose outcome is unknown the zone is listed and planned again; nothing
//! is repeated blindly. The same holds for a process that was killed: the next run plans from what it finds and
//! completes it. A zone that already holds what is desired costs one listing and no write. A final refusal halfway is
//! undone by a plan back to the sets that stood there before.
//!
//! **What is never touched.** Only names that are desired or that we wrote before are looked at. A TXT set is merged.
//! Address and CNAME records of a routed name are replaced, and the plan says which of them were not ours
//! ([`Plan::displaced`]). Whatever else stands at a name (MX, CAA, an ALIAS of the provider's own) is kept, or is a
//! [`Conflict`] when it cannot stay beside the new record; then nothing is written. When the zone has changed since the
//! plan was shown so that more would be displaced, [`Problem::Changed`] asks for a new look.
//!
//! **Writes to one zone are in a row.** Sets and whole zones are read, merged and written back; two writers would undo
//! each other. [`ZoneLocks`] holds them apart within one process; between processes the caller does.
//!
//! **One HTTP layer** has the base URL (fixed per provider, over HTTPS, replaced as a whole in tests), credentials,
//! deadlines, bounded bodies and pages, `Retry-After`, no redirects. Whatever a provider says goes through a redaction of
//! every secret that was sent before it reaches an error; transport errors are named, never quoted.
//!
//! This module knows no tenant, no database and no key: credentials come in as text and live in a [`Secret`].

mod adapter;
mod adapters;
mod api;
mod apply;
mod aws;
mod catalogue;
mod conflict;
mod encoding;
mod error;
mod facts;
mod guide;
mod http;
mod locks;
mod operators;
mod plan;
mod record;
mod reply;
mod rest;
mod secret;
mod steps;
mod token;
mod zonefile;

pub use adapter::{Adapter, Records, SetChange, Sets, Value, Whole, Writes};
pub use apply::{Applied, Failed, Left, Pace, Provider, Undo};
pub use catalogue::{catalogue, connect};
pub use conflict::{Conflict, Obstacle};
pub use error::{Problem, ProviderError};
pub use facts::Facts;
pub use guide::Entry;
pub use http::{Bases, Http, HttpLimits, HttpSetupError};
pub use locks::ZoneLocks;
pub use operators::{HostForm, Operator, operator_of, operators};
pub use plan::{Change, Plan, Request, Written, plan};
pub use record::{Record, Stored, Zone};
pub use secret::Secret;
