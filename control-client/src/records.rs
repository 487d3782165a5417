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
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{SyncSender, TrySendError},
    },
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
use writer::{Op, Sweep};

/// A record that says the same as a new answer is written again after this, so that its age stays far below the time
/// that stale answers may be used.
const REWRITE_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Last answers on disk.
pub(crate) struct Records {
    shared: Arc<Shared>,
    limit: usize,
    /// Which endpoint the answers come from. Each endpoint counts generations of its own.
    source: u64,
}

/// What a gate and its successor after a reload have in common: one index, one writer.
struct Shared {
    basis: Basis,
    folder: Folder,
    index: Index,
    queue: SyncSender<Op>,
    metrics: RecordMetrics,
    clock: SharedClock,
    reports: Sampler,
}

/// The settings that the folder and its writer stand on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Basis {
    path: PathBuf,
    answer_bytes: usize,
    queue: usize,
    stale: Duration,
}

impl Basis {
    fn of(settings: &GateSettings) -> Self {
        let limits = &settings.limits;
        let (answer_bytes, queue, stale) = (limits.answer_bytes, limits.record_queue, limits.stale);
        Self { path: settings.answers.clone(), answer_bytes, queue, stale }
    }
}

impl Records {
    /// Lists the folder, which need not exist yet, and starts the writer.
    pub(crate) fn open(settings: &GateSettings, clock: SharedClock, metrics: RecordMetrics) -> io::Result<Self> {
        let basis = Basis::of(settings);
        let folder = Folder::new(&basis.path, basis.answer_bytes);
        let index = Index::new(metrics.count.clone());
        folder.list(&mut |name| index.note(name))?;
        let sweep = Sweep { clock: Arc::clone(&clock), keep: basis.stale + REWRITE_AFTER, next: Timestamp::EPOCH };
        let queue = writer::start(folder.clone(), index.clone(), metrics.clone(), sweep, basis.queue)?;
        let shared = Shared { basis, folder, index, queue, metrics, clock, reports: Sampler::default() };
        Ok(Self::on(Arc::new(shared), settings))
    }

    /// The same records under other settings.
    pub(crate) fn reconfigured(&self, settings: &GateSettings) -> io::Result<Self> {
        let shared = &self.shared;
        match shared.basis == Basis::of(settings) {
            true => Ok(Self::on(Arc::clone(shared), settings)),
            false => Self::open(settings, Arc::clone(&shared.clock), shared.metrics.clone()),
        }
    }

    fn on(shared: Arc<Shared>, settings: &GateSettings) -> Self {
        Self { shared, limit: settings.limits.records, source: source(&settings.url) }
    }

    /// Whether a name has a record, read or not.
    pub(crate) fn has(&self, name: &Hostname) -> bool {
        self.shared.index.find(name).is_some()
    }

    /// The generation of the record of a name, as far as it is known without looking at the disk; `None` when the
    /// record is there and was not read yet.
    pub(crate) fn generation(&self, name: &Hostname) -> Option<u64> {
        match self.shared.index.find(name) {
            Some(Kept::Known { source, generation, .. }) => Some(if source == self.source { generation } else { 0 }),
            Some(Kept::Unread) => None,
            None => Some(0),
        }
    }

    /// Reads the record of a name, if it has one. A broken one is reported, counted, and not read again.
    pub(crate) async fn load(&self, name: &Hostname, now: Timestamp) -> Option<Record> {
        self.shared.index.find(name)?;
        match self.read(name).await {
            Ok(Some(record)) => {
                self.shared.index.keep(name, self.kept(&record));
                Some(record)
            }
            Ok(None) => {
                self.shared.index.forget(name);
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
        self.shared.index.find(name)?;
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
        match self.shared.index.find(name) {
            Some(known) if !known.is_worth_writing(&kept, REWRITE_AFTER) => return,
            None if self.shared.index.len() >= self.limit => return self.shared.metrics.dropped("limit"),
            Some(_) | None => {}
        }
        if self.enqueue(Op::Save { name: name.clone(), record: Box::new(record) }) {
            self.shared.index.keep(name, kept);
        }
    }

    /// Removes the record of a name, if it has one.
    pub(crate) fn remove(&self, name: &Hostname) {
        if self.shared.index.find(name).is_some() && self.enqueue(Op::Remove(name.clone())) {
            self.shared.index.forget(name);
        }
    }

    /// Waits until everything queued so far is done.
    pub(crate) async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        let queue = self.shared.queue.clone();
        // The queue may be full, and then its `send` blocks.
        let sent = tokio::task::spawn_blocking(move || queue.send(Op::Flush(done))).await;
        if matches!(sent, Ok(Ok(()))) {
            let _ = wait.await;
        }
    }

    async fn read(&self, name: &Hostname) -> Result<Option<Record>, ReadError> {
        let (folder, name) = (self.shared.folder.clone(), name.clone());
        let read = tokio::task::spawn_blocking(move || folder.read(&name)).await;
        read.unwrap_or_else(|gone| Err(ReadError::Io(io::Error::other(gone))))
    }

    fn enqueue(&self, op: Op) -> bool {
        match self.shared.queue.try_send(op) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.shared.metrics.dropped("queue");
                false
            }
        }
    }

    fn kept(&self, record: &Record) -> Kept {
        Kept::Known {
            content: self.shared.index.content(record),
            written: Timestamp::from_millis(record.answered),
            source: record.source,
            generation: record.answer.generation,
        }
    }

    fn report(&self, name: &Hostname, error: &ReadError, now: Timestamp) {
        match error {
            // What cannot be understood now cannot be understood in three seconds; the next allow writes it anew.
            ReadError::Broken(_) | ReadError::OtherName(_) | ReadError::TooLong => {
                self.shared.metrics.broken.inc();
                self.shared.index.forget(name);
            }
            ReadError::Io(_) => self.shared.metrics.failed("read"),
        }
        if let Some(left_out) = self.shared.reports.admit(now) {
            let path = self.shared.folder.path(name);
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
