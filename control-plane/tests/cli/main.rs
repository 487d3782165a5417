//! The binary as an operator types it.

#![expect(clippy::unwrap_used, reason = "clippy knows only functions marked as tests; their fixtures are tests too")]

mod harness;

mod commands;
mod domain_connect;
mod running;
mod settings;
