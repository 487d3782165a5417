//! The manager, with an issuer that does what the test says and a clock that stands still until it is moved.

mod counting;
mod moving;
mod obtaining;
mod releasing;
mod renewing;
mod scene;
mod sharing;
mod storing;
mod telling;
mod wildcards;
