//! Real peers for tests, benches and the demo: a CA, its DNS, an ask endpoint, an origin, clients, and the two binaries
//! of the product.
//!
//! Everything is started on a [`Loopback`] address of its own, so parallel tests never meet on a port; everything is
//! stopped and awaited in `Drop`; nothing sleeps to wait for truth, it asks until the answer is there
//! ([`wait::until`]).
//!
//! Functions here panic when a peer cannot be set up: a test cannot go on without it, and the message is the report.
//! This crate knows no type of the product. It meets the edge and the control plane as an operator does: by their
//! binaries, their configuration text and their ports.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a harness that cannot set up its peer stops the test where it stands, and shows the peer's log"
)]

mod acme_proxy;
mod binary;
mod bind;
mod body;
mod ca;
mod cable;
mod cache;
mod caddy;
pub mod client;
mod control;
mod control_plane;
mod daemon;
mod dns;
mod document;
mod domain_connect;
mod edge;
mod gate;
pub mod kernel;
mod latch;
mod loopback;
mod origin;
mod pebble;
mod postgres;
pub mod provider;
mod receiver;
mod server;
mod shell;
mod toml_text;
pub mod wait;
mod zone_server;

pub use acme_proxy::{AcmeProxy, Answer, Kind};
pub use binary::path_with_binaries;
pub use bind::{Bind, Key, ZoneLine};
pub use body::Body;
pub use ca::{Ca, Identity};
pub use cable::Cable;
pub use cache::cached;
pub use caddy::Caddy;
pub use control::{Damage, FakeControl};
pub use control_plane::{ControlOptions, ControlProcess};
pub use dns::{Dns, DnsServer};
pub use document::{Block, Document};
pub use domain_connect::{Manner, TemplateProvider};
pub use edge::{EdgeOptions, EdgeProcess, Predecessor, Rival};
pub use gate::{FakeGate, Reply};
pub use loopback::Loopback;
pub use origin::{BadOrigin, Echo, Misbehaviour, Origin, Passing, RecordRelay};
pub use pebble::{Pebble, PebbleOptions};
pub use postgres::Postgres;
pub use receiver::{Message, Receiver, Taking};
pub use shell::Shell;
pub use zone_server::{Line, ZoneServer};
