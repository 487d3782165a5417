//! Blocking reads and writes: bounded, atomic, durable.
//!
//! What is to be replaced is built complete in a staging folder, synced, and moved into place by one rename, so that a
//! crash leaves the old state or the new one. A process holds a lock on its staging folder for as long as it lives;
//! whoever opens the store removes the staging folders that nobody holds.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};

/// Staging folders of dead processes that one start clears; the next start takes the rest.
const MAX_CLEARED: usize = 1024;
/// Tries to find a staging folder of our own while other processes clear theirs.
const CLAIM_TRIES: u32 = 16;
/// Tries to move an entry into place while another process creates or removes it.
const PLACE_TRIES: u32 = 4;

/// This process's place for half-written things.
pub(super) struct Staging {
    folder: PathBuf,
    /// Says to other processes that the folder is in use.
    _lock: File,
    next: AtomicU64,
}

impl Staging {
    /// Claims a folder under `parent` and clears those of dead processes.
    pub(super) fn open(parent: &Path) -> io::Result<Self> {
        make_folders(parent)?;
        clear_abandoned(parent);
        for _ in 0..CLAIM_TRIES {
            let folder = parent.join(random_name()?);
            if let Some(lock) = claim(&folder)? {
                return Ok(Self { folder, _lock: lock, next: AtomicU64::new(0) });
            }
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "no staging folder could be claimed"))
    }

    /// A path that nothing stands at.
    pub(super) fn fresh(&self) -> PathBuf {
        self.folder.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Not empty means that a write is still under way in a detached task: the next start clears it.
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Random rather than the process id: in containers every process is number 1.
fn random_name() -> io::Result<String> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("no random bytes"))?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

/// Creates and locks a staging folder; `None` when another process was faster.
fn claim(folder: &Path) -> io::Result<Option<File>> {
    match new_folder(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        created => created?,
    }
    let Ok(lock) = File::open(folder) else { return Ok(None) };
    // A file system without locks keeps its leftovers; that is no reason not to start.
    let locked = !matches!(lock.try_lock(), Err(fs::TryLockError::WouldBlock));
    // Between creation and lock a starting process may have taken the folder for an abandoned one.
    Ok((locked && folder.exists()).then_some(lock))
}

fn clear_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten().take(MAX_CLEARED) {
        let abandoned = File::open(entry.path()).is_ok_and(|folder| folder.try_lock().is_ok());
        if abandoned && let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::warn!(folder = %entry.path().display(), %error, "a leftover of a crash could not be removed");
        }
    }
}

/// Reads a file of at most `limit` bytes; `None` when there is none.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    match File::open(path) {
        Ok(file) => read_all(file, limit).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_all(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()).is_ok_and(|len| len <= limit) {
        true => Ok(bytes),
        false => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("the file is larger than {limit} bytes"))),
    }
}

/// A folder held open: what is read through it belongs together even while the path is given another folder.
pub(super) struct Folder(File);

impl Folder {
    /// `None` when there is none.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        match rustix::fs::open(path, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(folder) => Ok(Some(Self(folder.into()))),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a file in the folder; `None` when there is none.
    pub(super) fn read(&self, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
        match rustix::fs::openat(&self.0, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => read_all(file.into(), limit).map(Some),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces a file that is still there in the folder, wherever the folder stands by now: one that was exchanged for
    /// another meanwhile takes it along, what stands at the path is left alone, and a file that somebody has removed does
    /// not come back.
    pub(super) fn replace(&self, staging: &Staging, name: &str, bytes: &[u8]) -> io::Result<()> {
        use rustix::io::Errno;
        let staged = staging.fresh();
        new_file(&staged, bytes)?;
        let placed = match rustix::fs::renameat_with(CWD, &staged, &self.0, name, RenameFlags::EXCHANGE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => rustix::fs::renameat(CWD, &staged, &self.0, name),
            placed => placed,
        };
        let synced = match placed {
            Ok(()) => self.0.sync_all(),
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        };
        remove(&staged)?;
        synced
    }
}

/// Replaces a document by one rename.
pub(super) fn write(staging: &Staging, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let staged = staging.fresh();
    let written = new_file(&staged, bytes).and_then(|()| {
        let parent = path.parent().unwrap_or(path);
        make_folders(parent)?;
        fs::rename(&staged, path)?;
        sync_folder(parent)
    });
    if written.is_err() {
        let _ = fs::remove_file(&staged);
    }
    written
}

/// Removes a document; one that is not there is fine.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => path.parent().map_or(Ok(()), sync_folder),
    }
}

