//! The HTTP surfaces as clients meet them: the real process, curl, a real DNS server, both databases.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "the harness stops a test where it stands"
)]

mod bad_input;
mod harness;
mod internal;
mod openapi;
mod quickstart;
mod webhooks;
