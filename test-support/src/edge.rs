//! [`EdgeProcess`]: the real edge, started as an operator starts it.

mod config;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;

pub use config::EdgeOptions;

use crate::{
    binary::{self, Binary},
    client::{TlsClient, http},
    daemon::Daemon,
    wait,
};

pub(crate) const BINARY: Binary = Binary { name: "namegate-edge", package: "edge", variable: "NAMEGATE_EDGE_BIN" };

/// How long [`EdgeProcess::terminate`] waits; a graceful stop that takes longer is a fault of its own.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// The process that gave up its sockets. Dropped: killed and awaited.
#[derive(Debug)]
pub struct Predecessor(Daemon);

impl Predecessor {
    /// How it ended, if it has.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.0.exited()
    }
}

/// A process that is started to take over and does not. Dropped: killed and awaited.
#[derive(Debug)]
pub struct Rival(Daemon);

impl Rival {
    /// How it ended, if it has.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.0.exited()
    }

    /// SIGKILL, awaited.
    pub fn kill9(&self) {
        self.0.kill();
    }
}

/// A running edge. Dropped: killed and awaited; a panic in its log fails the test.
#[derive(Debug)]
pub struct EdgeProcess {
    options: EdgeOptions,
    folder: PathBuf,
    _temporary: Option<Arc<TempDir>>,
    daemon: Option<Daemon>,
}

impl EdgeProcess {
    /// Writes the configuration, starts the binary and waits until `/readyz` says 200.
    pub async fn start(options: EdgeOptions) -> Self {
        let mut edge = Self::prepare(options);
        edge.launch();
        edge.ready().await;
        edge
    }

    /// Writes the configuration and starts nothing: for tests that break it first, or run another subcommand.
    pub fn prepare(options: EdgeOptions) -> Self {
        let (folder, temporary) = match &options.folder {
            Some(folder) => (folder.clone(), None),
            None => {
                let temporary = tempfile::tempdir().unwrap();
                (temporary.path().to_owned(), Some(Arc::new(temporary)))
            }
        };
        std::fs::create_dir_all(folder.join("storage")).unwrap();
        let edge = Self { options, folder, _temporary: temporary, daemon: None };
        edge.write_config();
        edge
    }

    /// Starts the binary without waiting for anything.
    pub fn launch(&mut self) {
        self.launch_with(&["run"], |_| {});
    }

    /// The same, with the last word on the command: other outputs, another working folder.
    pub fn launch_as(&mut self, adjust: impl FnOnce(&mut Command)) {
        self.launch_with(&["run"], adjust);
    }

    /// QUIT to the running process and `run --upgrade` for the next, until the next serves. Returns the old process,
    /// which drains.
    pub async fn upgrade(&mut self) -> Predecessor {
        self.signal("QUIT");
        let old = self.daemon.take().expect("the edge must have been launched");
        self.launch_with(&["run", "--upgrade"], |_| {});
        wait::until("the new process serves", async || {
            self.daemon().assert_running();
            self.log().contains(&format!("\"pid\":{}", self.id())).then_some(())
        })
        .await;
        Predecessor(old)
    }

    fn launch_with(&mut self, args: &[&str], adjust: impl FnOnce(&mut Command)) {
        self.daemon = Some(self.spawn(args, adjust));
    }