/// Replaces a folder with one that holds exactly `files`, all at once. Files of other names that stood in the old
/// folder move over.
pub(super) fn write_folder(staging: &Staging, path: &Path, files: &[(String, &[u8])]) -> io::Result<()> {
    let staged = staging.fresh();
    let placed = fill_folder(&staged, files).and_then(|()| {
        let parent = path.parent().unwrap_or(path);
        make_folders(parent)?;
        place(staging, &staged, path)?;
        sync_folder(parent)
    });
    // After an exchange the old folder stands here; after a failure, the new one.
    if placed.is_ok() {
        keep_strangers(&staged, path);
    }
    // What stood there may have been a file.
    let _ = fs::remove_dir_all(&staged).or_else(|_| fs::remove_file(&staged));
    placed
}

fn fill_folder(folder: &Path, files: &[(String, &[u8])]) -> io::Result<()> {
    new_folder(folder)?;
    let mut written = Vec::with_capacity(files.len());
    for (name, bytes) in files {
        let file = create(&folder.join(name), bytes)?;
        // Starts writing back without waiting, so that one commit of the journal makes all the files durable.
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
        written.push(file);
    }
    written.iter().try_for_each(File::sync_all)?;
    sync_folder(folder)
}

/// Moves `staged` to `path`; an old folder there ends up at `staged`.
fn place(staging: &Staging, staged: &Path, path: &Path) -> io::Result<()> {
    use rustix::io::Errno;
    let mut last = Errno::BUSY;
    for _ in 0..PLACE_TRIES {
        last = match rustix::fs::renameat_with(CWD, staged, CWD, path, RenameFlags::EXCHANGE) {
            Ok(()) => return Ok(()),
            // Nothing to exchange with. A rename fails rather than replaces when a full folder has come meanwhile.
            Err(Errno::NOENT) => match rustix::fs::rename(staged, path) {
                Ok(()) => return Ok(()),
                Err(error @ (Errno::NOTEMPTY | Errno::EXIST)) => error,
                Err(error) => return Err(error.into()),
            },
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => return place_in_two_steps(staging, staged, path),
            Err(error) => return Err(error.into()),
        };
    }
    Err(last.into())
}

/// For file systems that cannot exchange. A crash between the steps leaves no entry, which is mended by an order; an
/// entry whose key does not match would not mend itself.
fn place_in_two_steps(staging: &Staging, staged: &Path, path: &Path) -> io::Result<()> {
    let old = staging.fresh();
    let had_old = match fs::rename(path, &old) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    match fs::rename(staged, path) {
        Ok(()) if had_old => fs::rename(&old, staged),
        Ok(()) => Ok(()),
        Err(error) => {
            if had_old {
                let _ = fs::rename(&old, path);
            }
            Err(error)
        }
    }
}

/// Moves files that the new folder does not have out of the old one: they are someone's, not ours to lose. Files named
/// by digits alone are what CertMagic leaves behind after a crash.
pub(super) fn keep_strangers(old: &Path, new: &Path) {
    let Ok(entries) = fs::read_dir(old) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let target = new.join(&name);
        let leftover = name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
        if !leftover
            && !target.exists()
            && let Err(error) = fs::rename(entry.path(), &target)
        {
            tracing::warn!(file = %target.display(), %error, "a file beside a certificate was lost");
        }
    }
}

/// Writes and syncs a file that does not exist yet, readable by its owner only.
fn new_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    create(path, bytes)?.sync_all()
}

/// The same without the sync.
fn create(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    Ok(file)
}

fn new_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Creates a folder and its parents, entered by their owner only, each durable before the next.
pub(super) fn make_folders(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_folders(parent)?;
    }
    match new_folder(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => parent.map_or(Ok(()), sync_folder),
    }
}

/// Makes renames and removals in a folder durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Whether two folders stand on one file system, so that a rename between them works.
pub(super) fn same_device(one: &Path, other: &Path) -> bool {
    let device = |path: &Path| rustix::fs::statat(CWD, path, AtFlags::empty()).map(|stat| stat.st_dev);
    matches!((device(one), device(other)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests;
