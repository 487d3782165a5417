//! Reports on disk until the control plane has taken them: numbered files of some hundred lines, oldest first.
//!
//! A file is removed when all of it was taken, so a restart sends at most one file's worth again. Two processes share the
//! folder while an upgrade hands over: a file that one of them writes or sends is locked, and the other leaves it alone.
//! What the old one leaves behind is found by looking again.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, ErrorKind, Write},
    path::{Path, PathBuf},
};

use control_api::CertificateReport;

use super::store::files;

/// Reports in a file: what a crash can bring twice.
const SEGMENT: usize = 256;
const SUFFIX: &str = "ndjson";

/// The files.
pub(super) struct Spool {
    folder: PathBuf,
    /// Whole segments, and those that another process may still write.
    segments: VecDeque<Segment>,
    /// The one that is open for more.
    open: Option<Held>,
    /// The one that is being sent.
    sending: Option<Held>,
    next: u64,
    limit: usize,
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    number: u64,
    count: usize,
}

/// A segment that is locked, as long as this lives.
struct Held {
    segment: Segment,
    file: File,
}

/// What a segment holds; it stays on disk until [`Spool::done`].
pub(super) struct Taken {
    pub(super) reports: Vec<CertificateReport>,
    /// Lines that no report could be made of.
    pub(super) broken: usize,
}

impl Spool {
    /// Lists what an earlier process left.
    pub(super) fn open(folder: &Path, limit: usize) -> io::Result<Self> {
        files::make_folder(folder)?;
        let segments = VecDeque::new();
        let mut spool = Self { folder: folder.to_owned(), segments, open: None, sending: None, next: 0, limit };
        spool.look_again()?;
        Ok(spool)
    }

    /// Reports on disk.
    pub(super) fn len(&self) -> usize {
        let held = self.open.iter().chain(&self.sending).map(|held| &held.segment);
        self.segments.iter().chain(held).map(|segment| segment.count).sum()
    }

    /// Adds reports; how many there was no room for.
    pub(super) fn push(&mut self, reports: &[CertificateReport]) -> io::Result<usize> {
        let room = self.limit.saturating_sub(self.len());
        let (taken, left) = reports.split_at(room.min(reports.len()));
        for part in taken.chunks(SEGMENT) {
            self.write(part)?;
        }
        Ok(left.len())
    }

    fn write(&mut self, reports: &[CertificateReport]) -> io::Result<()> {
        let mut lines = Vec::new();
        for report in reports {
            serde_json::to_writer(&mut lines, report)?;
            lines.push(b'\n');
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin()?,
        };
        open.file.write_all(&lines)?;
        open.segment.count += reports.len();
        match open.segment.count >= SEGMENT {
            true => self.segments.push_back(open.segment),
            false => self.open = Some(open),
        }
        Ok(())
    }

