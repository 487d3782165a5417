//! The database: SQLite by default, PostgreSQL by URL, one SQL text for both.
//!
//! All SQL of the control plane stands in this module, one file a table; each function takes a [`Session`], so that its
//! caller decides what is one transaction. Nothing here decides anything about claims, keys or events.
//!
//! Locks are always taken in this order, so that no two transactions wait for each other: hostname row, claim rows,
//! usage counters, account rows by id, counters. On SQLite the one writer makes this moot.

mod asks;
mod connect;
pub(crate) mod credentials;
mod error;
mod health;
mod migrate;
mod session;
mod sql;

pub(crate) mod accounts;
pub(crate) mod api_keys;
pub(crate) mod applications;
pub(crate) mod attempts;
pub(crate) mod audit;
pub(crate) mod certificates;
pub(crate) mod claims;
pub(crate) mod deliveries;
pub(crate) mod endpoints;
pub(crate) mod events;
pub(crate) mod facts;
pub(crate) mod gate;
pub(crate) mod hostnames;
pub(crate) mod idempotency;
pub(crate) mod jobs;
pub(crate) mod proofs;
pub(crate) mod records;
pub(crate) mod sealed;
pub(crate) mod usage;
pub(crate) mod visits;
pub(crate) mod writes;

pub use asks::Asks;
pub use connect::{Db, DbOptions};
pub use error::DbError;
pub use health::Health;
pub use session::Session;
pub(crate) use sql::{Arg, Rows, Sql, sql};

/// Greater than every id: where the first page begins when the newest come first.
pub(crate) const AFTER_ALL: &str = "~";
