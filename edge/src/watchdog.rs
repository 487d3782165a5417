//! A thread that sees when the runtime has stopped turning.
//!
//! A deadlock or an endless loop on every worker leaves a process that accepts nothing, answers no health check and
//! never ends. Only something outside the runtime can notice: this thread looks for the [`Pulse`] that a task beats, says
//! what it knows, and has the process end, so that its supervisor starts another one.
//!
//! It counts its own looks and not the clock: a process or a machine that was suspended finds on waking that much time
//! has passed and that nothing is wrong.

mod facts;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;

/// Looks within a limit: what is found is off by a tenth at most.
const LOOKS: u32 = 10;
/// How long saying what is known may take before the process ends without it: the log may be what is stuck.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What shows that the runtime turns. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// To be called by a task of the runtime, often within a watchdog's limit.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn beats(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a watchdog does.
pub trait Master: Send + 'static {
    /// The runtime turns; called a few times within each limit.
    fn alive(&mut self);
    /// It has not turned for as long as the limit says. The thread ends with this.
    fn stuck(self, silent: Duration);
}

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Watchdog {
    off: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Starts watching: `limit` without a beat is too long.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(pulse: Pulse, limit: Duration, master: impl Master) -> io::Result<Self> {
        let off = Arc::new((Mutex::new(false), Condvar::new()));
        let called = Arc::clone(&off);
        // A beat between here and the thread's first look is one.
        let seen = pulse.beats();
        let watch = move || watch(&called, &pulse, seen, limit / LOOKS, master);
        let thread = std::thread::Builder::new().name("watchdog".to_owned()).spawn(watch)?;
        Ok(Self { off, thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        *self.off.0.lock() = true;
        self.off.1.notify_all();
        // A panic of its thread has been told of by the panic itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn watch(off: &(Mutex<bool>, Condvar), pulse: &Pulse, mut seen: u64, look: Duration, mut master: impl Master) {
    let mut silent = 0;
    while !called_off(off, look) {
        let beats = pulse.beats();
        silent = if beats == seen { silent + 1 } else { 0 };
        seen = beats;
        if silent >= LOOKS {
            return master.stuck(look * silent);
        }
        // Not at every look: one within a few is enough for those who wait for it.
        if silent == 0 {
            master.alive();
        }
    }
}

/// Waits for one look; true when there is to be none any more.
fn called_off(off: &(Mutex<bool>, Condvar), look: Duration) -> bool {
    let mut is_off = off.0.lock();
    if !*is_off {
        off.1.wait_for(&mut is_off, look);
    }
    *is_off
}

/// Keeps systemd informed, and ends a process whose runtime is stuck: `SIGABRT`, which counts as a failure.
#[derive(Debug)]
pub struct Supervised {
    runtime: Handle,
}

impl Supervised {
    /// Watches over this runtime.
    pub fn new(runtime: Handle) -> Self {
        Self { runtime }
    }
}

impl Master for Supervised {
    fn alive(&mut self) {
        // For `WatchdogSec=`; without systemd nobody listens.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
    }

    fn stuck(self, silent: Duration) {
        let (said, heard) = std::sync::mpsc::channel();
        let say = move || {
            let facts = facts::gather(&self.runtime);
            tracing::error!(
                silent_s = silent.as_secs_f64(),
                tasks = facts.tasks,
                queued = facts.queued,
                workers = facts.workers,
                threads = %facts.threads,
                "the runtime is stuck; the process ends"
            );
            telemetry::flush(LAST_WORDS);
            let _ = said.send(());
        };
        // On another thread: a worker may be stuck inside the log, and then this one would be too.
        if std::thread::Builder::new().name("last-words".to_owned()).spawn(say).is_ok() {
            let _ = heard.recv_timeout(LAST_WORDS);
        }
        std::process::abort();
    }
}

#[cfg(test)]
mod tests;
