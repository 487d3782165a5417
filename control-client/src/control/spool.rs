//! Reports on disk until the control plane has taken them: numbered files of some hundred lines, oldest first.
//!
//! A file is removed when all of it was taken, so a restart sends at most one file's worth again.

use std::{
    collections::VecDeque,
    fs::{self, File},
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
    segments: VecDeque<Segment>,
    /// The last segment, while it is open for more.
    open: Option<File>,
    next: u64,
    count: usize,
    limit: usize,
}

struct Segment {
    path: PathBuf,
    count: usize,
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
        let mut numbers: Vec<u64> = fs::read_dir(folder)?.filter_map(|entry| number(&entry.ok()?.path())).collect();
        numbers.sort_unstable();
        let next = numbers.last().map_or(0, |last| last + 1);
        let mut spool =
            Self { folder: folder.to_owned(), segments: VecDeque::new(), open: None, next, count: 0, limit };
        for number in numbers {
            let path = spool.path(number);
            let count = BufReader::new(File::open(&path)?).split(b'\n').count();
            spool.count += count;
            spool.segments.push_back(Segment { path, count });
        }
        Ok(spool)
    }

    /// Reports on disk.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Adds reports; how many there was no room for.
    pub(super) fn push(&mut self, reports: &[CertificateReport]) -> io::Result<usize> {
        let room = self.limit.saturating_sub(self.count);
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
        let (file, segment) = self.last()?;
        file.write_all(&lines)?;
        segment.count += reports.len();
        if segment.count >= SEGMENT {
            self.open = None;
        }
        self.count += reports.len();
        Ok(())
    }

    fn last(&mut self) -> io::Result<(&mut File, &mut Segment)> {
        if self.open.is_none() {
            let path = self.path(self.next);
            self.next += 1;
            self.open = Some(files::open_end(&path)?);
            self.segments.push_back(Segment { path, count: 0 });
        }
        self.open.as_mut().zip(self.segments.back_mut()).ok_or_else(|| io::Error::other("no open segment"))
    }

    /// The oldest segment. What is added later goes to another one.
    pub(super) fn oldest(&mut self) -> io::Result<Option<Taken>> {
        if self.segments.len() == 1 {
            self.open = None;
        }
        let Some(segment) = self.segments.front() else { return Ok(None) };
        let mut taken = Taken { reports: Vec::new(), broken: 0 };
        for line in BufReader::new(File::open(&segment.path)?).split(b'\n') {
            match serde_json::from_slice(&line?) {
                Ok(report) => taken.reports.push(report),
                Err(_) => taken.broken += 1,
            }
        }
        Ok(Some(taken))
    }

    /// The oldest segment was taken, all of it.
    pub(super) fn done(&mut self) -> io::Result<()> {
        let Some(segment) = self.segments.pop_front() else { return Ok(()) };
        self.count = self.count.saturating_sub(segment.count);
        match fs::remove_file(&segment.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:020}.{SUFFIX}"))
    }
}

fn number(path: &Path) -> Option<u64> {
    path.extension().filter(|suffix| *suffix == SUFFIX)?;
    path.file_stem()?.to_str()?.parse().ok()
}
