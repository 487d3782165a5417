//! What the core promises, on SQLite and on a real PostgreSQL alike.

mod claims;
mod concurrency;
mod harness;
mod idempotency;
mod keys;
mod outbox;
