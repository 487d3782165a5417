//! [`InternalCa`]: an issuer of our own, for development and for names that no public CA will certify.
//!
//! Its root is made once and kept in the store under `pki/namegate/`; whoever is to trust its certificates installs
//! [`InternalCa::root_pem`]. It asks nobody and proves nothing: the gate alone decides which names it certifies.

use std::time::Duration;

use async_trait::async_trait;
use clock::{SharedClock, Timestamp};
use names::{Subject, Tenant};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use rustls::{crypto::aws_lc_rs::default_provider, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use zeroize::Zeroizing;

use crate::{
    Bundle, IssueError, Issued, Issuer, IssuerKey, Leaf, Progress, RenewalHint, Store, StoreError, fleet, leaf,
};

/// The root certificate's document.
const ROOT_CERTIFICATE: &str = "pki/namegate/root.crt";
/// The root key's document.
const ROOT_KEY: &str = "pki/namegate/root.key";
/// The issuer's name in the store.
const ISSUER: &str = "namegate-internal";
/// How long clients may trust the root.
const ROOT_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);
/// How long a leaf is valid if nothing else is said.
const LEAF_LIFE: Duration = Duration::from_secs(7 * 86_400);
/// Leaves begin this much in the past, for clients whose clocks are behind; less for short-lived ones.
const BACKDATE: Duration = Duration::from_secs(3600);
/// The last moment that X.509 can write, 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// First uses at once in this process make one root. Other processes on the same store agree on the key: see `open`.
static CREATION: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// How long a process that dies at that moment keeps the others of a fleet waiting.
const CREATION_LEASE: Duration = Duration::from_secs(15);

/// A certificate authority in this process.
pub struct InternalCa {
    key: IssuerKey,
    root: rcgen::Issuer<'static, KeyPair>,
    root_pem: String,
    root_not_after: Timestamp,
    leaf_life: Duration,
    clock: SharedClock,
}

