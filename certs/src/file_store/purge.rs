//! Removing certificates with their keys.
//!
//! A folder is taken away by one rename and emptied where nobody looks: no reader meets half an entry, and what a crash
//! leaves behind is cleared by the next start.

use std::{fs, io, path::Path};

use names::Subject;
use serde_json::Value;

use super::{
    Disk, MAX_CERTIFICATE_FILE,
    disk::{self, Folder},
    failed,
    layout::{self, Entry},
};
use crate::{Leaving, StoreError};

impl Disk {
    /// Removes what is `leaving` of every issuer's entries. How many went.
    pub(super) fn purge(&self, name: &Subject, leaving: &Leaving) -> Result<usize, StoreError> {
        let issuers = self.issuers().map_err(|source| failed("list", layout::CERTIFICATES, source))?;
        let stem = layout::stem(name);
        let mut gone = 0;
        for issuer in &issuers {
            let entry = Entry::new(&self.root, issuer, &stem);
            let purged = self.purge_entry(&entry, leaving);
            let purged = purged.map_err(|source| failed("remove", &entry.folder().display().to_string(), source))?;
            gone += usize::from(purged);
        }
        Ok(gone)
    }

    /// Whether it went.
    fn purge_entry(&self, entry: &Entry<'_>, leaving: &Leaving) -> io::Result<bool> {
        let path = entry.folder();
        match self.meta(&path, entry)? {
            Some(meta) if leaving.takes(&meta) => {}
            Some(_) | None => return Ok(false),
        }
        let staged = self.staging_for(layout::CERTIFICATES).fresh();
        match fs::rename(&path, &staged) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            renamed => renamed?,
        }
        disk::sync_folder(&entry.parent)?;
        // Somebody may have saved another one between the look and the rename.
        let taken = self.meta(&staged, entry)?.is_none_or(|meta| leaving.takes(&meta));
        match taken {
            true => Self::empty(&staged, entry)?,
            false if fs::rename(&staged, &path).is_ok() => return Ok(false),
            false => {}
        }
        Self::keep_others(&staged, &path)?;
        fs::remove_dir_all(&staged)?;
        Ok(taken)
    }

    /// The metadata in a folder; `None` where no folder is. Broken ones are as good as none.
    fn meta(&self, path: &Path, entry: &Entry<'_>) -> io::Result<Option<Value>> {
        let folder = match Folder::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(None),
            folder => folder?,
        };
        let Some(folder) = folder else { return Ok(None) };
        let meta = folder.read(&entry.meta(), MAX_CERTIFICATE_FILE);
        let meta =
            meta.or_else(|error| if error.kind() == io::ErrorKind::FileTooLarge { Ok(None) } else { Err(error) });
        Ok(Some(meta?.map_or(Value::Null, |meta| self.parse_meta(&meta, entry))))
    }

    /// The key first.
    fn empty(staged: &Path, entry: &Entry<'_>) -> io::Result<()> {
        [entry.key(), entry.certificate(), entry.meta()].iter().try_for_each(|file| disk::remove(&staged.join(file)))
    }

    /// Files that are not ours to remove go back where they stood.
    fn keep_others(staged: &Path, path: &Path) -> io::Result<()> {
        if fs::read_dir(staged)?.next().is_none() {
            return Ok(());
        }
        disk::make_folders(path)?;
        disk::keep_strangers(staged, path);
        Ok(())
    }
}
