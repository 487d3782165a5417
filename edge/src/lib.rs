//! The edge: accept, hello, gate, certificate, route, origin.
//!
//! [`serve`] is the one line that every connection goes through; each stage takes only what the stage before it hands
//! over, so that none can be skipped. Pingora proxies the requests; what is decided about a request is in [`http`].
//!
//! This crate knows no database, no account, no rule about who owns a name: it asks the gate. It does not know how a
//! certificate is obtained: it asks [`certs`].

pub mod serve;
pub mod hello;
pub mod probe;
pub mod admit;
pub mod secure;
pub mod tls;
pub mod connection;
pub mod proxy;
pub mod http;
pub mod origin;
pub mod policy;
pub mod listen;
pub mod plain;
mod http_server;
pub mod admin_client;
pub mod admin;
pub mod health;
pub mod explain;
pub mod reload;
pub mod issuers;
pub mod permit;
pub mod metrics;
pub mod access_log;
pub mod assemble;
pub mod upgrade;

pub use serve::serve;
