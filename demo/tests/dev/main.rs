//! `make dev` as a newcomer meets it: start it, type what it prints and what the documents say, press Ctrl-C.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "clippy knows only functions marked as tests; their fixtures are tests too"
)]

mod documents;
mod harness;
mod quickstart;
mod reader;
mod receiver;
mod starting;
