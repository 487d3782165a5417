//! Walking over all certificates, piece by piece.

use std::{
    fs::{self, ReadDir},
    io, vec,
};

use serde_json::Value;

use super::{Disk, MAX_CERTIFICATE_FILE, disk, failed, layout};
use crate::{
    IssuerKey, Scanned, StoreError, leaf,
    store::{counted_at, tenant_of},
};

/// Entries looked at in one piece: short enough to give way to others, long enough to be cheap.
const PIECE: usize = 256;
/// Broken entries that a scan logs one by one; the rest is only counted, so that a broken disk does not fill the log.
const MAX_LOGGED: u64 = 100;

/// A walk that stands between two pieces. Holds one open folder and no entries.
pub(super) struct Walk {
    issuers: vec::IntoIter<String>,
    current: Option<(IssuerKey, ReadDir)>,
    broken: u64,
}

impl Walk {
    pub(super) fn start(disk: &Disk) -> Result<Self, StoreError> {
        let issuers = disk.issuers().map_err(|source| failed("list", layout::CERTIFICATES, source))?;
        Ok(Self { issuers: issuers.into_iter(), current: None, broken: 0 })
    }

    /// Looks at the next entries; no walk comes back when there are none left.
    pub(super) fn next_piece(mut self, disk: &Disk) -> (Option<Self>, Vec<Scanned>) {
        let mut piece = Vec::new();
        for _ in 0..PIECE {
            match self.next_entry(disk) {
                None => {
                    self.summarize();
                    // A last piece still has to be visited: the walk ends with the next, empty one.
                    return (if piece.is_empty() { None } else { Some(self) }, piece);
                }
                Some(Ok(scanned)) => piece.extend(scanned),
                Some(Err(error)) => self.report(disk, &error),
            }
        }
        (Some(self), piece)
    }

    /// The next entry; `Some(Ok(None))` is one that does not count.
    fn next_entry(&mut self, disk: &Disk) -> Option<Result<Option<Scanned>, StoreError>> {
        if let Some((issuer, entries)) = &mut self.current {
            match entries.next() {
                Some(Ok(entry)) => return Some(look(disk, issuer, &entry.file_name())),
                Some(Err(source)) => {
                    let error = failed("list", issuer.as_str(), source);
                    self.current = None;
                    return Some(Err(error));
                }
                None => self.current = None,
            }
        }
        let issuer = self.issuers.next()?;
        match fs::read_dir(disk.root.join(layout::CERTIFICATES).join(&issuer)) {
            Ok(entries) => {
                self.current = Some((IssuerKey::new(issuer), entries));
                Some(Ok(None))
            }
            Err(source) => Some(Err(failed("list", &issuer, source))),
        }
    }

    fn report(&mut self, disk: &Disk, error: &StoreError) {
        self.broken += 1;
        if self.broken <= MAX_LOGGED {
            disk.report(error);
        } else {
            disk.metrics.broken.inc();
        }
    }

    fn summarize(&mut self) {
        let broken = std::mem::take(&mut self.broken);
        if broken > MAX_LOGGED {
            tracing::warn!(broken, "more stored certificates were skipped than are logged one by one");
        }
    }
}

/// Reads one certificate's validity and whom it is for. What is no subject's folder does not count, such as staging folders.
fn look(disk: &Disk, issuer: &IssuerKey, folder: &std::ffi::OsStr) -> Result<Option<Scanned>, StoreError> {
    let Some(stem) = folder.to_str() else { return Ok(None) };
    let Some(name) = layout::subject(stem) else { return Ok(None) };
    let entry = layout::Entry::new(&disk.root, issuer.as_str(), stem);
    let path = entry.folder().join(entry.certificate());
    let broken = |problem: String| StoreError::Broken { entry: path.display().to_string(), problem };
    let read = disk::read(&path, MAX_CERTIFICATE_FILE).map_err(|source| match source.kind() {
        io::ErrorKind::NotADirectory => broken("a file stands where the folder should be".to_owned()),
        io::ErrorKind::FileTooLarge => broken(source.to_string()),
        _ => failed("read", &path.display().to_string(), source),
    })?;
    let Some(pem) = read else { return Ok(None) };
    let (not_before, not_after) =
        leaf::read_validity(&pem).map_err(|error| broken(telemetry::chain(&error).to_string()))?;
    let meta = disk::read(&entry.folder().join(entry.meta()), MAX_CERTIFICATE_FILE).ok().flatten();
    let meta: Value = meta.and_then(|meta| serde_json::from_slice(&meta).ok()).unwrap_or_default();
    let (tenant, counted_at) = (tenant_of(&meta), counted_at(&meta));
    Ok(Some(Scanned { name, issuer: issuer.clone(), tenant, counted_at, not_before, not_after }))
}
