//! Files of last answers: `<folder>/<2 hex digits>/<hostname>.json`.
//!
//! The two digits are a hash of the name, so that no folder holds all files. They must be the same after every restart
//! and every upgrade, hence a hash of our own.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use clock::Timestamp;
use control_api::AskAnswer;
use names::Hostname;
use serde::{Deserialize, Serialize};

const SUFFIX: &str = ".json";
/// Longest file name on every file system that matters. The longest hostname fits only without the suffix.
const MAX_FILE_NAME: usize = 255;
/// How many folder values this process has made.
static FOLDERS: AtomicU64 = AtomicU64::new(0);

/// A last answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// When it was given, in milliseconds since the epoch.
    pub(crate) answered: u64,
    /// Hash of the endpoint's URL.
    pub(crate) source: u64,
    /// What it said.
    pub(crate) answer: AskAnswer,
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum ReadError {
    /// No record in it.
    #[error("the file is broken")]
    Broken(#[source] serde_json::Error),
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Io(#[source] io::Error),
    /// A record of another name.
    #[error("the file is about {}", .0.as_ref().map_or("no name", Hostname::as_str))]
    OtherName(Option<Hostname>),
    /// Longer than any record.
    #[error("the file is longer than a record can be")]
    TooLong,
}

/// The folder.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: Arc<Path>,
    /// Longest file that is read.
    max_file: u64,
    /// Name of a file that is being written. Every folder value has its own, since two gates of a process, and two
    /// processes while an upgrade hands over, share the place.
    temporary: Arc<str>,
}

impl Folder {
    /// `answer_bytes` is the longest answer; its escaped form may be six times as long.
    pub(super) fn new(path: &Path, answer_bytes: usize) -> Self {
        let max_file = answer_bytes.saturating_mul(6).saturating_add(1024);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        Self {
            path: path.into(),
            max_file: u64::try_from(max_file).unwrap_or(u64::MAX),
            temporary: format!(".new-{}-{number}", std::process::id()).into(),
        }
    }

    /// The file of a name.
    pub(super) fn path(&self, name: &Hostname) -> PathBuf {
        let name = name.as_str();
        let suffix = if name.len() + SUFFIX.len() > MAX_FILE_NAME { "" } else { SUFFIX };
        self.path.join(format!("{:02x}", stable_hash(name) % 256)).join(format!("{name}{suffix}"))
    }

    /// Calls `visit` with every name that has a file, without opening any. A folder that does not exist is empty.
    pub(super) fn list(&self, visit: &mut dyn FnMut(&str)) -> io::Result<()> {
        self.walk(&mut |entry| {
            if let Some(name) = recorded_name(entry) {
                visit(&name);
            }
        })
    }

    pub(super) fn read(&self, name: &Hostname) -> Result<Option<Record>, ReadError> {
        let file = match File::open(self.path(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ReadError::Io(error)),
        };
        let mut bytes = Vec::new();
        let read = file.take(self.max_file.saturating_add(1)).read_to_end(&mut bytes).map_err(ReadError::Io)?;
        if u64::try_from(read).unwrap_or(u64::MAX) > self.max_file {
            return Err(ReadError::TooLong);
        }
        let record: Record = serde_json::from_slice(&bytes).map_err(ReadError::Broken)?;
        match record.answer.hostname.as_ref() == Some(name) {
            true => Ok(Some(record)),
            false => Err(ReadError::OtherName(record.answer.hostname)),
        }
    }

    /// Puts a record in place whole: a reader sees the old one or the new one.
    pub(super) fn write(&self, name: &Hostname, record: &Record) -> io::Result<()> {
        let path = self.path(name);
        let folder = path.parent().unwrap_or(&self.path);
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let temporary = folder.join(&*self.temporary);
        let _ = fs::remove_file(&temporary);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(&serde_json::to_vec(record)?)?;
        fs::rename(&temporary, &path)
    }

    /// Removing what is not there is fine.
    pub(super) fn remove(&self, name: &Hostname) -> io::Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Removes files last written before `moment`, calling `gone` with the name of each.
    pub(super) fn sweep(&self, moment: Timestamp, gone: &mut dyn FnMut(&Hostname)) -> io::Result<()> {
        self.walk(&mut |entry| {
            let modified = entry.metadata().and_then(|meta| meta.modified()).map(Timestamp::from);
            if !modified.is_ok_and(|modified| modified < moment) || fs::remove_file(entry.path()).is_err() {
                return;
            }
            if let Some(name) = recorded_name(entry).and_then(|name| Hostname::parse(&name).ok()) {
                gone(&name);
            }
        })
    }

    fn walk(&self, visit: &mut dyn FnMut(&fs::DirEntry)) -> io::Result<()> {
        let shards = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            shards => shards?,
        };
        for shard in shards {
            let shard = shard?;
            if shard.file_type()?.is_dir() {
                fs::read_dir(shard.path())?.filter_map(Result::ok).for_each(|entry| visit(&entry));
            }
        }
        Ok(())
    }
}

