//! `curl` and `openssl s_client`, run as an operator runs them.

use std::{net::SocketAddr, path::Path, process::Stdio};

use tokio::process::Command;

/// What a program left behind.
#[derive(Debug)]
pub struct Output {
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A `curl` command. It knows no configuration file and gives up after 60 s.
#[derive(Debug)]
pub struct Curl(Command);

impl Default for Curl {
    fn default() -> Self {
        Self::new()
    }
}

impl Curl {
    /// `curl -sS`.
    pub fn new() -> Self {
        let mut command = Command::new("curl");
        // -q must come first: it keeps the user's own curlrc out of the test.
        command.args(["-q", "-sS", "--max-time", "60", "--noproxy", "*"]);
        Self(command)
    }

    /// Trusts the roots in this file.
    #[must_use]
    pub fn cacert(mut self, path: impl AsRef<Path>) -> Self {
        self.0.arg("--cacert").arg(path.as_ref());
        self
    }

    /// Connects to `address` for `host` on the address's port.
    #[must_use]
    pub fn resolve(mut self, host: &str, address: SocketAddr) -> Self {
        self.0.arg("--resolve").arg(format!("{host}:{}:{}", address.port(), address.ip()));
        self
    }

    /// Any other arguments.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.0.args(args);
        self
    }

    /// Runs it.
    pub async fn get(mut self, url: &str) -> Output {
        self.0.arg(url);
        run(self.0).await
    }
}

/// An `openssl s_client` command.
#[derive(Debug)]
pub struct SClient(Command);

impl SClient {
    /// Connects to `address`, naming `name`; `None` sends no server name.
    pub fn new(address: SocketAddr, name: Option<&str>) -> Self {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &address.to_string()]);
        match name {
            Some(name) => command.args(["-servername", name]),
            None => command.arg("-noservername"),
        };
        Self(command)
    }

    /// Any other arguments.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.0.args(args);
        self
    }

    /// Runs it; its input is empty, so it ends after the handshake.
    pub async fn run(self) -> Output {
        run(self.0).await
    }
}

/// Runs a command without input and keeps what it leaves behind.
pub(crate) async fn run(mut command: Command) -> Output {
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap_or_else(|error| panic!("{command:?} does not start ({error}): run `make tools` once"));
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
