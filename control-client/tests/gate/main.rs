//! Promises of the gate, against a real HTTP endpoint on a port of its own.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "helpers of tests fail loudly, as tests do")]

mod answers;
mod endpoint;
mod flights;
mod harness;
mod outage;
