//! [`Ca`]: a small certificate authority, for the listeners of the harness itself.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::{ServerConfig, crypto::CryptoProvider};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// The crypto provider of the whole workspace, named explicitly: another crate may install one of its own.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A root certificate and its key.
pub struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, in PEM.
pub struct Identity {
    /// The chain, leaf first, without the root.
    pub chain_pem: String,
    /// The private key in PKCS #8.
    pub key_pem: String,
}

impl Ca {
    /// Makes a root. Its certificate is a CA certificate and no server's: rustls refuses one that is both.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// The root certificate in PEM.
    pub fn root_pem(&self) -> String {
        self.0.pem()
    }

    /// A server certificate for these names; IP addresses are recognised.
    pub fn issue(&self, names: &[&str]) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.sign(CertificateParams::new(names).unwrap())
    }

    /// A server certificate with the given validity, as `(year, month, day)`.
    pub fn issue_valid(&self, names: &[&str], from: (i32, u8, u8), until: (i32, u8, u8)) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.0).unwrap();
        Identity { chain_pem: leaf.pem(), key_pem: key.serialize_pem() }
    }
}

impl Identity {
    /// A TLS server that shows this certificate.
    pub fn server(&self, alpn: &[&str]) -> Arc<ServerConfig> {
        let chain = CertificateDer::pem_slice_iter(self.chain_pem.as_bytes()).map(|der| der.unwrap()).collect();
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).unwrap();
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}
