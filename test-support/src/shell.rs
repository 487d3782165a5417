//! [`Shell`]: one bash for the blocks of a document, as a reader has one terminal.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::{Block, wait};

/// A block that takes longer is stuck.
const LIMIT: Duration = Duration::from_secs(120);
/// What bash prints once a block has run to its end.
const DONE: &str = "block done";

/// A bash whose variables, functions, folder and background jobs outlive a block.
///
/// It stops at the first command that fails (`set -euo pipefail`), and the test with it. Dropped: it is killed with
/// everything that it has left in the background.
#[derive(Debug)]
pub struct Shell {
    bash: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    group: u32,
    count: usize,
    files: TempDir,
}

impl Shell {
    /// Starts bash in `folder` with variables beside those of this process.
    pub async fn start(folder: &Path, variables: &[(&str, &str)]) -> Self {
        let mut bash = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .envs(variables.iter().copied())
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A group of its own, so that what runs in the background can be ended with it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .expect("bash must start");
        let group = bash.id().expect("bash must run");
        let input = bash.stdin.take().expect("the input is piped");
        let output = BufReader::new(bash.stdout.take().expect("the output is piped")).lines();
        let mut shell = Self { bash, input, output, group, count: 0, files: tempfile::tempdir().unwrap() };
        // $LINENO counts within the block, which is a file of its own.
        let trap = "trap 'echo \"line $LINENO: status $?\" >&2' ERR";
        shell.run_text("the start of bash", &format!("set -Eeuo pipefail\n{trap}\n")).await;
        shell
    }

    /// Runs a block to its end and answers what it wrote to standard output. Panics with all that it wrote when a
    /// command of it fails.
    pub async fn run(&mut self, block: &Block) -> String {
        self.run_text(&block.place, &block.text).await
    }

    /// Runs any text; `place` is for messages.
    pub async fn run_text(&mut self, place: &str, text: &str) -> String {
        self.count += 1;
        let file = |kind: &str| self.files.path().join(format!("{}.{kind}", self.count));
        let (script, stdout, stderr) = (file("sh"), file("out"), file("err"));
        std::fs::write(&script, text).unwrap();
        let show = |path: &PathBuf| path.display().to_string();
        let line = format!(". {} </dev/null >{} 2>{}; echo {DONE}\n", show(&script), show(&stdout), show(&stderr));
        self.input.write_all(line.as_bytes()).await.unwrap_or_else(|error| panic!("{place}: bash is gone: {error}"));
        let seen = timeout(LIMIT, self.output.next_line()).await;
        let read = |path: &PathBuf| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
        let (wrote, complained) = (read(&stdout), read(&stderr));
        let ended = match seen {
            Ok(Ok(Some(line))) if line == DONE => return wrote,
            Err(_) => format!("has not ended after {LIMIT:?}"),
            Ok(_) => "failed".to_owned(),
        };
        panic!("{place} {ended}\n{text}--- standard output\n{wrote}--- standard error\n{complained}---");
    }

    /// The value of a variable.
    pub async fn variable(&mut self, name: &str) -> String {
        self.run_text(name, &format!("printf %s \"${{{name}}}\"")).await
    }

    fn group_signal(&self, signal: &str) -> bool {
        let group = format!("-{}", self.group);
        let sent = std::process::Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status();
        sent.is_ok_and(|status| status.success())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Bash is not reaped before this, so the group cannot be another's.
        self.group_signal("-KILL");
        let deadline = std::time::Instant::now() + wait::LIMIT;
        while matches!(self.bash.try_wait(), Ok(None)) && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
    }
}
