//! Sealing what is kept plain or under an old key: after a key file was configured, or its first line changed.
//!
//! A certificate's key is replaced within the folder that it was read from: whoever exchanges that folder meanwhile, for
//! a renewed certificate, never gets the old key beside it.

use std::{fs, io, path::Path};

use super::{
    Disk, FileStore, MAX_CERTIFICATE_FILE,
    certificates::KEY,
    disk, failed,
    layout::{self, Entry},
    unopened,
};
use crate::{Kept, StoreError};

/// Certificates looked at in one turn: each that has to be sealed costs two syncs.
const PIECE: usize = 32;
/// Accounts looked at; an operator has a handful.
const MAX_ACCOUNTS: usize = 1024;
/// Documents of the store that hold a private key and stand alone.
const LONE_KEYS: [&str; 1] = ["pki/namegate/root.key"];

/// What a sweep found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Private keys that were plain or under an old key, and are sealed under the first one now.
    pub sealed: u64,
    /// Those that do not open with any key of the file.
    pub unreadable: u64,
    /// Those that could not be read or written.
    pub failed: u64,
}

impl Swept {
    fn note(&mut self, disk: &Disk, looked: Result<Option<Kept>, StoreError>) {
        match looked {
            Ok(None | Some(Kept::Current)) => {}
            Ok(Some(Kept::Plain | Kept::Old)) => self.sealed += 1,
            Ok(Some(Kept::Unreadable)) => self.unreadable += 1,
            Err(error) => {
                self.failed += 1;
                disk.report(&error);
            }
        }
    }
}

impl FileStore {
    /// Seals the keys of accounts and of the internal CA. To be called before anybody else uses the store: what is read
    /// here and written by somebody else meanwhile would come back. `None` without a key file.
    ///
    /// # Errors
    /// [`StoreError::Io`] when a folder cannot be listed.
    pub async fn seal_documents(&self) -> Result<Option<Swept>, StoreError> {
        match self.disk.seal.is_on() {
            true => self.run("seal", Disk::seal_documents).await.map(Some),
            false => Ok(None),
        }
    }

    /// Seals the keys of certificates, piece by piece, beside everything else that happens. `None` without a key file.
    ///
    /// # Errors
    /// [`StoreError::Io`] when a folder cannot be listed.
    pub async fn seal_certificates(&self) -> Result<Option<Swept>, StoreError> {
        if !self.disk.seal.is_on() {
            return Ok(None);
        }
        let mut swept = Swept::default();
        let mut left = self.run("seal", Disk::entries).await?;
        while !left.is_empty() {
            let piece = left.split_off(left.len().saturating_sub(PIECE));
            swept = self.run("seal", move |disk| Ok(disk.seal_piece(&piece, swept))).await?;
        }
        Ok(Some(swept))
    }
}

impl Disk {
    fn seal_documents(&self) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        let accounts = self.account_keys().map_err(|source| failed("list", "acme", source))?;
        for key in LONE_KEYS.into_iter().map(str::to_owned).chain(accounts) {
            swept.note(self, self.seal_document(&key));
        }
        Ok(swept)
    }

    fn account_keys(&self) -> io::Result<Vec<String>> {
        let mut keys = Vec::new();
        for issuer in folders(&self.root.join("acme"))? {
            let users = format!("acme/{issuer}/users");
            for user in folders(&self.root.join(&users))? {
                let folder = format!("{users}/{user}");
                let files = super::list_documents(&self.root.join(&folder), &folder)?;
                keys.extend(files.into_iter().filter(|file| file.ends_with(".key")));
            }
        }
        keys.truncate(MAX_ACCOUNTS);
        Ok(keys)
    }

    /// How the document was kept; `None` when there is none.
    fn seal_document(&self, key: &str) -> Result<Option<Kept>, StoreError> {
        let Some(kept) = self.read(key)? else { return Ok(None) };
        let how = self.seal.look(&kept);
        if matches!(how, Kept::Plain | Kept::Old) {
            let secret = self.seal.open(key, kept).map_err(|problem| unopened(key, problem))?;
            self.write_secret(key, &secret)?;
        }
        Ok(Some(how))
    }

    /// Issuer and folder of every certificate: 100 bytes for each.
    fn entries(&self) -> Result<Vec<(String, String)>, StoreError> {
        let listed = |source| failed("list", layout::CERTIFICATES, source);
        let mut entries = Vec::new();
        for issuer in self.issuers().map_err(listed)? {
            let stems = folders(&self.root.join(layout::CERTIFICATES).join(&issuer)).map_err(listed)?;
            entries.extend(stems.into_iter().map(|stem| (issuer.clone(), stem)));
        }
        Ok(entries)
    }

    fn seal_piece(&self, piece: &[(String, String)], mut swept: Swept) -> Swept {
        for (issuer, stem) in piece {
            swept.note(self, self.seal_entry(issuer, stem));
        }
        swept
    }

    fn seal_entry(&self, issuer: &str, stem: &str) -> Result<Option<Kept>, StoreError> {
        let entry = Entry::new(&self.root, issuer, stem);
        let place = layout::certificate_key(issuer, stem, KEY);
        let io = |action| {
            let place = &place;
            move |source| failed(action, place, source)
        };
        let Some(folder) = disk::Folder::open(&entry.folder()).map_err(io("read"))? else { return Ok(None) };
        let Some(kept) = folder.read(&entry.key(), MAX_CERTIFICATE_FILE).map_err(io("read"))? else {
            return Ok(None);
        };
        let how = self.seal.look(&kept);
        if matches!(how, Kept::Plain | Kept::Old) {
            let secret = self.seal.open(&place, kept).map_err(|problem| unopened(&place, problem))?;
            let sealed = self.seal.seal(&place, &secret).map_err(|problem| unopened(&place, problem))?;
            folder.replace(self.staging_for(layout::CERTIFICATES), &entry.key(), &sealed).map_err(io("write"))?;
        }
        Ok(Some(how))
    }
}

/// The folders in a folder whose names are plain segments.
fn folders(path: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().into_string().ok().filter(|name| layout::is_segment(name));
        // A link to a folder is one.
        if let Some(name) = name.filter(|_| entry.path().is_dir()) {
            folders.push(name);
        }
    }
    Ok(folders)
}
