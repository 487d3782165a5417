//! Files that are whole or not there, for the owner's eyes only.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// Makes the folder, with those above it.
pub(in crate::control) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Opens a file for more at its end.
pub(in crate::control) fn open_end(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Makes a file that is not there yet, open for more at its end.
pub(in crate::control) fn create_end(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)
}

/// Puts what `write` writes in place of a file. A reader, and a start after a power cut, sees the old one or the new.
pub(in crate::control) fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    // Two processes share the folder while an upgrade hands over.
    let temporary = path.with_extension(format!("new-{}", std::process::id()));
    let _ = fs::remove_file(&temporary);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = write(&mut file).and_then(|()| file.sync_all());
    let written = written.and_then(|()| fs::rename(&temporary, path)).and_then(|()| sync_folder(path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
