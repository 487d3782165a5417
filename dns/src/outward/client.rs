//! [`client`]: no redirect, no proxy, no cookie, HTTP/1.1, TLS verified.

use std::{sync::Arc, time::Duration};

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use rustls_platform_verifier::BuilderVerifierExt as _;

use super::targets::Targets;

/// Connections that are kept open to one place between requests.
const IDLE_CONNECTIONS: usize = 2;
/// For how long: less than the 60 s after which common servers close them.
const IDLE: Duration = Duration::from_secs(30);
/// Header fields of an answer; nobody sends as many in good faith.
const MAX_HEADERS: usize = 64;

/// The client cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The HTTP client refuses its settings.
    #[error("the HTTP client cannot be built")]
    Client(#[source] reqwest::Error),
    /// A root certificate cannot be read.
    #[error("the root certificates cannot be read")]
    Roots,
    /// The TLS settings are refused, or the machine trusts nobody.
    #[error("the TLS client cannot be built")]
    Tls(#[source] rustls::Error),
}

/// A client that goes to `targets` alone, trusting the machine's roots or, instead, those of a PEM text. It gives no
/// deadline to a request: whoever sends one knows how long it may take.
///
/// # Errors
/// [`HttpError`].
pub fn client(targets: &Targets, roots: Option<&str>, user_agent: &str) -> Result<reqwest::Client, HttpError> {
    let client = reqwest::Client::builder()
        .user_agent(user_agent)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        // Whoever repeats a request knows why.
        .retry(reqwest::retry::never())
        .http1_only()
        .http1_max_headers(MAX_HEADERS)
        .tcp_nodelay(true)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE)
        .tls_backend_preconfigured(tls(roots)?);
    let client = match targets.resolver() {
        None => client,
        Some(resolver) => client.https_only(true).dns_resolver(resolver),
    };
    client.build().map_err(HttpError::Client)
}

fn tls(roots: Option<&str>) -> Result<ClientConfig, HttpError> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(HttpError::Tls)?;
    let Some(pem) = roots else {
        return Ok(config.with_platform_verifier().map_err(HttpError::Tls)?.with_no_client_auth());
    };
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        store.add(root.map_err(|_| HttpError::Roots)?).map_err(HttpError::Tls)?;
    }
    Ok(config.with_root_certificates(store).with_no_client_auth())
}
