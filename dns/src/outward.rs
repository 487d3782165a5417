//! HTTP to places that strangers name: receivers of webhooks, DNS providers that a zone says it is with.
//!
//! [`Targets`] says where requests may go and [`client`] makes the one kind of client that goes there: no redirect, no
//! proxy, no cookie, TLS verified, and only addresses that were looked at after resolving.

mod client;
mod targets;

pub use client::{HttpError, client};
pub use targets::{TargetError, Targets, refusal};
