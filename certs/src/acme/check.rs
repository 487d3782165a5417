//! What came back, held against what was asked for.

use clock::Timestamp;
use instant_acme::CertificateIdentifier;
use names::Subject;
use rustls_pki_types::{CertificateDer, pem::PemObject};

use crate::{Bundle, IssueError, Leaf};

/// Whether `bundle` is a certificate for `name` alone that can be served: its key, its names, its period.
pub(super) fn check(bundle: &Bundle, name: &Subject, now: Timestamp) -> Result<(), IssueError> {
    let leaf = Leaf::parse(bundle).map_err(|error| unusable(telemetry::chain(&error).to_string()))?;
    if !leaf.is_named(name) || leaf.names().count() > 1 {
        let names: Vec<_> = leaf.names().take(10).collect();
        return Err(unusable(format!("it is for {} instead of {name}", names.join(", "))));
    }
    match leaf.not_after() <= now {
        true => Err(unusable(format!("it expired at {}", leaf.not_after()))),
        false => Ok(()),
    }
}

pub(super) fn unusable(problem: String) -> IssueError {
    IssueError::Unusable { problem }
}

/// The name that RFC 9773 (section 4.1) gives a certificate, if it has what that takes.
pub(super) fn identifier(bundle: &Bundle) -> Option<CertificateIdentifier<'static>> {
    let leaf = CertificateDer::pem_slice_iter(bundle.chain_pem.as_bytes()).next()?.ok()?;
    let identifier = CertificateIdentifier::try_from(&leaf).ok()?;
    Some(identifier.into_owned())
}
