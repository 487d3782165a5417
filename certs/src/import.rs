//! Taking over the certificates of Caddy, certbot and Traefik.
//!
//! Sources are only read. What cannot be taken is skipped with its reason and stops nothing; a certificate that is not
//! newer than the store's own is left alone, so that an import can be repeated.
//!
//! A wildcard certificate is kept as CertMagic keeps it, under `wildcard_.<parent>`: it serves the names one label below
//! until it expires. It is renewed only where the configuration lists it, which takes DNS-01.

mod caddy;
mod certbot;
mod traefik;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use clock::Timestamp;
use names::Subject;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::{Bundle, IssuerKey, Leaf, Store, StoreError, file_store::safe};

/// Entries read ahead of the store: its writes are what takes time.
const READ_AHEAD: usize = 16;
/// Largest certificate, key, account or metadata file.
const MAX_FILE: u64 = 256 * 1024;
/// The issuer's name when the source does not tell it.
const UNKNOWN_ISSUER: &str = "imported";

/// Where certificates come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportSource {
    /// A Caddy data directory, or the tar file that `caddy storage export` writes. Accounts are taken over too.
    Caddy,
    /// certbot's `/etc/letsencrypt`, or the `live` folder in it.
    Certbot,
    /// Traefik's `acme.json`.
    Traefik,
}

impl FromStr for ImportSource {
    type Err = UnknownSource;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "caddy" => Ok(Self::Caddy),
            "certbot" => Ok(Self::Certbot),
            "traefik" => Ok(Self::Traefik),
            _ => Err(UnknownSource),
        }
    }
}

/// A text that names no [`ImportSource`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("certificates can be imported from `caddy`, `certbot` or `traefik`")]
pub struct UnknownSource;

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Names whose certificates are in the store now; wildcards with their `*.`.
    pub imported: Vec<String>,
    /// ACME accounts taken over.
    pub accounts: usize,
    /// What was left out.
    pub skipped: Vec<Skipped>,
}

/// An entry that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Which entry of the source.
    pub entry: String,
    /// Why.
    pub reason: SkipReason,
}

/// Why an entry was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// It cannot be understood.
    Broken(String),
    /// It ended at this moment.
    Expired(Timestamp),
    /// It is for something that is no public hostname.
    NotAHostname(String),
    /// The store holds one that is as new or newer.
    Present,
    /// The store did not take it.
    Refused(String),
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(problem) => write!(f, "broken: {problem}"),
            Self::Expired(at) => write!(f, "expired at {at}"),
            Self::NotAHostname(problem) => write!(f, "not a hostname: {problem}"),
            Self::Present => f.write_str("the store holds one as new"),
            Self::Refused(problem) => write!(f, "not saved: {problem}"),
        }
    }
}

