//! Loading and saving one name's certificate.

use std::{cmp::Reverse, fs, io};

use names::Subject;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Disk, MAX_CERTIFICATE_FILE, disk, failed,
    layout::{self, Entry},
};
use crate::{Bundle, IssuerKey, Leaf, LeafError, StoreError};

/// Issuers looked at for one name; an operator has two or three.
const MAX_ISSUERS: usize = 64;
/// Reads of an entry before it counts as broken: Caddy replaces its files one by one, and a reader may come between.
const READ_TRIES: u32 = 3;
/// How the file of a private key ends.
pub(super) const KEY: &str = "key";

impl Disk {
    /// The certificate for `name`: its own, else, for a hostname, the wildcard one label up.
    pub(super) fn load(&self, name: &Subject) -> Result<Option<Bundle>, StoreError> {
        let issuers = self.issuers().map_err(|source| failed("list", layout::CERTIFICATES, source))?;
        let own = self.newest(&issuers, &layout::stem(name), name);
        if let Ok(Some(bundle)) = own {
            return Ok(Some(bundle));
        }
        let wildcard = match name.hostname().as_ref().and_then(Subject::above) {
            Some(above) => self.newest(&issuers, &layout::stem(&above), name),
            None => Ok(None),
        };
        match (own, wildcard) {
            (_, Ok(Some(bundle))) => Ok(Some(bundle)),
            // The disk does not answer: not knowing is not the same as having none.
            (Ok(_), Err(error @ StoreError::Io { .. })) => Err(error),
            // A broken wildcard is reported and keeps no name below it from a certificate of its own.
            (own, Ok(None) | Err(_)) => own,
        }
    }

    /// Of all issuers' entries the sound one whose validity began last. Broken ones are reported; the first of them is
    /// the error when none is sound.
    fn newest(&self, issuers: &[String], folder: &str, name: &Subject) -> Result<Option<Bundle>, StoreError> {
        let mut sound = Vec::new();
        let mut first_error = None;
        for issuer in issuers {
            match self.load_entry(issuer, folder, name) {
                Ok(Some(found)) => sound.push(found),
                Ok(None) => {}
                Err(error) => {
                    self.report(&error);
                    first_error.get_or_insert(error);
                }
            }
        }
        sound.sort_by_key(|(leaf, _)| Reverse(leaf.not_before()));
        match (sound.into_iter().next(), first_error) {
            (Some((_, bundle)), _) => Ok(Some(bundle)),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }

    fn load_entry(&self, issuer: &str, folder: &str, name: &Subject) -> Result<Option<(Leaf, Bundle)>, StoreError> {
        let mut tries = 1..=READ_TRIES;
        loop {
            tries.next();
            match self.try_entry(issuer, folder, name) {
                Err(StoreError::Broken { .. }) if !tries.is_empty() => {}
                result => return result,
            }
        }
    }

    fn try_entry(&self, issuer: &str, stem: &str, name: &Subject) -> Result<Option<(Leaf, Bundle)>, StoreError> {
        let entry = Entry::new(&self.root, issuer, stem);
        let path = entry.folder();
        let broken = |problem: String| StoreError::Broken { entry: path.display().to_string(), problem };
        let read_failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotADirectory => broken("a file stands where the folder should be".to_owned()),
            io::ErrorKind::FileTooLarge => broken(source.to_string()),
            _ => failed("read", &path.display().to_string(), source),
        };
        let Some(folder) = disk::Folder::open(&path).map_err(read_failed)? else { return Ok(None) };
        // A key alone is an order that CertMagic did not finish: there is nothing to serve, nothing is broken.
        let Some(chain) = folder.read(&entry.certificate(), MAX_CERTIFICATE_FILE).map_err(read_failed)? else {
            return Ok(None);
        };
        let key = folder.read(&entry.key(), MAX_CERTIFICATE_FILE).map_err(read_failed)?;
        let key = key.ok_or_else(|| broken("the key file is missing".to_owned()))?;
        let place = layout::certificate_key(issuer, stem, KEY);
        let key = self.seal.open(&place, key).map_err(|problem| broken(format!("the private key: {problem}")))?;
        let meta = folder.read(&entry.meta(), MAX_CERTIFICATE_FILE).map_err(read_failed)?;
        let bundle = Bundle {
            issuer: IssuerKey::new(issuer),
            chain_pem: text(chain).map_err(broken)?,
            key_pem: text(key.to_vec()).map_err(|_| broken("the key is not text".to_owned()))?,
            meta: meta.map_or(Value::Null, |meta| self.parse_meta(&meta, &entry)),
        };
        let leaf = sound(&bundle, name).map_err(broken)?;
        Ok(Some((leaf, bundle)))
    }

