//! [`ControlProcess`]: the real control plane, started as an operator starts it.

mod config;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

pub use config::ControlOptions;

use crate::{
    binary::{self, Binary},
    client::{
        self, Output,
        http::{self, HttpError},
    },
    daemon::Daemon,
    wait,
};

pub(crate) const BINARY: Binary =
    Binary { name: "namegate-control", package: "control-plane", variable: "NAMEGATE_CONTROL_BIN" };
/// How long [`ControlProcess::terminate`] waits: longer than it may drain.
const STOP_LIMIT: Duration = Duration::from_secs(90);

/// A running control plane in development mode. Dropped: killed and awaited.
#[derive(Debug)]
pub struct ControlProcess {
    options: ControlOptions,
    folder: PathBuf,
    _temporary: Option<Arc<TempDir>>,
    daemon: Option<Daemon>,
}

impl ControlProcess {
    /// The key that development mode seeds.
    pub const DEMO_KEY: &'static str = "sk_test_demo";
    /// What edges authenticate with.
    pub const EDGE_TOKEN: &'static str = "edge-token-of-this-machine";

    /// Writes the configuration, starts the binary and waits until `/readyz` says 200.
    pub async fn start(options: ControlOptions) -> Self {
        let mut control = Self::prepare(options);
        control.launch();
        control.ready().await;
        control
    }

    /// Writes the configuration and starts nothing.
    pub fn prepare(options: ControlOptions) -> Self {
        let (folder, temporary) = match &options.folder {
            Some(folder) => (folder.clone(), None),
            None => {
                let temporary = tempfile::tempdir().unwrap();
                (temporary.path().to_owned(), Some(Arc::new(temporary)))
            }
        };
        std::fs::create_dir_all(&folder).unwrap();
        let control = Self { options, folder, _temporary: temporary, daemon: None };
        write(&control.config_path(), &control.options.to_toml(&control.folder));
        write(&control.token_file(), Self::EDGE_TOKEN);
        if !control.key_file().exists() {
            write(&control.key_file(), &control.run(&["generate-key"]));
        }
        control
    }

    /// Starts the binary without waiting for anything.
    pub fn launch(&mut self) {
        let mut command = self.command();
        command.args(["run", "--dev", "--config"]).arg(self.config_path());
        self.daemon = Some(Daemon::spawn(BINARY.name, &mut command, &self.log_path()));
    }

    /// Waits until `/readyz` says 200.
    pub async fn ready(&self) {
        let url = format!("{}/readyz", self.url());
        wait::until("the control plane is ready", async || {
            self.daemon().assert_running();
            http::get(&url).await.is_ok_and(|response| response.status() == 200).then_some(())
        })
        .await;
    }

    /// Runs another subcommand with this configuration and returns what it prints.
    ///
    /// # Panics
    /// When the command fails.
    pub fn run(&self, args: &[&str]) -> String {
        let output = self.command().args(args).arg("--config").arg(self.config_path()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs another subcommand in development mode with this configuration, whatever comes of it.
    pub async fn output(&self, args: &[&str]) -> Output {
        let mut command = tokio::process::Command::from(self.command());
        command.args(args).arg("--dev").arg("--config").arg(self.config_path());
        client::run(command).await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.options.listen
    }

    /// The same, as the start of a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The folder of configuration, keys, log and, unless another is named, database (`control.db`).
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file with [`EDGE_TOKEN`](Self::EDGE_TOKEN): `control.token_file` of an edge.
    pub fn token_file(&self) -> PathBuf {
        config::token_file(&self.folder)
    }

    /// `GET` with the demo's key: the status and the answer as JSON (null when it is none).
    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, None).await
    }

    /// Any request with the demo's key: the status and the answer as JSON (null when it is none).
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.try_send(method, path, body).await.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"))
    }

    /// The same, for when the control plane may be away.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn try_send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value), HttpError> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let url = format!("{}{path}", self.url());
        let response = http::send_with_key(method, &url, Self::DEMO_KEY, body).await?;
        let status = response.status().as_u16();
        Ok((status, serde_json::from_slice(response.body()).unwrap_or_default()))
    }

    /// Everything that it and its predecessors in this folder wrote.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// How it ended, if it has.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.daemon.as_ref().and_then(Daemon::exited)
    }

    /// Sends a signal by name.
    pub fn signal(&self, signal: &str) {
        self.daemon().signal(signal);
    }

    /// SIGKILL: what power loss looks like.
    pub fn kill9(&mut self) {
        self.daemon().kill();
        self.daemon = None;
    }

    /// SIGTERM, awaited.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        let ended = wait::within(STOP_LIMIT, async || self.daemon().exited()).await;
        self.daemon = None;
        ended.expect("the control plane must end after SIGTERM")
    }

    /// Starts it again in the same folder, after a kill if it still runs.
    pub async fn restart(&mut self) {
        // The old one is killed and awaited by its Drop before the new one binds.
        self.daemon = None;
        self.launch();
        self.ready().await;
    }

    fn command(&self) -> std::process::Command {
        let mut command = binary::command(BINARY, |key| {
            key.starts_with("NAMEGATE_CONTROL__") || key == "DATABASE_URL" || key == "NAMEGATE_KEY_FILE"
        });
        command.current_dir(&self.folder);
        command
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("the control plane must have been launched")
    }

    fn config_path(&self) -> PathBuf {
        self.folder.join("control.toml")
    }

    fn key_file(&self) -> PathBuf {
        config::key_file(&self.folder)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("control.log")
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}
