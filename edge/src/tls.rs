//! The TLS policy: one for the process, a certificate filled in for each connection.
//!
//! A copy of the policy is a dozen reference counts. The certificate is handed over rather than looked up again by a
//! resolver, which could find that the cache has evicted it since.

mod bound;

use std::sync::Arc;

use certs::Leaf;
use control_client::Site;
use rustls::{
    ServerConfig,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::hello::ACME_TLS_ALPN;
use bound::Bound;

/// TLS 1.2 and 1.3 with aws-lc-rs, X25519MLKEM768 preferred, h2 and http/1.1, tickets, no early data.
///
/// # Errors
/// When the ticket keys cannot be made or the provider lacks a protocol version.
pub fn policy() -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Chosen(None)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    // Sessions are kept by visitors alone: what is kept here would be bound to no record, and locked by every handshake.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // One, as Go's servers send: every connection brings the next. Each more costs 2 % of a handshake.
    config.send_tls13_tickets = 1;
    // Early data can be replayed (RFC 8446 section 8): an edge in front of strangers' applications takes none.
    config.max_early_data_size = 0;
    Ok(config)
}

/// The policy with the certificate of a visitor's name, and with tickets for its record alone.
pub(crate) fn for_visitor(policy: &ServerConfig, leaf: &Leaf, site: &Site) -> Arc<ServerConfig> {
    let mut config = policy.clone();
    config.ticketer = Arc::new(Bound::new(config.ticketer, site));
    config.cert_resolver = Arc::new(Chosen(Some(leaf.certified_key().clone())));
    Arc::new(config)
}

/// The policy with the certificate of a challenge.
pub(crate) fn for_probe(policy: &ServerConfig, key: Arc<CertifiedKey>) -> Arc<ServerConfig> {
    let mut config = policy.clone();
    config.alpn_protocols = vec![ACME_TLS_ALPN.to_vec()];
    config.cert_resolver = Arc::new(Chosen(Some(key)));
    Arc::new(config)
}

/// The certificate that was chosen before the handshake began; none in the policy itself.
#[derive(Debug)]
struct Chosen(Option<Arc<CertifiedKey>>);

impl ResolvesServerCert for Chosen {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
}