    /// A new segment, locked before it holds anything.
    fn begin(&mut self) -> io::Result<Held> {
        loop {
            let number = self.next;
            self.next += 1;
            match files::create_end(&self.path(number)) {
                Ok(file) if file.try_lock().is_ok() => return Ok(Held { segment: Segment { number, count: 0 }, file }),
                // Another process has the number, or looks at what it takes for a leftover.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The oldest segment that nobody else holds. What is added later goes to another one.
    pub(super) fn oldest(&mut self) -> io::Result<Option<Taken>> {
        if let Some(taken) = self.take_first()? {
            return Ok(Some(taken));
        }
        match self.open.take() {
            Some(open) => self.segments.push_back(open.segment),
            None => self.look_again()?,
        }
        self.take_first()
    }

    fn take_first(&mut self) -> io::Result<Option<Taken>> {
        let mut at = 0;
        while let Some(segment) = self.segments.get(at).copied() {
            match self.take(segment)? {
                Look::Busy => at += 1,
                Look::Gone => drop(self.segments.remove(at)),
                Look::Ours(held, taken) => {
                    self.segments.remove(at);
                    self.sending = Some(held);
                    return Ok(Some(taken));
                }
            }
        }
        Ok(None)
    }

    fn take(&self, segment: Segment) -> io::Result<Look> {
        let path = self.path(segment.number);
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Look::Gone),
            file => file?,
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(Look::Busy),
            Err(TryLockError::Error(error)) => return Err(error),
            // Whoever held it may have sent and removed it in between.
            Ok(()) if !path.exists() => return Ok(Look::Gone),
            Ok(()) => {}
        }
        let mut taken = Taken { reports: Vec::new(), broken: 0 };
        for line in BufReader::new(&file).split(b'\n') {
            match serde_json::from_slice(&line?) {
                Ok(report) => taken.reports.push(report),
                Err(_) => taken.broken += 1,
            }
        }
        let count = taken.reports.len() + taken.broken;
        Ok(Look::Ours(Held { segment: Segment { count, ..segment }, file }, taken))
    }

    /// The segment that was taken last is done with, all of it.
    pub(super) fn done(&mut self) -> io::Result<()> {
        let Some(sent) = self.sending.take() else { return Ok(()) };
        // Removed before it is unlocked: nobody sends it once more.
        match fs::remove_file(self.path(sent.segment.number)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Lists segments that are not known yet: of the process before, or of one that has just handed over.
    fn look_again(&mut self) -> io::Result<()> {
        let held: Vec<u64> = self.open.iter().chain(&self.sending).map(|held| held.segment.number).collect();
        let known = |number: u64| held.contains(&number) || self.segments.iter().any(|known| known.number == number);
        let listed = fs::read_dir(&self.folder)?.filter_map(|entry| number(&entry.ok()?.path()));
        let mut found: Vec<u64> = listed.filter(|number| !known(*number)).collect();
        found.sort_unstable();
        for number in found {
            let count = match File::open(self.path(number)) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                file => BufReader::new(file?).split(b'\n').count(),
            };
            self.segments.push_back(Segment { number, count });
            self.next = self.next.max(number + 1);
        }
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:020}.{SUFFIX}"))
    }
}

/// What became of a look at a segment.
enum Look {
    /// Another process holds it.
    Busy,
    /// Another process is done with it.
    Gone,
    Ours(Held, Taken),
}

fn number(path: &Path) -> Option<u64> {
    path.extension().filter(|suffix| *suffix == SUFFIX)?;
    path.file_stem()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use control_api::{Problem, ReportKind};

    use super::*;

    fn reports(names: &[&str]) -> Vec<CertificateReport> {
        let report = |name: &&str| CertificateReport {
            id: (*name).to_owned(),
            hostname: "a.example".parse().unwrap(),
            kind: ReportKind::Failed,
            at_ms: 5,
            issuer: "internal".to_owned(),
            attempt: 1,
            serial: None,
            not_before_ms: None,
            not_after_ms: None,
            problem: Some(Problem::default()),
            next_attempt_ms: None,
        };
        names.iter().map(report).collect()
    }

    fn sent(spool: &mut Spool) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(taken) = spool.oldest().unwrap() {
            assert_eq!(taken.broken, 0);
            all.extend(taken.reports.into_iter().map(|report| report.id));
            spool.done().unwrap();
        }
        all
    }

    #[test]
    fn while_an_upgrade_hands_over_no_report_is_lost_or_sent_twice() {
        let folder = tempfile::tempdir().unwrap();
        let mut old = Spool::open(folder.path(), 100).unwrap();
        old.push(&reports(&["a"])).unwrap();
        let mut new = Spool::open(folder.path(), 100).unwrap();
        assert_eq!(new.len(), 1);
        assert!(sent(&mut new).is_empty(), "the old process is writing it");
        old.push(&reports(&["b"])).unwrap();
        new.push(&reports(&["c"])).unwrap();
        let taken = old.oldest().unwrap().unwrap();
        assert_eq!(taken.reports.len(), 2);
        assert_eq!(sent(&mut new), ["c"], "the old process is sending the other one");
        old.push(&reports(&["d"])).unwrap();
        // It ends within sending: what it did not finish, and what it wrote last, is the new one's to send.
        drop(old);
        assert_eq!(sent(&mut new), ["a", "b", "d"]);
        assert_eq!((new.len(), fs::read_dir(folder.path()).unwrap().count()), (0, 0));
    }

    #[test]
    fn what_another_process_has_sent_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let mut old = Spool::open(folder.path(), 100).unwrap();
        old.push(&reports(&["a"])).unwrap();
        let mut new = Spool::open(folder.path(), 100).unwrap();
        assert_eq!(sent(&mut old), ["a"]);
        assert!(sent(&mut new).is_empty());
        assert_eq!(new.len(), 0);
    }
}
