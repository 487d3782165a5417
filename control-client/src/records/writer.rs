//! The one thread that writes records. It ends when the last handle of the gate is gone.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::Duration,
};

use clock::{SharedClock, Timestamp};
use names::Hostname;
use tokio::sync::oneshot;
use tracing::warn;

use super::{
    disk::{Folder, Record},
    index::Index,
};
use crate::{metrics::RecordMetrics, sampler::Sampler};

/// Time between two walks over the folder for records that nobody can use any more.
const SWEEP_EVERY: Duration = Duration::from_secs(24 * 3600);

/// What the writer is asked to do.
pub(super) enum Op {
    /// Tell when everything before this is done.
    Flush(oneshot::Sender<()>),
    /// Remove a record.
    Remove(Hostname),
    /// Write a record.
    Save { name: Hostname, record: Box<Record> },
}

/// When to look for old records. Never before the first write: a gate that only explains changes no file.
pub(super) struct Sweep {
    pub(super) clock: SharedClock,
    /// How old a record may get.
    pub(super) keep: Duration,
    /// Not before.
    pub(super) next: Timestamp,
}

struct Writer {
    folder: Folder,
    index: Index,
    metrics: RecordMetrics,
    sweep: Sweep,
    reports: Sampler,
}

/// Starts the thread and gives its queue.
pub(super) fn start(
    folder: Folder,
    index: Index,
    metrics: RecordMetrics,
    sweep: Sweep,
    queue: usize,
) -> io::Result<SyncSender<Op>> {
    let (sender, receiver) = sync_channel(queue);
    let writer = Writer { folder, index, metrics, sweep, reports: Sampler::default() };
    std::thread::Builder::new().name("ask-records".to_owned()).spawn(move || writer.run(&receiver))?;
    Ok(sender)
}

impl Writer {
    fn run(mut self, queue: &Receiver<Op>) {
        for op in queue {
            self.sweep_if_due();
            self.act(op);
        }
    }

    fn act(&self, op: Op) {
        match op {
            Op::Flush(done) => {
                let _ = done.send(());
            }
            Op::Remove(name) => self.report("remove", self.folder.remove(&name)),
            Op::Save { name, record } => self.report("write", self.folder.write(&name, &record)),
        }
    }

    fn sweep_if_due(&mut self) {
        let now = self.sweep.clock.now();
        if now < self.sweep.next {
            return;
        }
        self.sweep.next = now + SWEEP_EVERY;
        let moment = now - self.sweep.keep;
        let swept = self.folder.sweep(moment, &mut |name| {
            // A name that was allowed again meanwhile has its write in the queue.
            if self.index.find(name).is_some_and(|kept| kept.is_before(moment)) {
                self.index.forget(name);
            }
        });
        self.report("sweep", swept);
    }

    fn report(&self, action: &str, result: io::Result<()>) {
        let Err(error) = result else { return };
        self.metrics.failed(action);
        if let Some(left_out) = self.reports.admit(self.sweep.clock.now()) {
            warn!(action, %error, left_out, "ask.record failed");
        }
    }
}
