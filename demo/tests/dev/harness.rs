//! A running `dev` and a terminal beside it.

use std::{future::ready, net::TcpListener, path::Path, process::Stdio, time::Duration};

use test_support::{Loopback, Shell, wait};
use tokio::process::{Child, Command};

/// It starts six programs, each of which may wait as long as any test waits.
const START_LIMIT: Duration = Duration::from_secs(120);

/// `dev` on an address of its own, with the ports that it has by default. Dropped: killed; its children end with it.
pub(crate) struct Dev {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) host: Loopback,
    child: Child,
}

impl Dev {
    /// Starts it and waits until it has printed everything.
    pub(crate) async fn start(args: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), args, variables).await
    }

    /// The same in a folder where it ran before.
    pub(crate) async fn start_in(folder: tempfile::TempDir, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut dev = Self::launch(folder, args, variables);
        let mut ended = None;
        let lines = wait::within(START_LIMIT, || {
            ended = dev.child.try_wait().unwrap();
            let text = dev.printed();
            // The last line is a visit; webhooks may follow it.
            let is_whole = text.rsplit_once("https://").is_some_and(|(_, end)| end.contains("/\n\n"));
            ready((ended.is_some() || text.contains("dev: ready.") && is_whole).then_some(text))
        });
        let text = lines.await.unwrap_or_else(|| panic!("dev was not ready after {START_LIMIT:?}: {}", dev.printed()));
        assert!(ended.is_none(), "dev ended: {text}");
        dev
    }

    pub(crate) fn launch(folder: tempfile::TempDir, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let host = Loopback::take();
        let output = std::fs::File::create(folder.path().join("output")).unwrap();
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts");
        // A second start finds it there.
        let _ = std::os::unix::fs::symlink(scripts, folder.path().join("scripts"));
        let child = Command::new(env!("CARGO_BIN_EXE_dev"))
            .args(args)
            .env_remove("DATABASE_URL")
            .env("NAMEGATE_DEV_ADDRESS", host.ip().to_string())
            .envs(variables.iter().copied())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { folder, host, child }
    }

    /// Everything on its terminal.
    pub(crate) fn printed(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("output")).unwrap()
    }

    /// The commands that it prints, in their order.
    pub(crate) fn printed_commands(&self) -> Vec<String> {
        let text = self.printed();
        let lines = text.lines().filter_map(|line| line.strip_prefix("  "));
        lines.filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    /// A terminal in the same folder. Whatever curl is told to reach is reached on the stack's address, so that commands
    /// run word for word though they say `localhost`.
    pub(crate) async fn terminal(&self) -> Shell {
        let folder = self.folder.path();
        let curlrc =
            format!("silent\nshow-error\nmax-time = 20\nnoproxy = \"*\"\nconnect-to = \"::{}:\"\n", self.host.ip());
        std::fs::write(folder.join(".curlrc"), curlrc).unwrap();
        // scripts/dev-dns looks for the binary where cargo put this one.
        let target = Path::new(env!("CARGO_BIN_EXE_dev")).ancestors().nth(2).unwrap();
        let variables = [("CURL_HOME", folder.to_str().unwrap()), ("CARGO_TARGET_DIR", target.to_str().unwrap())];
        Shell::start(folder, &variables).await
    }

    /// Ctrl-C: the exit code.
    pub(crate) async fn interrupt(&mut self) -> i32 {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
        self.ended().await
    }

    /// Waits for its end: the exit code.
    pub(crate) async fn ended(&mut self) -> i32 {
        self.child.wait().await.unwrap().code().unwrap_or(-1)
    }

    /// Whether nothing listens where the stack listened.
    pub(crate) fn is_silent(&self) -> bool {
        [2020, 3000, 8000, 8080, 8443].into_iter().all(|port| TcpListener::bind(self.host.at(port)).is_ok())
    }
}
