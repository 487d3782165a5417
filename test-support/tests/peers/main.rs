//! The harness proves its own parts, each against a real peer.

#![expect(clippy::unwrap_used, reason = "clippy knows only functions marked as tests; their fixtures are tests too")]

mod acme;
mod client;
mod gate;
mod loopback;
mod origin;
mod shell;
