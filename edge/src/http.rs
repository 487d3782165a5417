//! What the edge does to request and response heads: plain functions, no sockets, no Pingora.
//!
//! The proxy's hooks are thin adapters to these, and a leaner request path can call them the same way.

pub mod answer;
pub mod challenge;
pub mod forward;
pub mod host;
pub mod loops;
pub mod partial;
pub mod record;
pub mod redirect;
pub mod websocket;

pub use head::Head;

mod head;