    /// A certificate is served without its metadata: nothing in them is needed for that.
    pub(super) fn parse_meta(&self, bytes: &[u8], entry: &Entry<'_>) -> Value {
        serde_json::from_slice(bytes).unwrap_or_else(|error| {
            self.metrics.broken.inc();
            tracing::warn!(folder = %entry.folder().display(), %error, "a certificate's metadata are broken");
            Value::Null
        })
    }

    pub(super) fn report(&self, error: &StoreError) {
        if matches!(error, StoreError::Broken { .. }) {
            self.metrics.broken.inc();
        }
        tracing::warn!(error = %telemetry::chain(error), "a stored certificate was skipped");
    }

    /// The issuers' folders. Listing them costs four system calls, about as much as finding out whether a kept list is
    /// still true, and a list is never out of date.
    pub(super) fn issuers(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.root.join(layout::CERTIFICATES)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut issuers = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            if let Some(name) = name.to_str().filter(|name| layout::is_segment(name)) {
                issuers.push(name.to_owned());
            }
        }
        if issuers.len() > MAX_ISSUERS {
            tracing::warn!(found = issuers.len(), "only the first {MAX_ISSUERS} issuers' certificates are looked at");
            issuers.sort_unstable();
            issuers.truncate(MAX_ISSUERS);
        }
        Ok(issuers)
    }

    /// Saves a bundle after checking that [`load`](Self::load) would take it.
    pub(super) fn save(&self, name: &Subject, bundle: &Bundle) -> Result<(), StoreError> {
        let (issuer, stem) = (bundle.issuer.as_str(), layout::stem(name));
        let entry = Entry::new(&self.root, issuer, &stem);
        let path = entry.folder();
        let broken = |problem: String| StoreError::Broken { entry: path.display().to_string(), problem };
        let write_failed = |source| failed("write", &path.display().to_string(), source);
        if !layout::is_segment(issuer) {
            return Err(broken("the issuer's name is no path segment".to_owned()));
        }
        let leaf = sound(bundle, name).map_err(broken)?;
        let old = disk::read(&path.join(entry.meta()), MAX_CERTIFICATE_FILE).ok().flatten();
        let meta = merge_meta(old.as_deref(), &bundle.meta, &leaf);
        let place = layout::certificate_key(issuer, &stem, KEY);
        let key = self.seal.seal(&place, bundle.key_pem.as_bytes());
        let key = key.map_err(|problem| broken(format!("the private key: {problem}")))?;
        let files = [
            (entry.key(), key.as_slice()),
            (entry.certificate(), bundle.chain_pem.as_bytes()),
            (entry.meta(), &to_json(&Value::Object(meta)).map_err(write_failed)?),
        ];
        disk::write_folder(self.staging_for(layout::CERTIFICATES), &path, &files).map_err(write_failed)
    }
}

/// The leaf, if it can be served for `name`.
pub(crate) fn sound(bundle: &Bundle, name: &Subject) -> Result<Leaf, String> {
    let leaf = Leaf::parse(bundle).map_err(|error: LeafError| telemetry::chain(&error).to_string())?;
    match leaf.serves(name) {
        true => Ok(leaf),
        false => Err(format!("the certificate does not name {name}")),
    }
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|_| "the chain is not text".to_owned())
}

/// CertMagic's metadata for a fresh certificate. Fields that neither side knows stay; `issuer_data` and our note of the
/// tenant belong to the certificate that is replaced and go with it.
fn merge_meta(old: Option<&[u8]>, new: &Value, leaf: &Leaf) -> Map<String, Value> {
    let mut meta: Map<String, Value> = old.and_then(|old| serde_json::from_slice(old).ok()).unwrap_or_default();
    meta.remove("issuer_data");
    meta.remove(crate::store::OWN);
    meta.insert("sans".to_owned(), leaf.names().collect());
    meta.extend(new.as_object().cloned().unwrap_or_default());
    meta
}

/// JSON as Go's `MarshalIndent` with tabs writes it.
pub(crate) fn to_json(value: &Value) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, tabs))?;
    Ok(bytes)
}
