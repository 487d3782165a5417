//! What every server of a run stands on: the same certificate, the same origin, one core, and a folder of its own.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::pki::Identity;

/// The ground of one run.
#[derive(Debug)]
pub struct Bed {
    /// The core servers run on; client and origin stay on another.
    pub server_core: usize,
    /// The edge's binary.
    pub edge: Option<PathBuf>,
    /// The Debian 13 folder that holds nginx, HAProxy and Caddy, if there is one.
    pub trixie: Option<PathBuf>,
    /// The certificate all servers present.
    pub identity: Identity,
    /// Where they proxy to.
    pub origin: SocketAddr,
    /// Where what takes long to make is kept between runs.
    pub cache: PathBuf,
}

/// A folder that one server may write into; gone when the server is.
#[derive(Debug)]
pub struct Folder {
    seen_from_here: TempDir,
    seen_by_server: PathBuf,
}

impl Folder {
    /// A folder of this machine.
    pub fn plain() -> Result<Self> {
        let seen_from_here = TempDir::with_prefix("namegate-bench-")?;
        let seen_by_server = seen_from_here.path().to_owned();
        Ok(Self { seen_from_here, seen_by_server })
    }

    /// A folder in `/tmp` of the chroot at `root`.
    pub fn inside(root: &Path) -> Result<Self> {
        let seen_from_here = TempDir::with_prefix_in("namegate-bench-", root.join("tmp"))?;
        let name = seen_from_here.path().file_name().context("a folder without name")?;
        let seen_by_server = Path::new("/tmp").join(name);
        Ok(Self { seen_from_here, seen_by_server })
    }

    /// Its path as the server knows it.
    pub fn path(&self) -> &Path {
        &self.seen_by_server
    }

    /// The path of `file` as the server knows it.
    pub fn file(&self, file: &str) -> String {
        self.seen_by_server.join(file).display().to_string()
    }

    /// Writes `file`, making its parents.
    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.seen_from_here.path().join(file);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {file}"))
    }

    /// What the server printed.
    pub fn log(&self) -> Result<fs::File> {
        Ok(fs::OpenOptions::new().create(true).append(true).open(self.log_path())?)
    }

    /// The last lines of what the server printed, for the message when it did not start.
    pub fn log_tail(&self) -> String {
        let text = fs::read_to_string(self.log_path()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n")
    }

    fn log_path(&self) -> PathBuf {
        self.seen_from_here.path().join("output.log")
    }
}

/// A port nobody listens on just now: the peers cannot be told "any port" and say which.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
