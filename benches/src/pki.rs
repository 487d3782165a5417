//! The certificate every server of the bench presents: ECDSA P-256, signed by an intermediate, as public CAs do it.

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls_pki_types::CertificateDer;

/// The name all handshakes ask for.
pub const NAME: &str = "bench.test";

/// Validity that no renewal rule touches while a cached folder of certificates is in use.
const VALID_YEARS: (i32, i32) = (2024, 2049);

/// What a server needs to present [`NAME`], and what a client needs to trust it.
#[derive(Debug)]
pub struct Identity {
    /// Leaf and intermediate, PEM.
    pub chain_pem: String,
    /// The leaf's key, PEM (PKCS #8).
    pub key_pem: String,
    /// The root a client trusts.
    pub root: CertificateDer<'static>,
}

impl Identity {
    /// A new root, intermediate and leaf.
    pub fn generate() -> Result<Self> {
        let authority = Authority::generate()?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        Ok(Self {
            chain_pem: authority.leaf_pem(NAME, &key)? + &authority.certificate_pem,
            key_pem: key.serialize_pem(),
            root: authority.root,
        })
    }
}

/// An intermediate CA under a root of its own.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// The intermediate's certificate, PEM.
    pub certificate_pem: String,
    /// The root's certificate.
    pub root: CertificateDer<'static>,
}

impl Authority {
    /// A new one; the root's key is not kept.
    pub fn generate() -> Result<Self> {
        let root_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let root_params = authority_params("Bench Root")?;
        let root = root_params.self_signed(&root_key)?.der().clone();
        let root_issuer = Issuer::new(root_params, root_key);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let params = authority_params("Bench Intermediate")?;
        let certificate_pem = params.signed_by(&key, &root_issuer)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), certificate_pem, root })
    }

    /// A certificate for `name` over `key`, PEM.
    pub fn leaf_pem(&self, name: &str, key: &KeyPair) -> Result<String> {
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.not_before = date_time_ymd(VALID_YEARS.0, 1, 1);
        params.not_after = date_time_ymd(VALID_YEARS.1, 1, 1);
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        Ok(params.signed_by(key, &self.issuer)?.pem())
    }
}

fn authority_params(name: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(VALID_YEARS.0, 1, 1);
    params.not_after = date_time_ymd(VALID_YEARS.1, 1, 1);
    Ok(params)
}
