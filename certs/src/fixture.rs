//! Certificates for tests, made on the spot.

use std::time::Duration;

use clock::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::{Bundle, IssuerKey};

/// A small CA.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn root_pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn key_pem(&self) -> String {
        self.0.key().serialize_pem()
    }

    /// A chain of two for `names`, valid from 2026-01-01 for 90 days.
    pub(crate) fn bundle(&self, names: &[&str]) -> Bundle {
        self.bundle_with(names, |_| {})
    }

    /// The same with other parameters.
    pub(crate) fn bundle_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Bundle {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        let start = rcgen::date_time_ymd(2026, 1, 1);
        (params.not_before, params.not_after) = (start, start + Duration::from_secs(90 * 86_400));
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.0).unwrap();
        Bundle {
            issuer: IssuerKey::new("ca.test-directory"),
            chain_pem: leaf.pem() + &self.root_pem(),
            key_pem: key.serialize_pem(),
            meta: serde_json::json!({ "sans": names, "issuer_data": { "url": "https://ca.test/cert/1" } }),
        }
    }

    /// A chain of two for `name`, valid from `start` for `life`.
    pub(crate) fn bundle_between(&self, name: &str, start: Timestamp, life: Duration) -> Bundle {
        self.bundle_with(&[name], |params| {
            params.not_before = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_millis(start.as_millis());
            params.not_after = params.not_before + life;
        })
    }
}

/// A chain of two for `name` by a CA of its own.
pub(crate) fn bundle(name: &str) -> Bundle {
    Authority::new().bundle(&[name])
}
