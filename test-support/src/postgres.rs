//! [`Postgres`]: a PostgreSQL server of one's own.

use std::{
    net::SocketAddr,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use parking_lot::Mutex;
use tempfile::TempDir;

use crate::{
    Loopback,
    daemon::{self, Daemon},
};

const PORT: u16 = 5432;
const SUPERUSER: &str = "namegate";

/// A server with an empty cluster in a temporary folder; everything is lost when it is dropped.
///
/// It never waits for the disk (`fsync=off`): killing it loses nothing, pulling the plug would.
#[derive(Debug)]
pub struct Postgres {
    host: Loopback,
    databases: AtomicU32,
    server: Mutex<Option<Daemon>>,
    owner: Option<(u32, u32)>,
    // Last: it holds the log that the server shows when a test fails.
    directory: TempDir,
}

impl Postgres {
    /// Makes a cluster, starts it and waits until it takes connections.
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let owner = owner();
        if let Some((uid, gid)) = owner {
            chown(directory.path(), Some(uid), Some(gid)).unwrap();
        }
        let postgres =
            Self { host: Loopback::take(), databases: AtomicU32::new(0), server: Mutex::new(None), owner, directory };
        let made = postgres
            .command("initdb")
            .args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--username", SUPERUSER])
            .arg(postgres.data())
            .output()
            .expect("initdb must run; install PostgreSQL");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        postgres.resume().await;
        postgres
    }

    /// Starts the server again after [`stop`](Self::stop).
    pub async fn resume(&self) {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data());
        for setting in [
            format!("listen_addresses={}", self.host.ip()),
            format!("port={PORT}"),
            "unix_socket_directories=".to_owned(),
            "fsync=off".to_owned(),
            "max_connections=200".to_owned(),
        ] {
            command.args(["-c", &setting]);
        }
        let server = Daemon::spawn("postgres", &mut command, &self.directory.path().join("postgres.log"));
        server.listening(self.address()).await;
        *self.server.lock() = Some(server);
        self.accepting().await;
    }

    /// Ends the server at once, as a crash would, and waits for it. Its data stay.
    pub fn stop(&self) {
        let Some(server) = self.server.lock().take() else { return };
        let stopped =
            self.command("pg_ctl").args(["-m", "immediate", "-w", "-D"]).arg(self.data()).arg("stop").output();
        // What does not stop when asked is killed with the handle.
        drop((stopped, server));
    }

    /// A new, empty database: the URL to it.
    pub fn create_database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}@{}/{database}", self.address())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.host.at(PORT)
    }

    /// Runs a statement and returns what `psql` prints, unaligned and without headers.
    pub fn psql(&self, database: &str, statement: &str) -> String {
        let output = self
            .command("psql")
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, &self.url(database)])
            .output()
            .expect("psql must run");
        assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// The port is open before the server has recovered.
    async fn accepting(&self) {
        crate::wait::until("PostgreSQL takes connections", async || {
            let asked = self.command("psql").args(["-XAtqc", "SELECT 1", &self.url("postgres")]).output().ok()?;
            asked.status.success().then_some(())
        })
        .await;
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = daemon::command(find(program));
        command.current_dir(self.directory.path());
        if let Some((uid, gid)) = self.owner {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// PostgreSQL refuses to run as root; then it runs as the user that its package made.
fn owner() -> Option<(u32, u32)> {
    let me = std::fs::metadata("/proc/self").expect("/proc must be there");
    if std::os::unix::fs::MetadataExt::uid(&me) != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:")).expect("install PostgreSQL: no user postgres");
    let fields: Vec<_> = line.split(':').collect();
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}

/// Debian keeps the server's programs out of the path.
fn find(program: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        versions.map(|version| version.path().join("bin").join(program)).filter(|path| path.exists()).collect();
    found.sort();
    found.pop().unwrap_or_else(|| Path::new(program).to_owned())
}
