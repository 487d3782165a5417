//! Domain Connect: a customer's DNS provider writes our records itself, after the customer said yes on its own page.
//!
//! draft-ietf-dconn-domainconnect, the synchronous flow. The zone names a host in `TXT _domainconnect.<zone>`; that host
//! tells its [`Settings`]; the provider says whether it knows our template ([`Client::supports`]); the customer's browser
//! is sent to a signed address ([`apply_url`]) and comes back to one of ours. The provider takes the public key
//! ([`SigningKey::records`]) from our DNS.
//!
//! Everything here is a stranger's word: the record, the settings, each address in them. So requests go over HTTPS to
//! public addresses alone, follow no redirect, end after seconds and read a few KiB ([`outward`](crate::outward)). And a
//! browser that comes back proves nothing: what the DNS shows afterwards does.
//!
//! This module knows no connection and no account; it never writes a record.

mod client;
mod key;
mod limits;
mod link;
mod metrics;
mod settings;
mod template;
mod why;

pub use client::{Client, Reach};
pub use key::{KeyError, SigningKey};
pub use link::{Apply, apply_url};
pub use metrics::ClientMetrics;
pub use settings::Settings;
pub use template::{Service, TemplateText, Wish, template};
pub use why::Why;
