//! The known names on disk: a snapshot (`names.ndjson`, the form of the wire) and the changes since (`changes.ndjson`).
//!
//! One thread writes, behind the feed and in its order. A change is appended within milliseconds of being live, so that
//! a restart finds what was served, deletions included; when the changes have grown long the snapshot is written anew,
//! from the names as they stand. It need not be of one moment: a change that it already holds is harmless when it is
//! read again, since no generation ever goes back.

pub(super) mod files;
mod journal;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::Duration,
};

use clock::Timestamp;
use control_api::{Change, SNAPSHOT_LINE, SnapshotHeader};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::{
    directory::{Directory, Position},
    snapshot::{self, Reader},
};
use journal::{Entry, Journal};

const NAMES: &str = "names.ndjson";
const CHANGES: &str = "changes.ndjson";
/// Batches of changes that may wait for the disk; above it the whole snapshot is written instead.
const QUEUE: usize = 1024;
/// Fewer changes than this are no reason to write all names.
const LEAST_CHANGES: usize = 10_000;
/// How often a contact without changes is noted: finer than the days that it is compared with.
const CONTACT_EVERY: Duration = Duration::from_secs(600);
/// Bytes that are gathered before they go to the file.
const BUFFER: usize = 256 << 10;

/// What the writer is asked to do.
enum Op {
    /// These changes are live, and everything up to the position.
    Append(Position, Vec<Change>),
    /// Tell when everything before this is done.
    Flush(oneshot::Sender<()>),
    /// Write all names.
    Save,
}

/// The way to the writer. It ends with this value.
pub(super) struct Store {
    queue: SyncSender<Op>,
    /// The changes on disk no longer follow from one another: all names must be written before any more of them.
    lost: Arc<AtomicBool>,
    directory: Directory,
}

impl Store {
    /// Loads what is there into the directory and starts the writer.
    pub(super) fn open(folder: &Path, directory: &Directory) -> io::Result<Self> {
        files::make_folder(folder)?;
        load(folder, directory);
        let (queue, ops) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicBool::new(false));
        let writer = Writer {
            folder: folder.to_owned(),
            directory: directory.clone(),
            lost: Arc::clone(&lost),
            journal: directory.position().and_then(|_| Journal::reopen(&folder.join(CHANGES)).ok()),
            contact: Timestamp::EPOCH,
        };
        std::thread::Builder::new().name("control-store".to_owned()).spawn(move || writer.run(&ops))?;
        Ok(Self { queue, lost, directory: directory.clone() })
    }

    /// Keeps changes.
    pub(super) fn append(&self, position: Position, changes: Vec<Change>) {
        self.enqueue(Op::Append(position, changes));
    }

    /// Keeps all names.
    pub(super) fn save(&self) {
        // Changes after this may belong to another run of the sequence than those on disk.
        self.lost.store(true, Ordering::Release);
        self.enqueue(Op::Save);
    }

    /// Waits until everything asked for so far is done.
    pub(super) async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        let queue = self.queue.clone();
        // The queue may be full, and then its `send` blocks.
        let sent = tokio::task::spawn_blocking(move || queue.send(Op::Flush(done))).await;
        if matches!(sent, Ok(Ok(()))) {
            let _ = wait.await;
        }
    }

    fn enqueue(&self, op: Op) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(op) {
            self.lost.store(true, Ordering::Release);
            self.directory.metrics().disk_failed("queue");
        }
    }
}

struct Writer {
    folder: PathBuf,
    directory: Directory,
    lost: Arc<AtomicBool>,
    /// Nothing while no snapshot is on disk.
    journal: Option<Journal>,
    /// When a contact was last noted.
    contact: Timestamp,
}

impl Writer {
    fn run(mut self, ops: &Receiver<Op>) {
        for op in ops {
            match op {
                Op::Append(position, changes) => self.append(position, &changes),
                Op::Flush(done) => {
                    let _ = done.send(());
                }
                Op::Save => self.save(),
            }
        }
    }

