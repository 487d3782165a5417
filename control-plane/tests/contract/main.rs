//! What the core promises, on SQLite and on a real PostgreSQL alike.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "the harness stops a test where it stands")]

mod away;
mod claims;
mod concurrency;
mod harness;
mod idempotency;
mod keys;
mod outbox;
mod policies;
mod preflight;
mod restoring;
mod schedule;
mod sealing;
mod visits;
mod webhooks;
mod writing;
