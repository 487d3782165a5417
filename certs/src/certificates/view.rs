//! [`CertificateView`]: what `explain` shows.

use clock::Timestamp;
use serde::{Serialize, Serializer};

use crate::{Failure, Leaf};

/// What is known about one name's certificate. Making it has no side effect.
#[derive(Debug, Clone, Serialize)]
pub struct CertificateView {
    /// `serving`, `issuing`, `backoff`, `refused` or `missing`.
    pub state: &'static str,
    /// Where the certificate was found: `memory`, `store`, or `none`.
    pub source: &'static str,
    /// Whose certificate it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Its serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Start of its validity.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc_3339")]
    pub not_before: Option<Timestamp>,
    /// End of its validity.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc_3339")]
    pub not_after: Option<Timestamp>,
    /// When it will be renewed, if that is planned.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc_3339")]
    pub renew_at: Option<Timestamp>,
    /// What went wrong since the name last got a certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// No order before this moment.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc_3339")]
    pub next_order: Option<Timestamp>,
    /// What kept the view from being complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl CertificateView {
    pub(super) fn new(state: &'static str) -> Self {
        Self {
            state,
            source: "none",
            issuer: None,
            serial: None,
            not_before: None,
            not_after: None,
            renew_at: None,
            failure: None,
            next_order: None,
            problem: None,
        }
    }

    pub(super) fn show(&mut self, source: &'static str, leaf: &Leaf) {
        self.source = source;
        self.issuer = Some(leaf.issuer().as_str().to_owned());
        self.serial = Some(leaf.serial().to_owned());
        self.not_before = Some(leaf.not_before());
        self.not_after = Some(leaf.not_after());
    }
}

fn rfc_3339<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => to.collect_str(at),
        None => to.serialize_none(),
    }
}
