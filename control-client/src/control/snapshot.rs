//! Reading a snapshot line by line, from the wire or from disk, and writing one.
//!
//! No I/O here. Nothing of a snapshot is live before its last line has proved that it is whole.

use aws_lc_rs::digest::{Context, SHA256};
use control_api::{SNAPSHOT_LINE, SnapshotEnd, SnapshotHeader, SnapshotLine};
use names::Hostname;
use serde::Deserialize;

use super::directory::{Applied, Directory, Draft};

/// Why a snapshot is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum SnapshotError {
    /// Something follows the last line.
    #[error("there are lines after the last one")]
    AfterEnd,
    /// The bytes are not those that were sent.
    #[error("its checksum is wrong")]
    Checksum,
    /// Names are missing or too many.
    #[error("it says that it holds {said} names and holds {held}")]
    Count {
        /// In the last line.
        said: u64,
        /// Counted.
        held: u64,
    },
    /// The first line is no header.
    #[error("its first line is no header")]
    Header(#[source] serde_json::Error),
    /// A line over the limit.
    #[error("a line is longer than {SNAPSHOT_LINE} bytes")]
    LongLine,
    /// A header where a name should be, or a name where the header should be.
    #[error("its lines are out of order")]
    Order,
    /// It stands before what is known.
    #[error("it stands at change {seq} of epoch {epoch}, which is older than what is known")]
    Older {
        /// Its epoch.
        epoch: u64,
        /// Its place.
        seq: u64,
    },
    /// Too little is left.
    #[error("it leaves {left} of {known} known names; the control plane must confirm that this is meant")]
    Shrunk {
        /// Names known.
        known: usize,
        /// Names in it.
        left: usize,
    },
    /// The last line is missing.
    #[error("it ends before its last line")]
    Truncated,
}

/// Takes lines until the last one.
pub(super) struct Reader {
    directory: Directory,
    digest: Context,
    draft: Option<Draft>,
    /// Lines between the header and the end, understood or not.
    held: u64,
    ended: bool,
    /// Names that were not taken.
    pub(super) left_out: LeftOut,
}

/// What of a snapshot was not taken, while all the rest of it was.
#[derive(Default)]
pub(super) struct LeftOut {
    count: u64,
    first: Option<First>,
}

/// The first of them.
pub(super) struct First {
    /// Its line, the header's being 1.
    pub(super) line: u64,
    /// Whose it is, if that can be read.
    pub(super) hostname: Option<Hostname>,
    /// Why.
    pub(super) why: &'static str,
}

impl LeftOut {
    /// How many.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The first one.
    pub(super) fn first(&self) -> Option<&First> {
        self.first.as_ref()
    }

    fn add(&mut self, line: u64, hostname: Option<Hostname>, why: &'static str) {
        self.count += 1;
        self.first.get_or_insert(First { line, hostname, why });
    }
}

/// As much of a name's line as says whose it is.
#[derive(Deserialize)]
struct Whose {
    name: Owner,
}

#[derive(Deserialize)]
struct Owner {
    hostname: Hostname,
}

impl Reader {
    pub(super) fn new(directory: &Directory) -> Self {
        let digest = Context::new(&SHA256);
        Self { directory: directory.clone(), digest, draft: None, held: 0, ended: false, left_out: LeftOut::default() }
    }

    /// One line with its newline.
    pub(super) fn line(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        if self.ended {
            return Err(SnapshotError::AfterEnd);
        }
        let line = serde_json::from_slice::<SnapshotLine>(bytes);
        if let Ok(SnapshotLine::End(end)) = &line {
            return self.end(end);
        }
        self.digest.update(bytes);
        match (&self.draft, line) {
            (None, Ok(SnapshotLine::Header(header))) => self.draft = Some(Draft::begin(&self.directory, header)?),
            (None, Err(error)) => return Err(SnapshotError::Header(error)),
            (Some(draft), Ok(SnapshotLine::Name(name))) => {
                self.held += 1;
                let applied = draft.add(&name);
                if applied != Applied::Upserted {
                    self.left_out.add(self.held + 1, Some(name.hostname), applied.word());
                }
            }
            // One line that this edge cannot read must not take all the other names with it: the checksum, not the
            // parser, decides whether something was damaged. Nor does it take its own: what is known of it stays.
            (Some(draft), Err(_)) => {
                self.held += 1;
                let whose = serde_json::from_slice::<Whose>(bytes).ok().map(|line| line.name.hostname);
                if let Some(name) = &whose {
                    draft.keep(name);
                }
                self.left_out.add(self.held + 1, whose, "unreadable");
            }
            _ => return Err(SnapshotError::Order),
        }
        Ok(())
    }

