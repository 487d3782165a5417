//! Clients: a TLS client that tells what it saw, HTTP over it, ClientHellos that no library would send, and the two
//! programs that operators type.

pub mod frames;
mod hello;
pub mod http;
mod program;
mod raw;
mod tls;

pub use hello::{HelloAnswer, Sni, hello_bytes, send_bytes, send_hello};
pub(crate) use program::run;
pub use program::{Curl, Output, SClient};
pub use raw::{Raw, RawResponse};
pub use tls::{Refused, TlsClient, Visit, WebSocket};
