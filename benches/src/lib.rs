//! Measures what one operation costs the edge, and the same operation on other servers in the same minutes.
//!
//! The machine this runs on drifts, so no figure here means anything alone: every round measures every server in turn,
//! the round gives one ratio to the best peer, and the median of the rounds is the result. The server under test has one
//! core to itself; the client and the origin share the other.
//!
//! Nothing here knows how the edge works: it is a command line, a configuration and a listening port like its peers. The
//! one exception is the program `layers`, which runs a part of it by itself.

pub mod bed;
pub mod chart;
pub mod client;
pub mod floor;
pub mod issuance;
pub mod load;
pub mod machine;
pub mod origin;
pub mod pki;
pub mod process;
pub mod progress;
pub mod report;
pub mod results;
pub mod rounds;
pub mod run;
pub mod server;
pub mod start_up;
pub mod stats;
pub mod store;
pub mod work;
