//! Promises of the line to the control plane, against a real HTTP one that is scripted.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly, as tests do")]

mod alone;
mod events;
mod harness;
mod known;
mod outage;
mod reports;
mod restart;
mod snapshots;
