//! Checks against real servers: a scripted one over UDP and TCP, and Pebble's own.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "clippy knows only functions marked as tests; their fixtures are tests too"
)]

mod authority;
mod everywhere;
mod exchange;
mod load;
mod order;
mod ownership;
mod pebble;
mod preflight;
mod records;
mod scene;
