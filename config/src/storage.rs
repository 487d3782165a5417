//! `[storage]`: where certificates, accounts and failure memory are kept.

use std::path::PathBuf;

use crate::{
    disk,
    mistake::Problem,
    secret::{SecretSource, read_secret},
    section::{Disk, Section, Walk},
};

/// The store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// Folder in CertMagic's layout; created when missing. With a database it keeps what is this edge's alone.
    pub path: PathBuf,
    /// URL of the PostgreSQL database that a fleet of edges shares; may hold a password.
    pub postgres: Option<SecretSource>,
    /// File of the keys that private keys are sealed under, the current one first; without one, which takes files, none are
    /// sealed.
    pub key_file: Option<PathBuf>,
}

const PATH: &str = "/var/lib/namegate";

impl Storage {
    pub(crate) fn read(walk: &mut Walk) -> Self {
        let mut section = walk.section("storage");
        let postgres = read_secret(&mut section, ("postgres", "postgres_file"), check_url);
        let key_file = read_key_file(&mut section, !matches!(postgres, Ok(None)));
        let path = section.path("path").map(|path| path.unwrap_or_else(|| (PATH.into(), section.home("path"))));
        if let (Ok((path, at)), Disk::Look) = (&path, section.disk())
            && let Err(problem) = disk::check_writable(path)
        {
            section.mistake(at, problem);
        }
        let path = path.map_or_else(|_| PATH.into(), |(path, _)| path);
        Self { path, postgres: postgres.ok().flatten(), key_file }
    }
}

/// The key file, without which no private key goes into a database.
fn read_key_file(section: &mut Section<'_>, with_database: bool) -> Option<PathBuf> {
    let file = section.path("key_file");
    if with_database && file == Ok(None) {
        let hint = "name a file with a line of `openssl rand -base64 32`, the same for every edge; \
                    private keys are kept in storage.postgres only when they are sealed";
        section.missing("key_file", hint.to_owned());
    }
    let (path, at) = file.ok().flatten()?;
    if section.disk() == Disk::Look
        && let Err(problem) = disk::check_sealing_keys(&path, "make a line with `openssl rand -base64 32`")
    {
        section.mistake(&at, problem);
    }
    Some(path)
}

/// Says nothing of what it holds: a password, most likely.
fn check_url(text: &str) -> Result<(), Problem> {
    match text.split_once("://") {
        Some(("postgres" | "postgresql", rest)) if !rest.is_empty() => Ok(()),
        _ => {
            let hint = "write \"postgres://user:password@host/database\"";
            Err(Problem::new("bad_url", "is not the URL of a PostgreSQL database", hint))
        }
    }
}
