//! [`Daemon`]: a child process that never outlives its owner and whose output is kept.
//!
//! Its `Drop` kills it; the kernel does when the owner dies without one, such as by SIGKILL ([`command`]).

use std::{
    ffi::OsStr,
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use tokio::net::TcpStream;

use crate::wait;

/// How much of a log is shown when something fails.
const SHOWN: usize = 4000;

/// A running program. Dropped: killed and awaited.
#[derive(Debug)]
pub(crate) struct Daemon {
    name: &'static str,
    log: PathBuf,
    child: Mutex<Child>,
    shown: AtomicBool,
}

/// A command for `program` that is killed when the thread that starts it ends (`PR_SET_PDEATHSIG`): a test that is
/// killed leaves no server behind. `setpriv` (util-linux) sets that and becomes the program, under the same id.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

impl Daemon {
    /// Starts it with both outputs appended to `log`.
    pub(crate) fn spawn(name: &'static str, command: &mut Command, log: &Path) -> Self {
        Self::spawn_as(name, command, log, |_| {})
    }

    /// The same, with the last word on the command; `log` stays what is read when something fails.
    pub(crate) fn spawn_as(
        name: &'static str,
        command: &mut Command,
        log: &Path,
        adjust: impl FnOnce(&mut Command),
    ) -> Self {
        let output = File::options().create(true).append(true).open(log).unwrap();
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        adjust(command);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start ({command:?}): {error}"));
        Self { name, log: log.to_owned(), child: Mutex::new(child), shown: AtomicBool::new(false) }
    }

    /// Waits until a connection to `address` is accepted; panics with the log when the program ends before.
    pub(crate) async fn listening(&self, address: SocketAddr) {
        wait::until(&format!("{} listens on {address}", self.name), async || {
            self.assert_running();
            TcpStream::connect(address).await.ok()
        })
        .await;
    }

    /// Panics with the log when the program has ended.
    pub(crate) fn assert_running(&self) {
        if let Some(status) = self.exited() {
            self.shown.store(true, Ordering::Relaxed);
            panic!("{} ended ({status}); its log ends:\n{}", self.name, self.tail());
        }
    }

    /// How it ended, if it has.
    pub(crate) fn exited(&self) -> Option<ExitStatus> {
        self.child.lock().try_wait().unwrap()
    }

    /// Everything it has written.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn tail(&self) -> String {
        let log = self.log();
        let start = log.ceil_char_boundary(log.len().saturating_sub(SHOWN));
        log[start..].to_owned()
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.lock().id()
    }

    /// Sends a signal by name (`TERM`, `HUP`).
    pub(crate) fn signal(&self, signal: &str) {
        // The child is not reaped while it is locked here, so its id cannot belong to another process.
        let child = self.child.lock();
        let status = Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "no signal could be sent to {}", self.name);
    }

    /// SIGKILL, awaited.
    pub(crate) fn kill(&self) {
        let mut child = self.child.lock();
        // An error means that it has ended already; waiting is right in both cases.
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let ended = self.exited();
        self.kill();
        if std::thread::panicking() && !self.shown.load(Ordering::Relaxed) {
            eprintln!("--- {} ({ended:?}) wrote:\n{}\n---", self.name, self.tail());
        }
    }
}
