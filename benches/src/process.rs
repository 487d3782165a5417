//! Child processes and what they cost, read from `/proc`.
//!
//! CPU is the scheduler's nanosecond account of every thread (`schedstat`): the clock ticks of `stat` are too coarse for
//! runs of a second. A thread that ends takes its account with it; servers under load keep theirs.

use std::{fs, io, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// A server gets this long to end by itself before it is killed: it has nothing left to serve.
const STOP_WAIT: Duration = Duration::from_secs(2);

/// A child and everything it started.
#[derive(Debug)]
pub struct Tree {
    child: Child,
    root: u32,
}

impl Tree {
    /// Starts `command` on one core. It is told to stop when this process ends, however that happens.
    pub fn start(core: usize, command: &[String], log: fs::File) -> Result<Self> {
        let program = command.first().context("an empty command")?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "taskset", "-c", &core.to_string()])
            .args(command)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let root = child.id().context("the child has ended already")?;
        Ok(Self { child, root })
    }

    /// Fails when the first process has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("it ended by itself: {status}"),
            None => Ok(()),
        }
    }

    /// CPU time of all its processes so far, in nanoseconds.
    pub fn cpu_ns(&self) -> io::Result<u64> {
        Ok(members(self.root)?.into_iter().map(cpu_ns_of).sum())
    }

    /// Memory of all its processes in KiB, shared pages counted once between them (`Pss`).
    pub fn memory_kib(&self) -> io::Result<u64> {
        members(self.root)?.into_iter().map(pss_kib_of).sum()
    }

    /// Resident memory of the first process in KiB.
    pub fn resident_kib(&self) -> io::Result<u64> {
        field_kib(&fs::read_to_string(format!("/proc/{}/status", self.root))?, "VmRSS:")
    }

    /// Ends it: politely, then not.
    pub async fn stop(mut self) {
        let everyone = members(self.root).unwrap_or_default();
        self.terminate();
        if tokio::time::timeout(STOP_WAIT, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
            everyone.into_iter().filter(|pid| *pid != self.root).for_each(|pid| signal(pid, Signal::KILL));
        }
    }

    fn terminate(&self) {
        if self.child.id().is_some() {
            signal(self.root, Signal::TERM);
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.terminate();
    }
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = kill_process(pid, signal);
    }
}

/// A process and its descendants. Those that end while we look are left out.
fn members(root: u32) -> io::Result<Vec<u32>> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| Some((pid, parent_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect();
    Ok(descendants(root, &parents))
}

fn descendants(root: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

/// The parent's id in `/proc/<pid>/stat`; the name before it may hold spaces and parentheses.
fn parent_in(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn cpu_ns_of(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|stat| run_ns_in(&stat))
        .sum()
}

/// The first number of `schedstat`: nanoseconds on a CPU.
fn run_ns_in(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().next()?.parse().ok()
}

fn pss_kib_of(pid: u32) -> io::Result<u64> {
    field_kib(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?, "Pss:")
}

fn field_kib(text: &str, field: &str) -> io::Result<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(field)?.split_ascii_whitespace().next()?.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("no {field} in a /proc file")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_with_parentheses_hides_no_parent() {
        assert_eq!(parent_in("12 (a) b (c)) S 7 12 12"), Some(7));
        assert_eq!(parent_in("no parentheses"), None);
    }

    #[test]
    fn descendants_of_descendants_belong_to_the_tree() {
        let parents = [(2, 1), (3, 2), (4, 1), (5, 99), (6, 3)];
        assert_eq!(descendants(2, &parents), [2, 3, 6]);
    }

    #[test]
    fn fields_of_proc_files_are_found_by_name() {
        assert_eq!(field_kib("Rss:  10 kB\nPss:   7 kB\nPss_Dirty: 1 kB\n", "Pss:").ok(), Some(7));
        assert!(field_kib("Rss: 10 kB", "Pss:").is_err());
        assert_eq!(run_ns_in("123456 789 4\n"), Some(123_456));
    }

    #[test]
    fn this_process_has_used_cpu_and_memory() {
        let own = std::process::id();
        assert!(cpu_ns_of(own) > 0);
        assert!(pss_kib_of(own).is_ok_and(|kib| kib > 0));
        assert!(members(own).is_ok_and(|pids| pids.contains(&own)));
    }
}
