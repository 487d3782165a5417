//! Promises about a real CA: Pebble, strict, without sleeps.

#![expect(clippy::unwrap_used, reason = "a peer that cannot be set up stops the test where it stands")]

#[path = "pebble/answering.rs"]
mod answering;
#[path = "pebble/dns01.rs"]
mod dns01;
#[path = "pebble/failing.rs"]
mod failing;
#[path = "pebble/issuing.rs"]
mod issuing;
#[path = "pebble/looking.rs"]
mod looking;
#[path = "pebble/managing.rs"]
mod managing;
#[path = "pebble/moving.rs"]
mod moving;
#[path = "pebble/rolling.rs"]
mod rolling;
#[path = "pebble/scene.rs"]
mod scene;
#[path = "pebble/sealing.rs"]
mod sealed;
#[path = "pebble/skew.rs"]
mod skew;
