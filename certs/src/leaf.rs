//! [`Leaf`]: a certificate chain with its key, parsed once and ready for rustls.
//!
//! Everything that could make a handshake fail is found here: a chain or key that does not parse, a key of another
//! certificate, a certificate without names, a CA certificate. The validity period is not: an expired leaf parses, since
//! its renewal needs it, and [`Leaf::is_valid_at`] says whether it may be served.
//!
//! A leaf keeps the DER chain, the signing key and a few fields: 2 to 4 KiB for an ECDSA chain of two.

use std::{fmt, sync::Arc};

use clock::Timestamp;
use names::{Hostname, Subject, Tenant};
use rustls::{CertificateError, InconsistentKeys, SignatureAlgorithm, crypto::aws_lc_rs, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::{Bundle, IssuerKey};

/// A certificate chain with its key, ready to be served.
pub struct Leaf {
    /// Chain and signing key in rustls' form.
    certified: Arc<CertifiedKey>,
    /// Whose certificate it is.
    issuer: IssuerKey,
    /// Whom it was ordered for, where that was known.
    tenant: Option<Tenant>,
    /// Start of validity.
    not_before: Timestamp,
    /// End of validity.
    not_after: Timestamp,
    /// The serial number in lower-case hexadecimal digits.
    serial: Box<str>,
    /// The dNSName entries of the subject alternative name, lower-cased; wildcards with their `*.`.
    names: Box<[Box<str>]>,
}

/// Why a stored or issued certificate cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeafError {
    /// rustls clients refuse a CA certificate as a server's own (`CaUsedAsEndEntity`).
    #[error("the first certificate of the chain is a CA's, not a server's")]
    Authority,
    /// A certificate of the chain is not DER, or lacks what X.509 demands.
    #[error("certificate {index} of the chain does not parse")]
    Certificate {
        /// Its place in the chain, the leaf is 0.
        index: usize,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The chain's text holds no certificate at all.
    #[error("the chain holds no certificate")]
    Empty,
    /// The key is of no kind that can sign a handshake.
    #[error("the private key cannot be used")]
    Key(#[source] rustls::Error),
    /// The key signs for another certificate.
    #[error("the private key belongs to another certificate")]
    KeyMismatch,
    /// The key's text is not PEM; no source, since that could quote the text.
    #[error("the private key is not valid PEM")]
    KeyPem,
    /// No dNSName: nothing can be served with it, since the common name never counts (RFC 9525 section 2).
    #[error("the certificate names no hostname")]
    Nameless,
    /// The chain's text is not PEM.
    #[error("the chain is not valid PEM")]
    Pem(#[source] pem::Error),
}

impl Leaf {
    /// Parses a bundle and checks that chain and key fit.
    ///
    /// # Errors
    /// [`LeafError`] names the first thing that would make a handshake fail.
    pub fn parse(bundle: &Bundle) -> Result<Self, LeafError> {
        let chain = parse_chain(bundle.chain_pem.as_bytes())?;
        let facts = Facts::of(&chain)?;
        let key = parse_key(bundle.key_pem.as_bytes())?;
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(key_error)?;
        Ok(Self {
            certified: Arc::new(certified),
            issuer: bundle.issuer.clone(),
            tenant: bundle.tenant(),
            not_before: facts.not_before,
            not_after: facts.not_after,
            serial: facts.serial,
            names: facts.names,
        })
    }

    /// Chain and key in rustls' form.
    pub fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    /// Whose certificate it is.
    pub fn issuer(&self) -> &IssuerKey {
        &self.issuer
    }

    /// Whom it was ordered for, where that was known.
    pub fn tenant(&self) -> Option<&Tenant> {
        self.tenant.as_ref()
    }

    /// Whether it may be served for `tenant`: it was ordered for nobody else.
    pub fn is_for(&self, tenant: Option<&Tenant>) -> bool {
        Tenant::may_share(self.tenant.as_ref(), tenant)
    }

    /// Start of validity.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// End of validity; the last second counts as valid (RFC 5280 section 4.1.2.5).
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The serial number in lower-case hexadecimal digits.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// Whether clients accept the certificate at this moment.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now.as_secs() <= self.not_after.as_secs()
    }

    /// Whether a client that asks for `name` accepts the certificate: a dNSName equals it or is a wildcard for exactly
    /// its first label (RFC 9525 section 6.3). The common name never counts.
    pub fn covers(&self, name: &Hostname) -> bool {
        self.names.iter().any(|entry| match entry.strip_prefix("*.") {
            Some(parent) => name.as_str().split_once('.').is_some_and(|(_, rest)| rest == parent),
            None => **entry == *name.as_str(),
        })
    }

    /// Whether it is what `subject` needs: it covers the hostname, or names the very wildcard.
    pub fn serves(&self, subject: &Subject) -> bool {
        match subject.hostname() {
            Some(name) => self.covers(&name),
            None => self.is_named(subject),
        }
    }

    /// Whether a dNSName is `subject` itself: then the certificate is its own, and is renewed for it.
    pub fn is_named(&self, subject: &Subject) -> bool {
        self.names.iter().any(|entry| **entry == *subject.as_str())
    }

    /// The certificate's dNSName entries, lower-cased; wildcards with their `*.`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// SHA-256 of the leaf certificate's DER in lower-case hexadecimal digits, as `openssl x509 -fingerprint` counts it.
    pub fn fingerprint(&self) -> String {
        let der = self.certified.cert.first().map(AsRef::as_ref).unwrap_or_default();
        hex(::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, der).as_ref())
    }

    /// About how many bytes the leaf occupies in memory, for caches that are bounded in bytes.
    pub fn weight(&self) -> u32 {
        let chain: usize = self.certified.cert.iter().map(|der| der.len() + PER_ALLOCATION).sum();
        let names: usize = self.names.iter().map(|name| name.len() + size_of::<Box<str>>() + PER_ALLOCATION).sum();
        let tenant = self.tenant.as_ref().map_or(0, |tenant| tenant.as_str().len() + PER_ALLOCATION);
        let fixed = tenant + size_of::<Self>() + size_of::<CertifiedKey>() + self.serial.len() + 4 * PER_ALLOCATION;
        u32::try_from(chain + names + fixed + self.key_weight()).unwrap_or(u32::MAX)
    }

    /// Keys live in the C library's heap, out of sight: measured sizes, rounded up.
    fn key_weight(&self) -> usize {
        match self.certified.key.algorithm() {
            SignatureAlgorithm::RSA => RSA_KEY,
            _ => ELLIPTIC_KEY,
        }
    }
}

/// What an allocation costs beside its bytes.
const PER_ALLOCATION: usize = 16;
/// An ECDSA or Ed25519 signing key with its wrappers.
const ELLIPTIC_KEY: usize = 1280;
/// An RSA signing key of 2048 to 4096 bits with its Montgomery contexts.
const RSA_KEY: usize = 6 * 1024;

/// No key, no chain: what a log line may show.
impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf")
            .field("names", &self.names)
            .field("issuer", &self.issuer)
            .field("serial", &self.serial)
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// What is read out of a leaf certificate.
struct Facts {
    not_before: Timestamp,
    not_after: Timestamp,
    serial: Box<str>,
    names: Box<[Box<str>]>,
}

impl Facts {
    fn of(chain: &[CertificateDer<'_>]) -> Result<Self, LeafError> {
        for (index, der) in chain.iter().enumerate().skip(1) {
            parse_certificate(index, der)?;
        }
        let leaf = parse_certificate(0, chain.first().ok_or(LeafError::Empty)?)?;
        if leaf.basic_constraints().map_err(|error| bad(0, error))?.is_some_and(|basic| basic.value.ca) {
            return Err(LeafError::Authority);
        }
        let (not_before, not_after) = validity(&leaf);
        Ok(Self { not_before, not_after, serial: hex(leaf.raw_serial()).into(), names: dns_names(&leaf)? })
    }
}

/// The validity period of the first certificate in `pem`, without a look at the rest or at the key.
pub(crate) fn read_validity(pem: &[u8]) -> Result<(Timestamp, Timestamp), LeafError> {
    let der = CertificateDer::pem_slice_iter(pem).next().ok_or(LeafError::Empty)?.map_err(LeafError::Pem)?;
    Ok(validity(&parse_certificate(0, &der)?))
}

/// A private key of PKCS #8, SEC1 or PKCS #1 form.
pub(crate) fn parse_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, LeafError> {
    match PrivateKeyDer::from_pem_slice(text) {
        Ok(key) => Ok(key),
        // CertMagic names its PKCS #8 form of Ed25519 keys by a label of its own.
        Err(_) => {
            let text = String::from_utf8_lossy(text).replace(" ED25519 PRIVATE KEY-", " PRIVATE KEY-");
            PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| LeafError::KeyPem)
        }
    }
}

fn parse_chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, LeafError> {
    let mut chain = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>().map_err(LeafError::Pem)?;
    // The base64 decoder's slack would stay for the leaf's whole life.
    for der in &mut chain {
        *der = CertificateDer::from(der.as_ref().to_vec());
    }
    chain.shrink_to_fit();
    Ok(chain)
}

fn parse_certificate<'a>(index: usize, der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, LeafError> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|error| bad(index, error))?;
    match rest.is_empty() {
        true => Ok(certificate),
        false => Err(bad(index, "bytes follow the certificate")),
    }
}

fn bad(index: usize, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LeafError {
    LeafError::Certificate { index, source: source.into() }
}

fn validity(certificate: &X509Certificate<'_>) -> (Timestamp, Timestamp) {
    let validity = certificate.validity();
    (Timestamp::from_secs(validity.not_before.timestamp()), Timestamp::from_secs(validity.not_after.timestamp()))
}

fn dns_names(certificate: &X509Certificate<'_>) -> Result<Box<[Box<str>]>, LeafError> {
    let extension = certificate.subject_alternative_name().map_err(|error| bad(0, error))?;
    let general = extension.as_ref().map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let names: Box<[Box<str>]> = general
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase().into()),
            _ => None,
        })
        .collect();
    match names.is_empty() {
        true => Err(LeafError::Nameless),
        false => Ok(names),
    }
}

fn key_error(error: rustls::Error) -> LeafError {
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => LeafError::KeyMismatch,
        rustls::Error::InvalidCertificate(CertificateError::BadEncoding) => bad(0, error),
        error => LeafError::Key(error),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        use fmt::Write;
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
