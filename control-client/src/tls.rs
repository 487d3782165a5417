//! TLS towards endpoints of the operator, as the machine trusts it.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_platform_verifier::BuilderVerifierExt;

/// For a plain endpoint, which never speaks TLS and must not need the machine's trusted roots.
///
/// # Errors
/// The provider knows no protocol version.
pub(crate) fn none() -> Result<ClientConfig, rustls::Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// For an `https` endpoint.
///
/// # Errors
/// The machine trusts nobody.
pub(crate) fn platform() -> Result<ClientConfig, rustls::Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    Ok(config.with_safe_default_protocol_versions()?.with_platform_verifier()?.with_no_client_auth())
}
