//! The last allowing answer of every name, on disk.
//!
//! An index in memory knows which names have a record, so that a name without one (whatever an attacker sends) never
//! costs a look at the disk. Writes and removals go through a bounded queue to one thread: in order, behind the answer,
//! never waited for. A write that is lost costs one question after the next restart, so nothing here is synced to the
//! platter and nothing here can fail an admission.

mod disk;
mod index;
mod writer;

use std::{
    io,
    path::Path,
    sync::{Arc, mpsc::TrySendError},
    time::Duration,
};

use clock::{SharedClock, Timestamp};
use control_api::AskAnswer;
use names::Hostname;
use tokio::sync::oneshot;
use tracing::warn;
use url::Url;

use crate::{GateSettings, metrics::RecordMetrics, sampler::Sampler};
pub(crate) use disk::Record;
use disk::{Folder, ReadError};
use index::{Index, Kept};
use writer::Op;

/// A record that says the same as a new answer is written again after this, so that its age stays far below the time
/// that stale answers may be used.
const REWRITE_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Last answers on disk.
pub(crate) struct Records {
    folder: Folder,
    index: Arc<Index>,
    queue: std::sync::mpsc::SyncSender<Op>,
    metrics: RecordMetrics,
    limit: usize,
    /// Which endpoint the answers come from. Each endpoint counts generations of its own.
    source: u64,
    reports: Sampler,
}

impl Records {
    /// Lists the folder, which need not exist yet, and starts the writer.
    pub(crate) fn open(settings: &GateSettings, clock: SharedClock, metrics: RecordMetrics) -> io::Result<Self> {
        let limits = &settings.limits;
        let folder = Folder::new(&settings.answers, limits.answer_bytes);
        let index = Arc::new(Index::new(metrics.count.clone()));
        folder.list(&mut |name| index.note(name))?;
        let keep = limits.stale + REWRITE_AFTER;
        let sweep = writer::Sweep { clock, keep, next: Timestamp::EPOCH };
        let queue = writer::start(folder.clone(), Arc::clone(&index), metrics.clone(), sweep, limits.record_queue)?;
        let source = source(&settings.url);
        Ok(Self { folder, index, queue, metrics, limit: limits.records, source, reports: Sampler::default() })
    }

    /// The generation of the record of a name, as far as it is known without looking at the disk; `None` when the
    /// record is there and was not read yet.
    pub(crate) fn generation(&self, name: &Hostname) -> Option<u64> {
        match self.index.find(name) {
            Some(Kept::Known { generation, .. }) => Some(generation),
            Some(Kept::Unread) => None,
            None => Some(0),
        }
    }

    /// Reads the record of a name, if it has one. A broken one is reported, counted, and not read again.
    pub(crate) async fn load(&self, name: &Hostname, now: Timestamp) -> Option<Record> {
        self.index.find(name)?;
        match self.read(name).await {
            Ok(Some(record)) => {
                self.index.keep(name, self.kept(&record));
                Some(record)
            }
            Ok(None) => {
                self.index.forget(name);
                None
            }
            Err(error) => {
                self.report(name, &error, now);
                None
            }
        }
    }

    /// Reads the record of a name without any trace of having done so.
    pub(crate) async fn peek(&self, name: &Hostname) -> Option<Record> {
        self.index.find(name)?;
        self.read(name).await.ok().flatten()
    }

    /// The generation that a record sets as the lowest acceptable one.
    pub(crate) fn floor(&self, record: &Record) -> u64 {
        if record.source == self.source { record.answer.generation } else { 0 }
    }

    /// Keeps an answer, unless the record says the same and is young.
    pub(crate) fn save(&self, name: &Hostname, answer: &AskAnswer, now: Timestamp) {
        let record = Record { answered: now.as_millis(), source: self.source, answer: stored(name, answer) };
        let kept = self.kept(&record);
        match self.index.find(name) {
            Some(known) if !known.is_worth_writing(&kept, REWRITE_AFTER) => return,
            None if self.index.len() >= self.limit => return self.metrics.dropped("limit"),
            Some(_) | None => {}
        }
        if self.enqueue(Op::Save { name: name.clone(), record: Box::new(record) }) {
            self.index.keep(name, kept);
        }
    }

    /// Removes the record of a name, if it has one.
    pub(crate) fn remove(&self, name: &Hostname) {
        if self.index.find(name).is_some() && self.enqueue(Op::Remove(name.clone())) {
            self.index.forget(name);
        }
    }

    /// Waits until everything queued so far is done.
    pub(crate) async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        let queue = self.queue.clone();
        // The queue may be full, and then its `send` blocks.
        let sent = tokio::task::spawn_blocking(move || queue.send(Op::Flush(done))).await;
        if matches!(sent, Ok(Ok(()))) {
            let _ = wait.await;
        }
    }

    async fn read(&self, name: &Hostname) -> Result<Option<Record>, ReadError> {
        let (folder, name) = (self.folder.clone(), name.clone());
        let read = tokio::task::spawn_blocking(move || folder.read(&name)).await;
        read.unwrap_or_else(|gone| Err(ReadError::Io(io::Error::other(gone))))
    }

    fn enqueue(&self, op: Op) -> bool {
        match self.queue.try_send(op) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.metrics.dropped("queue");
                false
            }
        }
    }

    fn kept(&self, record: &Record) -> Kept {
        Kept::Known {
            content: self.index.content(record),
            written: Timestamp::from_millis(record.answered),
            generation: self.floor(record),
        }
    }

    fn report(&self, name: &Hostname, error: &ReadError, now: Timestamp) {
        match error {
            // What cannot be understood now cannot be understood in three seconds; the next allow writes it anew.
            ReadError::Broken(_) | ReadError::OtherName(_) | ReadError::TooLong => {
                self.metrics.broken.inc();
                self.index.forget(name);
            }
            ReadError::Io(_) => self.metrics.failed("read"),
        }
        if let Some(left_out) = self.reports.admit(now) {
            let path = self.folder.path(name);
            warn!(%name, path = %Path::display(&path), error = %telemetry::chain(error), left_out, "ask.record skipped");
        }
    }
}

/// Tells endpoints apart by their URL. Query and user may hold a token that changes while the endpoint stays.
fn source(url: &Url) -> u64 {
    let place = [url.scheme(), url.host_str().unwrap_or_default(), url.path()].join(" ");
    disk::stable_hash(&format!("{place} {:?}", url.port_or_known_default()))
}

/// The form that goes to disk: with the name, so that a file in the wrong place is noticed, and without the time to
/// live, which may differ each time and says nothing after a restart.
fn stored(name: &Hostname, answer: &AskAnswer) -> AskAnswer {
    AskAnswer { hostname: Some(name.clone()), ttl_seconds: None, ..answer.clone() }
}
