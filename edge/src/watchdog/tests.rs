use std::{
    os::unix::process::ExitStatusExt as _,
    process::{Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
};

use super::*;

/// Only a failing test waits for so long.
const LIMIT: Duration = Duration::from_secs(60);

enum Heard {
    Alive,
    Stuck(Duration),
}

struct Ear(Sender<Heard>);

impl Master for Ear {
    fn alive(&mut self) {
        let _ = self.0.send(Heard::Alive);
    }

    fn stuck(self, silent: Duration) {
        let _ = self.0.send(Heard::Stuck(silent));
    }
}

fn watchdog(pulse: &Pulse, limit: Duration) -> (Watchdog, Receiver<Heard>) {
    let (said, heard) = channel();
    (Watchdog::start(pulse.clone(), limit, Ear(said)).unwrap(), heard)
}

/// Waits until the watchdog says that all is stuck, and for how long it was.
fn until_stuck(heard: &Receiver<Heard>) -> Duration {
    loop {
        if let Heard::Stuck(silent) = heard.recv_timeout(LIMIT).expect("the watchdog must say something") {
            return silent;
        }
    }
}

#[test]
fn a_runtime_with_a_stuck_worker_on_every_thread_is_noticed() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let pulse = Pulse::default();
    let beats = pulse.clone();
    runtime.spawn(async move {
        let mut each = tokio::time::interval(Duration::from_millis(5));
        loop {
            each.tick().await;
            beats.beat();
        }
    });
    let limit = Duration::from_millis(500);
    let (_watchdog, heard) = watchdog(&pulse, limit);
    assert!(matches!(heard.recv_timeout(LIMIT).unwrap(), Heard::Alive), "it turns");
    let mut releases = Vec::new();
    for _ in 0..2 {
        let (release, wait) = channel::<()>();
        releases.push(release);
        runtime.spawn(async move {
            let _ = wait.recv();
        });
    }
    assert!(until_stuck(&heard) >= limit);
    drop(releases);
}

#[test]
fn one_worker_that_turns_is_enough() {
    let pulse = Pulse::default();
    let (watchdog, heard) = watchdog(&pulse, Duration::from_secs(5));
    for _ in 0..3 {
        pulse.beat();
        assert!(matches!(heard.recv_timeout(LIMIT).unwrap(), Heard::Alive));
    }
    // Called off, it says nothing more, however long nobody beats.
    drop(watchdog);
    assert!(heard.into_iter().all(|word| matches!(word, Heard::Alive)));
}

/// This test is its own child: it runs once more, in a process that gets stuck.
#[test]
fn a_stuck_process_says_what_it_knows_and_is_ended_by_sigabrt() {
    const CHILD: &str = "NAMEGATE_TEST_GETS_STUCK";
    if std::env::var_os(CHILD).is_some() {
        return get_stuck();
    }
    let name = std::thread::current().name().unwrap().to_owned();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", &name, "--nocapture"]).env(CHILD, "1").stdout(Stdio::null());
    let ended = child.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.signal(), Some(6), "SIGABRT: {said}");
    let line = said.lines().find(|line| line.contains("the runtime is stuck")).unwrap_or_else(|| panic!("{said}"));
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["workers"], 1, "{line}");
    assert!(line["tasks"].as_u64().is_some() && line["silent_s"].as_f64().unwrap() >= 0.2, "{line}");
    assert!(line["threads"].as_str().unwrap().contains("watchdog:"), "{line}");
}

fn get_stuck() {
    let _diagnostics = telemetry::init("info", 100).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pulse = Pulse::default();
    let master = Supervised::new(runtime.handle().clone());
    let _watchdog = Watchdog::start(pulse, Duration::from_millis(200), master).unwrap();
    runtime.block_on(async {
        let (_never, wait) = channel::<()>();
        // As a deadlock does: the worker's thread sleeps, and nobody will wake it.
        let _ = wait.recv_timeout(LIMIT);
    });
}