    fn end(&mut self, end: &SnapshotEnd) -> Result<(), SnapshotError> {
        self.ended = true;
        if end.count != self.held {
            return Err(SnapshotError::Count { said: end.count, held: self.held });
        }
        match hex(self.digest.clone()) == end.checksum {
            true => Ok(()),
            false => Err(SnapshotError::Checksum),
        }
    }

    /// Makes it live. How many names it held.
    pub(super) fn finish(self) -> Result<u64, SnapshotError> {
        match self.draft.filter(|_| self.ended) {
            Some(draft) => draft.commit().map(|()| self.held),
            None => Err(SnapshotError::Truncated),
        }
    }
}

/// Cuts a stream of pieces into lines.
#[derive(Default)]
pub(super) struct Lines(Vec<u8>);

impl Lines {
    /// Hands every line that this piece completes to `take`.
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.0.len() + part.len() > SNAPSHOT_LINE {
                return Err(SnapshotError::LongLine);
            }
            match (part.ends_with(b"\n"), self.0.is_empty()) {
                (true, true) => take(part)?,
                (true, false) => {
                    self.0.extend_from_slice(part);
                    take(&self.0)?;
                    self.0.clear();
                }
                (false, _) => self.0.extend_from_slice(part),
            }
        }
        Ok(())
    }

    /// Whether a line was begun.
    pub(super) fn is_cut(&self) -> bool {
        !self.0.is_empty()
    }
}

/// Makes the lines of a snapshot.
pub(super) struct Writer {
    digest: Context,
    count: u64,
}

impl Writer {
    /// The header's line comes first.
    pub(super) fn new(header: SnapshotHeader, out: &mut Vec<u8>) -> serde_json::Result<Self> {
        let mut writer = Self { digest: Context::new(&SHA256), count: 0 };
        writer.put(&SnapshotLine::Header(header), out)?;
        Ok(writer)
    }

    /// A name's line.
    pub(super) fn name(&mut self, name: control_api::SnapshotName, out: &mut Vec<u8>) -> serde_json::Result<()> {
        self.count += 1;
        self.put(&SnapshotLine::Name(name), out)
    }

    /// The last line.
    pub(super) fn end(self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let end = SnapshotEnd { count: self.count, checksum: hex(self.digest) };
        serde_json::to_writer(&mut *out, &SnapshotLine::End(end))?;
        out.push(b'\n');
        Ok(())
    }

    fn put(&mut self, line: &SnapshotLine, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let start = out.len();
        serde_json::to_writer(&mut *out, line)?;
        out.push(b'\n');
        self.digest.update(out.get(start..).unwrap_or_default());
        Ok(())
    }
}

fn hex(digest: Context) -> String {
    digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_the_pieces_fall() {
        let text = b"first\nsecond line\n\nlast\n";
        for size in 1..text.len() {
            let (mut lines, mut seen) = (Lines::default(), Vec::new());
            for piece in text.chunks(size) {
                let mut take = |line: &[u8]| {
                    seen.push(line.to_vec());
                    Ok(())
                };
                lines.push(piece, &mut take).unwrap();
            }
            assert_eq!(seen, [&b"first\n"[..], b"second line\n", b"\n", b"last\n"], "pieces of {size}");
            assert!(!lines.is_cut());
        }
    }

    #[test]
    fn a_line_without_end_is_not_collected_for_ever() {
        let mut lines = Lines::default();
        let piece = [b'x'; 1000];
        let refused = (0..20).any(|_| lines.push(&piece, |_| Ok(())).is_err());
        assert!(refused);
    }
}