fn recorded_name(entry: &fs::DirEntry) -> Option<String> {
    let name = entry.file_name().into_string().ok().filter(|name| !name.starts_with('.'))?;
    Some(name.strip_suffix(SUFFIX).map(str::to_owned).unwrap_or(name))
}

/// FNV-1a: the same in every process and version.
pub(super) fn stable_hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn record(name: &Hostname) -> Record {
        Record { answered: 1, source: 2, answer: AskAnswer { hostname: Some(name.clone()), ..AskAnswer::default() } }
    }

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(&dir.path().join("answers"), 4096);
        (dir, folder)
    }

    fn names(folder: &Folder) -> Vec<String> {
        let mut names = Vec::new();
        folder.list(&mut |name| names.push(name.to_owned())).unwrap();
        names.sort();
        names
    }

    #[test]
    fn a_record_of_any_name_comes_back_and_only_its_owner_can_read_it() {
        let (_dir, folder) = folder();
        let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
        for name in ["shop.example", "shop.json", longest.as_str()] {
            let name: Hostname = name.parse().unwrap();
            folder.write(&name, &record(&name)).unwrap();
            assert_eq!(folder.read(&name).unwrap(), Some(record(&name)));
            assert_eq!(fs::metadata(folder.path(&name)).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(names(&folder), [longest.as_str(), "shop.example", "shop.json"]);
    }

    #[test]
    fn a_missing_folder_is_empty_and_a_missing_record_is_no_error() {
        let (_dir, folder) = folder();
        let name: Hostname = "shop.example".parse().unwrap();
        assert!(names(&folder).is_empty());
        assert_eq!(folder.read(&name).unwrap(), None);
        folder.remove(&name).unwrap();
    }

    #[test]
    fn a_record_of_another_name_a_cut_one_and_a_huge_one_are_broken() {
        let (_dir, folder) = folder();
        let name: Hostname = "shop.example".parse().unwrap();
        folder.write(&name, &record(&"other.example".parse().unwrap())).unwrap();
        assert!(matches!(folder.read(&name), Err(ReadError::OtherName(Some(_)))));
        fs::write(folder.path(&name), "{\"answered\":1").unwrap();
        assert!(matches!(folder.read(&name), Err(ReadError::Broken(_))));
        fs::write(folder.path(&name), "").unwrap();
        assert!(matches!(folder.read(&name), Err(ReadError::Broken(_))));
        fs::write(folder.path(&name), " ".repeat(1 << 20)).unwrap();
        assert!(matches!(folder.read(&name), Err(ReadError::TooLong)));
    }

    #[test]
    fn the_place_of_a_file_never_changes() {
        let folder = Folder::new(Path::new("answers"), 4096);
        assert_eq!(folder.path(&"shop.example".parse().unwrap()), Path::new("answers/e1/shop.example.json"));
    }
}