/// The source as a whole cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It has another form than the named program writes.
    #[error("{} is not what {expected} looks like", path.display())]
    Form {
        /// What was given.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// What the parser says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// What was given.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Something that a source holds.
enum Found {
    /// A certificate, to be kept under these names.
    Certificate { entry: String, names: Vec<String>, bundle: Bundle },
    /// A document to be copied as it is, if the store has none.
    Account { json: (String, Vec<u8>), key: (String, Vec<u8>) },
    /// Nothing that can be used.
    Skipped(Skipped),
}

/// Where a source puts what it finds.
struct Out(mpsc::Sender<Found>);

impl Out {
    /// Waits until there is room. That nobody listens any more is no error: the import was given up.
    fn put(&self, found: Found) {
        let _ = self.0.blocking_send(found);
    }

    fn skip(&self, entry: impl Into<String>, problem: impl fmt::Display) {
        let reason = SkipReason::Broken(problem.to_string());
        self.put(Found::Skipped(Skipped { entry: entry.into(), reason }));
    }
}

/// Takes the certificates at `path` into `store`. Those that ended before `now` are left out.
///
/// # Errors
/// [`ImportError`] when the source as a whole cannot be read. A single entry never stops an import.
pub async fn import(
    source: ImportSource,
    path: &Path,
    store: &dyn Store,
    now: Timestamp,
) -> Result<ImportReport, ImportError> {
    let (sender, mut found) = mpsc::channel(READ_AHEAD);
    let (given, out) = (path.to_owned(), Out(sender));
    let reading = tokio::task::spawn_blocking(move || match source {
        ImportSource::Caddy => caddy::read(&given, &out),
        ImportSource::Certbot => certbot::read(&given, &out),
        ImportSource::Traefik => traefik::read(&given, &out),
    });
    let mut report = ImportReport::default();
    while let Some(found) = found.recv().await {
        take(store, now, found, &mut report).await;
    }
    let died = |error| ImportError::Read { path: path.to_owned(), source: io::Error::other(error) };
    reading.await.map_err(died)??;
    Ok(report)
}

async fn take(store: &dyn Store, now: Timestamp, found: Found, report: &mut ImportReport) {
    match found {
        Found::Skipped(skipped) => report.skipped.push(skipped),
        Found::Account { json, key } => match take_account(store, &json, &key).await {
            Ok(taken) => report.accounts += usize::from(taken),
            Err(error) => report.skipped.push(refused(json.0, &error)),
        },
        Found::Certificate { entry, names, bundle } => {
            for name in names {
                match take_certificate(store, now, &name, &bundle).await {
                    Ok(()) => report.imported.push(name),
                    Err(reason) => report.skipped.push(Skipped { entry: format!("{entry} ({name})"), reason }),
                }
            }
        }
    }
}

fn refused(entry: String, error: &StoreError) -> Skipped {
    Skipped { entry, reason: SkipReason::Refused(telemetry::chain(error).to_string()) }
}

async fn take_account(
    store: &dyn Store,
    json: &(String, Vec<u8>),
    key: &(String, Vec<u8>),
) -> Result<bool, StoreError> {
    if store.read(&json.0).await?.is_some() {
        return Ok(false);
    }
    store.write_secret(&key.0, &key.1).await?;
    store.write(&json.0, &json.1).await?;
    Ok(true)
}

async fn take_certificate(store: &dyn Store, now: Timestamp, name: &str, bundle: &Bundle) -> Result<(), SkipReason> {
    let leaf = Leaf::parse(bundle).map_err(|error| SkipReason::Broken(telemetry::chain(&error).to_string()))?;
    if leaf.not_after() < now {
        return Err(SkipReason::Expired(leaf.not_after()));
    }
    let name = parse_name(name)?;
    // A broken entry in the store is a reason to import, not to stop.
    let present = store.load(&name).await.ok().flatten().and_then(|bundle| Leaf::parse(&bundle).ok());
    let own = present.filter(|present| present.is_named(&name));
    if own.is_some_and(|own| own.not_before() >= leaf.not_before()) {
        return Err(SkipReason::Present);
    }
    store.save(&name, bundle).await.map_err(|error| match error {
        StoreError::Broken { problem, .. } => SkipReason::Broken(problem),
        error => SkipReason::Refused(telemetry::chain(&error).to_string()),
    })
}

fn parse_name(text: &str) -> Result<Subject, SkipReason> {
    Subject::parse(text).map_err(|error| SkipReason::NotAHostname(error.to_string()))
}

/// A bundle of a source that has no metadata of CertMagic's kind, kept under every name of its certificate.
fn from_pem(entry: String, issuer: IssuerKey, chain: Vec<u8>, key: Vec<u8>, out: &Out) {
    let (Ok(chain_pem), Ok(key_pem)) = (String::from_utf8(chain), String::from_utf8(key)) else {
        return out.skip(entry, "the certificate or its key is not text");
    };
    let mut bundle = Bundle { issuer, chain_pem, key_pem, meta: Value::Null };
    match Leaf::parse(&bundle) {
        Err(error) => out.skip(entry, telemetry::chain(&error)),
        Ok(leaf) => {
            let names: Vec<String> = leaf.names().map(str::to_owned).collect();
            bundle.meta = serde_json::json!({ "sans": names });
            out.put(Found::Certificate { entry, names, bundle });
        }
    }
}

/// CertMagic's name for a CA: host and path of its directory's URL in one segment.
fn issuer_of(directory: &str) -> IssuerKey {
    let rest = directory.split_once("://").map_or(directory, |(_, rest)| rest);
    let path = rest.split(['?', '#']).next().unwrap_or_default().trim_matches('/').replace('/', "-");
    match safe(&path) {
        key if key.is_empty() => IssuerKey::new(UNKNOWN_ISSUER),
        key => IssuerKey::new(key),
    }
}

#[cfg(test)]
mod tests;
