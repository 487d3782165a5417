//! [`Served`]: a certificate chain as a server showed it.

use clock::Timestamp;
use names::Hostname;
use rustls::{CertificateError, Error, pki_types::CertificateDer};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _, x509::X509Name};

/// A chain, leaf first, and whether it is trusted here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The names that the leaf is for.
    pub names: Vec<String>,
    /// When its life began.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
    /// Every certificate that was served, leaf first.
    pub chain: Vec<Link>,
    /// Whether a trusted root stands behind it.
    pub trust: Trust,
}

/// One certificate of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Whose it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
}

/// What verification said, names aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// A trusted root stands behind it, and all that is needed between was served.
    Trusted,
    /// No trusted root signed the last of what was served: something between is missing, or the authority is private.
    Unanchored,
    /// It is refused for another reason.
    Refused(String),
}

impl Served {
    /// Reads what a server showed; `verified` is what verification said of it. `None` when there is nothing legible.
    pub(super) fn read(chain: &[CertificateDer<'_>], verified: Result<(), Error>) -> Option<Self> {
        let certificates = chain.iter().map_while(|der| X509Certificate::from_der(der).ok());
        let certificates: Vec<X509Certificate<'_>> = certificates.map(|(_, certificate)| certificate).collect();
        let leaf = certificates.first()?;
        Some(Self {
            names: names(leaf),
            not_before: Timestamp::from_secs(leaf.validity().not_before.timestamp()),
            not_after: Timestamp::from_secs(leaf.validity().not_after.timestamp()),
            chain: certificates.iter().map(link).collect(),
            trust: trust(verified),
        })
    }

    /// Who signed the leaf.
    pub fn issuer(&self) -> &str {
        self.chain.first().map_or("", |link| link.issuer.as_str())
    }

    /// Whether the leaf is for a name.
    pub fn covers(&self, hostname: &Hostname) -> bool {
        let below = hostname.as_str().split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(parent) => below.is_some_and(|below| below.eq_ignore_ascii_case(parent)),
            None => name.eq_ignore_ascii_case(hostname.as_str()),
        })
    }

    /// Whether each certificate was signed by the next one.
    pub fn is_in_order(&self) -> bool {
        self.chain.windows(2).all(|pair| match pair {
            [one, next] => one.issuer == next.subject,
            _ => true,
        })
    }
}

fn trust(verified: Result<(), Error>) -> Trust {
    match verified {
        // Whether it is for the name is looked at apart.
        Ok(())
        | Err(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => Trust::Trusted,
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => Trust::Unanchored,
        Err(error) => Trust::Refused(error.to_string()),
    }
}

fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = leaf.subject_alternative_name() else { return Vec::new() };
    let names = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    names.collect()
}

fn link(certificate: &X509Certificate<'_>) -> Link {
    Link { subject: shown(certificate.subject()), issuer: shown(certificate.issuer()) }
}

/// The common name, which is what people know authorities by, else all of it.
fn shown(name: &X509Name<'_>) -> String {
    let common = name.iter_common_name().next().and_then(|name| name.as_str().ok());
    common.map_or_else(|| name.to_string(), str::to_owned)
}