    fn append(&mut self, position: Position, changes: &[Change]) {
        let longest = LEAST_CHANGES.max(self.directory.names() / 4);
        let whole = !self.lost.load(Ordering::Acquire);
        let Some(journal) = self.journal.as_mut().filter(|journal| whole && journal.len() < longest) else {
            return self.save();
        };
        let now = self.directory.clock().now();
        let contact = now.since(self.contact) >= CONTACT_EVERY;
        if changes.is_empty() && !contact {
            return;
        }
        self.contact = now;
        let entries = changes.iter().map(Entry::Change).chain([Entry::contact(position, now)]);
        if let Err(error) = journal.append(entries) {
            self.lost.store(true, Ordering::Release);
            self.failed("append", &error);
        }
    }

    fn save(&mut self) {
        // Taken before the names are: what comes meanwhile is in the queue, behind this.
        self.lost.store(false, Ordering::Release);
        match self.try_save() {
            Ok(()) => self.directory.metrics().saved(self.directory.clock().now()),
            Err(error) => {
                self.lost.store(true, Ordering::Release);
                self.failed("write", &error);
            }
        }
    }

    fn try_save(&mut self) -> io::Result<()> {
        let Some(position) = self.directory.position() else { return Ok(()) };
        files::replace(&self.folder.join(NAMES), |file| self.write_names(file, position))?;
        let path = self.folder.join(CHANGES);
        let now = self.directory.clock().now();
        files::replace(&path, |file| {
            let contact = self.directory.last_contact().unwrap_or(now);
            let buried = self.directory.buried();
            let buried = buried.iter().map(|(name, generation)| Entry::gone(name, *generation));
            journal::write(file, [Entry::base(position)].into_iter().chain(buried))?;
            journal::write(file, [Entry::contact(position, contact)])
        })?;
        self.journal = Some(Journal::fresh(&path)?);
        Ok(())
    }

    fn write_names(&self, file: &mut File, position: Position) -> io::Result<()> {
        let count = u64::try_from(self.directory.names()).unwrap_or(u64::MAX);
        let header = SnapshotHeader { epoch: position.epoch, seq: position.seq, count, confirmed: true };
        let (mut file, mut line) = (BufWriter::with_capacity(BUFFER, file), Vec::new());
        let mut writer = snapshot::Writer::new(header, &mut line)?;
        let mut written = file.write_all(&line);
        self.directory.each(|known| {
            let Some(name) = known.unpack().filter(|_| written.is_ok()) else { return };
            line.clear();
            written = writer.name(name, &mut line).map_err(io::Error::from).and_then(|()| file.write_all(&line));
        });
        written?;
        line.clear();
        writer.end(&mut line)?;
        file.write_all(&line)?;
        file.flush()
    }

    fn failed(&self, action: &'static str, error: &io::Error) {
        self.directory.metrics().disk_failed(action);
        warn!(action, %error, folder = %self.folder.display(), "control.store failed");
    }
}

/// Loads snapshot and changes. What cannot be read is reported and left out: the feed brings it again.
fn load(folder: &Path, directory: &Directory) {
    let report = |action: &'static str, error: &dyn std::error::Error| {
        directory.metrics().disk_failed(action);
        warn!(action, %error, folder = %folder.display(), "control.store cannot be used");
    };
    match load_names(&folder.join(NAMES), directory) {
        Ok(0) => return,
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return,
        Err(error) => return report(if error.kind() == ErrorKind::InvalidData { "broken" } else { "load" }, &error),
    }
    match journal::replay(&folder.join(CHANGES), directory) {
        Ok(broken) if broken > 0 => report("broken", &io::Error::other(format!("{broken} changes are unreadable"))),
        Ok(_) => {}
        Err(error) => report("load", &error),
    }
    info!(names = directory.names(), "control.loaded");
}

/// How many lines it had.
fn load_names(path: &Path, directory: &Directory) -> io::Result<usize> {
    let mut file = BufReader::with_capacity(BUFFER, File::open(path)?);
    let invalid = |error| io::Error::new(ErrorKind::InvalidData, telemetry::chain(&error).to_string());
    let (mut reader, mut line, mut count) = (Reader::new(directory), Vec::new(), 0);
    let most = u64::try_from(SNAPSHOT_LINE).unwrap_or(u64::MAX);
    loop {
        line.clear();
        if io::Read::take(&mut file, most).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        reader.line(&line).map_err(invalid)?;
        count += 1;
    }
    reader.finish().map_err(invalid)?;
    Ok(count)
}
