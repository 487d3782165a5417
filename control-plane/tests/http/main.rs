//! The HTTP surfaces as clients meet them: the real process, curl, a real DNS server, both databases.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "the harness stops a test where it stands"
)]

mod asked_by_caddy;
mod bad_input;
mod browsers;
mod credentials;
mod dns_faults;
mod domain_connect;
mod domains;
mod harness;
mod idempotency;
mod instructions;
mod internal;
mod killed;
mod names;
mod openapi;
mod outage;
mod preflight;
mod quickstart;
mod schemathesis;
mod secrets;
mod tenants;
mod throttle;
mod webhooks;
mod writing;