    fn spawn(&self, args: &[&str], adjust: impl FnOnce(&mut Command)) -> Daemon {
        let mut command = binary::command(BINARY, |key| key.starts_with("NAMEGATE_EDGE__"));
        command.args(args).arg("--config").arg(self.config_path());
        command.envs(self.options.env.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        Daemon::spawn_as(BINARY.name, &mut command, &self.log_path(), adjust)
    }

    /// `run --upgrade` beside the running process, for one that is not to take over.
    pub fn rival(&self) -> Rival {
        Rival(self.spawn(&["run", "--upgrade"], |_| {}))
    }

    /// Waits until `/readyz` says 200.
    pub async fn ready(&self) {
        let url = format!("http://{}/readyz", self.admin());
        wait::until("the edge is ready", async || {
            self.daemon().assert_running();
            http::get(&url).await.is_ok_and(|response| response.status() == 200).then_some(())
        })
        .await;
    }

    /// Runs another subcommand of the binary (`validate`, `certs list`, …) with this edge's configuration.
    pub async fn command(&self, args: &[&str]) -> crate::client::Output {
        let mut command = tokio::process::Command::new(BINARY.find());
        let output = command.args(args).arg("--config").arg(self.config_path()).output().await.unwrap();
        crate::client::Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The plain HTTP listener.
    pub fn http(&self) -> SocketAddr {
        SocketAddr::from((self.options.address, self.options.http_port))
    }

    /// The HTTPS listener.
    pub fn https(&self) -> SocketAddr {
        SocketAddr::from((self.options.address, self.options.https_port))
    }

    /// The admin listener.
    pub fn admin(&self) -> SocketAddr {
        SocketAddr::from((self.options.address, self.options.admin_port))
    }

    /// One visit over HTTP/1.1 by this client: handshake and `GET`.
    ///
    /// # Errors
    /// What the client saw instead.
    pub async fn get(
        &self,
        client: &TlsClient,
        name: &str,
        path: &str,
    ) -> Result<::http::Response<bytes::Bytes>, http::HttpError> {
        client.get(self.https(), name, path).await
    }

    /// The configuration file.
    pub fn config_path(&self) -> PathBuf {
        self.folder.join("edge.toml")
    }

    /// The storage folder; it survives [`kill9`](Self::kill9) and [`restart`](Self::restart).
    pub fn storage(&self) -> PathBuf {
        self.options.storage.clone().unwrap_or_else(|| self.folder.join("storage"))
    }

    /// Changes the options for the next start or reload, and writes the configuration.
    pub fn configure(&mut self, change: impl FnOnce(&mut EdgeOptions)) {
        change(&mut self.options);
        self.write_config();
    }

    /// Everything that it and its predecessors in this folder wrote: diagnostics and the access log.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// Waits until the log holds this text.
    pub async fn logs(&self, text: &str) {
        wait::until(&format!("the log says {text:?}"), async || self.log().contains(text).then_some(())).await;
    }

    /// The sum of all samples of a metric; with labels in braces, of the one that is written exactly so. Zero when
    /// there is none.
    pub async fn metric(&self, name: &str) -> f64 {
        let response = http::get(&format!("http://{}/metrics", self.admin())).await.unwrap();
        let text = String::from_utf8_lossy(response.body()).into_owned();
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| sample(line, name)).sum()
    }

    /// Waits until a metric is at least this.
    pub async fn until_metric(&self, name: &str, at_least: f64) {
        let what = format!("{name} is at least {at_least}");
        wait::until(&what, async || (self.metric(name).await >= at_least).then_some(())).await;
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.daemon().id()
    }

    /// Leaves it this many descriptors beside those that it has open.
    pub async fn leave_descriptors(&self, more: usize) {
        // One is that of the question itself.
        let open = self.metric("process_open_fds").await as usize - 1;
        let limit = format!("--nofile={0}:{0}", open + more);
        let status = Command::new("prlimit").arg(format!("--pid={}", self.id())).arg(limit).status();
        assert!(status.is_ok_and(|status| status.success()), "prlimit (util-linux) must work");
    }

    /// Processor time that it has used.
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        // Behind the program's name, which may hold anything: fields 14 and 15, in hundredths of a second.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    /// What it has in memory, in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    /// The most that it ever had in memory, in KiB, as the kernel has counted it.
    pub fn peak_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    fn status_kib(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_else(|| panic!("no {field}"))
    }

    /// How it ended, if it has.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.daemon.as_ref().and_then(Daemon::exited)
    }

    /// Sends a signal by name (`HUP` to reload).
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
        ended.expect("the edge must end within a minute after SIGTERM")
    }

    /// Starts it again in the same folder, after a kill if it still runs.
    pub async fn restart(&mut self) {
        // The old one is killed and awaited by its Drop before the new one binds.
        self.daemon = None;
        self.launch();
        self.ready().await;
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("the edge must have been launched")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("edge.log")
    }

    fn write_config(&self) {
        write(&self.config_path(), &self.options.to_toml(&self.storage()));
    }
}

impl Drop for EdgeProcess {
    fn drop(&mut self) {
        self.daemon = None;
        let panics: Vec<String> =
            self.log().lines().filter(|line| line.contains("panicked at")).map(str::to_owned).collect();
        if !panics.is_empty() && !std::thread::panicking() {
            panic!("the edge panicked:\n{}", panics.join("\n"));
        }
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}

/// The value of a line of the text format, if it is of this metric.
fn sample(line: &str, name: &str) -> Option<f64> {
    let (key, value) = line.rsplit_once(' ')?;
    let same = key == name || key.split_once('{').is_some_and(|(metric, _)| metric == name);
    same.then(|| value.parse().ok()).flatten()
}
