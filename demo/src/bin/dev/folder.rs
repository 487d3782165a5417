//! `.dev/`: the state of a run, in the folder that `dev` is started in.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Its name, as it is printed.
pub(crate) const NAME: &str = ".dev";
/// The keys that secrets in the database are sealed under; rows in PostgreSQL outlive a run and need them.
const KEPT: &str = "control-keys";
const ADDRESSES: &str = "stack.json";

/// What other commands need to know of a running stack.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Addresses {
    /// The control plane.
    pub(crate) control: SocketAddr,
    /// Where the DNS server answers.
    pub(crate) dns: SocketAddr,
    /// Where its records are changed.
    pub(crate) dns_management: SocketAddr,
}

/// Makes it, or empties it but for the keys. The path is absolute, so that configurations mean the same wherever they
/// are read from.
pub(crate) fn prepare() -> Result<PathBuf> {
    let folder = Path::new(NAME);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {NAME}"))?;
    empty(folder).with_context(|| format!("cannot empty {NAME}"))?;
    Ok(folder.canonicalize()?)
}

fn empty(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == KEPT {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => std::fs::remove_dir_all(entry.path())?,
            false => std::fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

impl Addresses {
    pub(crate) fn save(&self, folder: &Path) -> Result<()> {
        write(&folder.join(ADDRESSES), &serde_json::to_string_pretty(self)?)
    }

    /// Those of the stack that was started in this folder.
    pub(crate) fn load() -> Result<Self> {
        let path = Path::new(NAME).join(ADDRESSES);
        let none = || format!("{} is not there: start `make dev` in another terminal of this folder", path.display());
        let text = std::fs::read_to_string(&path).with_context(none)?;
        serde_json::from_str(&text).with_context(|| format!("{} is broken: start `make dev` again", path.display()))
    }
}
