//! `[storage]`: where certificates, accounts and failure memory are kept.

use std::path::PathBuf;

use crate::{
    disk,
    section::{Disk, Walk},
};

/// The store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// Folder in CertMagic's layout; created when missing.
    pub path: PathBuf,
    /// File of the keys that private keys are sealed under, the current one first; none are sealed without.
    pub key_file: Option<PathBuf>,
}

const PATH: &str = "/var/lib/namegate";

impl Storage {
    pub(crate) fn read(walk: &mut Walk) -> Self {
        let mut section = walk.section("storage");
        section.unsupported("postgres", "remove it; certificates are kept in files under storage.path");
        let path = section.path("path").map(|path| path.unwrap_or_else(|| (PATH.into(), section.home("path"))));
        if let (Ok((path, at)), Disk::Look) = (&path, section.disk())
            && let Err(problem) = disk::check_writable(path)
        {
            section.mistake(at, problem);
        }
        let key_file = section.path("key_file").ok().flatten();
        if let (Some((file, at)), Disk::Look) = (&key_file, section.disk())
            && let Err(problem) = disk::check_sealing_keys(file, "make a line with `openssl rand -base64 32`")
        {
            section.mistake(at, problem);
        }
        Self { path: path.map_or_else(|_| PATH.into(), |(path, _)| path), key_file: key_file.map(|(file, _)| file) }
    }
}
