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
}

const PATH: &str = "/var/lib/namegate";

impl Storage {
    pub(crate) fn read(walk: &mut Walk) -> Self {
        let mut section = walk.section("storage");
        section.unsupported("postgres", "remove it; certificates are kept in files under storage.path");
        section.unsupported("key_file", "remove it; it belongs to storage.postgres");
        let path = section.path("path").map(|path| path.unwrap_or_else(|| (PATH.into(), section.home("path"))));
        if let (Ok((path, at)), Disk::Look) = (&path, section.disk())
            && let Err(problem) = disk::check_writable(path)
        {
            section.mistake(at, problem);
        }
        Self { path: path.map_or_else(|_| PATH.into(), |(path, _)| path) }
    }
}
