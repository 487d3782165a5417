//! A folder with settings for production, and the binary.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use test_support::Postgres;

/// The binary that cargo built beside these tests.
const BINARY: &str = env!("CARGO_BIN_EXE_namegate-control");

/// An operator's folder.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
    pub(crate) _postgres: Option<Postgres>,
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Left {
    /// What it printed, as JSON; it must have succeeded.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl From<Output> for Left {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Desk {
    /// With a database file.
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("control.db").display());
        Self::with(folder, &url, None)
    }

    /// With a server.
    pub(crate) async fn postgres() -> Self {
        let postgres = Postgres::start().await;
        let url = postgres.create_database();
        Self::with(tempfile::tempdir().unwrap(), &url, Some(postgres))
    }

    fn with(folder: tempfile::TempDir, url: &str, postgres: Option<Postgres>) -> Self {
        let desk = Self { folder, _postgres: postgres };
        let key = Self::command().arg("generate-key").output().unwrap();
        desk.write("keys", &String::from_utf8(key.stdout).unwrap());
        desk.write("token-secret", "0123456789abcdef0123456789abcdef");
        let settings = "[listen]\nhttp = '127.0.0.1:0'\n[edge]\ncname = 'edge.saas.example'\n\
                        [keys]\nfile = 'keys'\n[tokens]\nsecret_file = 'token-secret'\n[worker]\nenabled = false\n";
        desk.write("control.toml", &format!("{settings}[database]\nurl = '{url}'\n"));
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The binary without anything of this process's own settings.
    pub(crate) fn command() -> Command {
        let mut command = Command::new(BINARY);
        for (name, _) in std::env::vars_os() {
            let ours = name.to_str().is_some_and(|name| name.starts_with("NAMEGATE_") || name == "DATABASE_URL");
            if ours {
                command.env_remove(name);
            }
        }
        command
    }

    /// The binary with this folder's settings.
    pub(crate) fn here(&self, args: &[&str]) -> Command {
        let mut command = Self::command();
        command.args(args).arg("--config").arg(self.path("control.toml")).current_dir(self.folder());
        command
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Left {
        self.here(args).output().unwrap().into()
    }
}
