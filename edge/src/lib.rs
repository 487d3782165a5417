//! The edge: accept, hello, gate, certificate, route, origin.
//!
//! [`serve()`] is the one line that every connection goes through; each stage takes only what the stage before it hands
//! over, so that none can be skipped. What is decided about a request's head is in [`http`], how it is passed on in [`proxy`].
//!
//! This crate knows no database, no account, no rule about who owns a name: it asks the gate. It does not know how a
//! certificate is obtained: it asks [`certs`].

pub mod access_log;
pub mod admin;
pub mod admin_client;
pub mod admit;
pub mod ahead;
pub mod arrive;
pub mod assemble;
pub mod breaker;
pub mod connection;
pub mod control;
pub mod dns01;
pub mod explain;
pub mod fair;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod gather;
pub mod guard;
pub mod health;
pub mod hello;
pub mod herald;
pub mod http;
pub mod http1;
pub mod http2;
mod http_server;
pub mod issuers;
pub mod listen;
pub mod managed;
pub mod metrics;
pub mod origin;
pub mod panics;
pub mod permit;
pub mod plain;
pub mod policy;
pub mod preflight;
pub mod probe;
pub mod proxy;
pub mod proxy_protocol;
pub mod reload;
pub mod rollover;
pub mod secure;
pub mod serve;
pub mod standing;
pub mod storage;
mod tick;
pub mod tls;
pub mod upgrade;
pub mod watchdog;

pub use serve::serve;