/// The internal CA cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InternalCaError {
    /// The root's certificate or key cannot be read, or they do not belong together. Nothing replaces them: clients
    /// trust that root.
    #[error("the internal CA's {document} is broken: {problem}")]
    Broken {
        /// Which document of the store.
        document: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The root could not be made.
    #[error("the internal CA's root could not be made")]
    Create(#[source] rcgen::Error),
    /// The store failed.
    #[error("the internal CA's root could not be kept")]
    Store(#[from] StoreError),
}

impl InternalCa {
    /// Opens the CA of a store, making its root at the first use.
    ///
    /// # Errors
    /// [`InternalCaError`] when the stored root cannot be used.
    pub async fn open(store: &dyn Store, clock: SharedClock) -> Result<Self, InternalCaError> {
        let _one_at_a_time = CREATION.lock().await;
        let lease = fleet::alone(store, "internal-ca", CREATION_LEASE).await?;
        let opened = Self::open_alone(store, clock).await;
        if let (Some(fleet), Some(lease)) = (store.fleet(), lease) {
            // One that is not given back ends by itself.
            let _ = fleet.release(&lease).await;
        }
        opened
    }

    async fn open_alone(store: &dyn Store, clock: SharedClock) -> Result<Self, InternalCaError> {
        // The key comes first and is never replaced: a start that was cut off, or two processes at once, end up with
        // certificates of one key and one subject, which clients take for the same root.
        let key = match read_key(store).await? {
            Some(key) => key,
            None => create_key(store).await?,
        };
        let root_pem = match read_text(store, ROOT_CERTIFICATE).await? {
            Some(pem) => pem,
            None => create_root(store, &key, clock.now()).await?,
        };
        Self::from_root(key, root_pem, clock)
    }

    fn from_root(key: KeyPair, root_pem: String, clock: SharedClock) -> Result<Self, InternalCaError> {
        let broken = |problem: String| InternalCaError::Broken { document: ROOT_CERTIFICATE, problem };
        check_pair(&key, &root_pem).map_err(broken)?;
        let (_, root_not_after) =
            leaf::read_validity(root_pem.as_bytes()).map_err(|error| broken(telemetry::chain(&error).to_string()))?;
        let root = rcgen::Issuer::from_ca_cert_pem(&root_pem, key).map_err(|error| broken(error.to_string()))?;
        let key = IssuerKey::new(ISSUER);
        Ok(Self { key, root, root_pem, root_not_after, leaf_life: LEAF_LIFE, clock })
    }

    /// The same CA with leaves of another life than 7 days.
    pub fn with_leaf_life(self, leaf_life: Duration) -> Self {
        Self { leaf_life, ..self }
    }

    /// The root certificate, for those who are to trust it.
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    fn sign(&self, name: &Subject) -> Result<Bundle, rcgen::Error> {
        let key = KeyPair::generate()?;
        let leaf = self.leaf_params(name)?.signed_by(&key, &self.root)?;
        Ok(Bundle {
            issuer: self.key.clone(),
            // The root is not sent: who trusts it has it.
            chain_pem: leaf.pem(),
            key_pem: key.serialize_pem(),
            meta: serde_json::json!({ "sans": [name.as_str()] }),
        })
    }

    fn leaf_params(&self, name: &Subject) -> Result<CertificateParams, rcgen::Error> {
        let now = self.clock.now();
        let mut params = CertificateParams::new(vec![name.as_str().to_owned()])?;
        // No subject at all: names longer than 64 bytes are no common name, and clients ignore it anyway.
        params.distinguished_name = DistinguishedName::new();
        params.serial_number = Some(random_serial()?);
        params.not_before = date_time_ymd(1970, 1, 1) + offset(now - BACKDATE.min(self.leaf_life / 10));
        params.not_after = date_time_ymd(1970, 1, 1) + offset((now + self.leaf_life).min(self.root_not_after));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }
}

#[async_trait]
impl Issuer for InternalCa {
    fn key(&self) -> &IssuerKey {
        &self.key
    }

    fn kind(&self) -> &'static str {
        "internal"
    }

    async fn issue(
        &self,
        name: &Subject,
        _tenant: Option<&Tenant>,
        _replaces: Option<&Bundle>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Issued, IssueError> {
        if self.clock.now() >= self.root_not_after {
            let problem =
                format!("the root expired at {}; remove {ROOT_CERTIFICATE} and {ROOT_KEY}", self.root_not_after);
            return Err(IssueError::Unusable { problem });
        }
        progress(Progress::Finalized);
        let bundle = self.sign(name).map_err(|error| IssueError::Unusable { problem: error.to_string() })?;
        Leaf::parse(&bundle).map_err(|error| IssueError::Unusable { problem: telemetry::chain(&error).to_string() })?;
        progress(Progress::Downloaded);
        Ok(Issued { bundle, renew_at: None })
    }

    /// Nothing was kept: an issue that is cut off leaves no trace.
    async fn settled(&self, _name: &Subject) -> Result<(), IssueError> {
        Ok(())
    }

    async fn abandon(&self, _name: &Subject, _stays: &Tenant) -> Result<(), IssueError> {
        Ok(())
    }

    async fn renewal_hint(&self, _bundle: &Bundle) -> Result<Option<RenewalHint>, IssueError> {
        Ok(None)
    }

    async fn unfinished(&self) -> Result<Vec<Subject>, IssueError> {
        Ok(Vec::new())
    }
}

async fn read_text(store: &dyn Store, document: &'static str) -> Result<Option<String>, InternalCaError> {
    let not_text = |_| InternalCaError::Broken { document, problem: "it is not text".to_owned() };
    store.read(document).await?.map(String::from_utf8).transpose().map_err(not_text)
}

async fn read_key(store: &dyn Store) -> Result<Option<KeyPair>, InternalCaError> {
    let Some(kept) = store.read_secret(ROOT_KEY).await? else { return Ok(None) };
    // No source: a parser's error could quote the key.
    let key = std::str::from_utf8(&kept).ok().and_then(|pem| KeyPair::from_pem(pem).ok());
    let broken = || InternalCaError::Broken { document: ROOT_KEY, problem: "it is no private key".to_owned() };
    key.ok_or_else(broken).map(Some)
}

async fn create_key(store: &dyn Store) -> Result<KeyPair, InternalCaError> {
    if store.read(ROOT_CERTIFICATE).await?.is_some() {
        let problem = "it is missing beside the root's certificate".to_owned();
        return Err(InternalCaError::Broken { document: ROOT_KEY, problem });
    }
    let key = KeyPair::generate().map_err(InternalCaError::Create)?;
    store.write_secret(ROOT_KEY, Zeroizing::new(key.serialize_pem()).as_bytes()).await?;
    // Another process may have written its own at the same time: what stands there now is the key.
    Ok(read_key(store).await?.unwrap_or(key))
}

async fn create_root(store: &dyn Store, key: &KeyPair, now: Timestamp) -> Result<String, InternalCaError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Namegate internal CA");
    params.serial_number = Some(random_serial().map_err(InternalCaError::Create)?);
    params.not_before = date_time_ymd(1970, 1, 1) + offset(now - BACKDATE);
    params.not_after = date_time_ymd(1970, 1, 1) + offset(now + ROOT_LIFE);
    // No intermediates: what it signs is a server's.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let pem = params.self_signed(key).map_err(InternalCaError::Create)?.pem();
    store.write(ROOT_CERTIFICATE, pem.as_bytes()).await?;
    Ok(pem)
}

/// Whether the key belongs to the certificate.
fn check_pair(key: &KeyPair, root_pem: &str) -> Result<(), String> {
    let root = CertificateDer::from_pem_slice(root_pem.as_bytes()).map_err(|error| error.to_string())?;
    let key = leaf::parse_key(key.serialize_pem().as_bytes()).map_err(|error| error.to_string())?;
    CertifiedKey::from_der(vec![root], key, &default_provider()).map(|_| ()).map_err(|error| error.to_string())
}

/// 127 random bits, positive and never with a leading zero byte (RFC 5280 section 4.1.2.2).
fn random_serial() -> Result<SerialNumber, rcgen::Error> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| rcgen::Error::RingUnspecified)?;
    if let Some(first) = bytes.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    Ok(SerialNumber::from_slice(&bytes))
}

/// From 1970 to a moment, as far as X.509 can write.
fn offset(moment: Timestamp) -> Duration {
    Duration::from_secs(moment.as_secs().min(LAST_SECOND))
}

#[cfg(test)]
mod tests;
