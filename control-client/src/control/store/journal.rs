//! The changes since the snapshot, a line each. The last line may be cut by a crash.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, ErrorKind, Write},
    path::Path,
};

use clock::Timestamp;
use control_api::Change;
use names::Hostname;
use serde::{Deserialize, Serialize};

use super::files;
use crate::control::directory::{Directory, Position};

/// A line, borrowed for writing.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Entry<'a> {
    /// The first line: which run of the sequence the changes are of.
    Base {
        /// The run.
        epoch: u64,
        /// Where the snapshot stands that the changes follow on.
        seq: u64,
    },
    /// One change.
    Change(&'a Change),
    /// The feed was followed up to `seq`, and answered at `at_ms`.
    Contact {
        /// The place.
        seq: u64,
        /// The time.
        at_ms: u64,
    },
    /// A deleted name.
    Gone {
        /// The name.
        hostname: &'a Hostname,
        /// Its last generation.
        generation: u64,
    },
}

/// A line that was read.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Base { epoch: u64, seq: u64 },
    Change(Change),
    Contact { seq: u64, at_ms: u64 },
    Gone { hostname: Hostname, generation: u64 },
}

impl<'a> Entry<'a> {
    pub(super) fn base(position: Position) -> Self {
        Self::Base { epoch: position.epoch, seq: position.seq }
    }

    pub(super) fn contact(position: Position, at: Timestamp) -> Self {
        Self::Contact { seq: position.seq, at_ms: at.as_millis() }
    }

    pub(super) fn gone(hostname: &'a Hostname, generation: u64) -> Self {
        Self::Gone { hostname, generation }
    }
}

/// Writes lines.
pub(super) fn write<'a>(file: &mut File, entries: impl IntoIterator<Item = Entry<'a>>) -> io::Result<()> {
    let mut lines = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut lines, &entry)?;
        lines.push(b'\n');
    }
    file.write_all(&lines)
}

/// The file, open at its end.
pub(super) struct Journal {
    file: File,
    lines: usize,
}

impl Journal {
    pub(super) fn reopen(path: &Path) -> io::Result<Self> {
        let lines = match File::open(path) {
            Ok(file) => BufReader::new(file).split(b'\n').count(),
            Err(error) => return Err(error),
        };
        let mut file = files::open_end(path)?;
        // A line that a crash has cut must not take the next one with it; an empty line is nothing.
        file.write_all(b"\n")?;
        Ok(Self { file, lines })
    }

    /// A file that was written just now.
    pub(super) fn fresh(path: &Path) -> io::Result<Self> {
        Ok(Self { file: files::open_end(path)?, lines: 0 })
    }

    /// Lines written since the snapshot, as far as this process knows.
    pub(super) fn len(&self) -> usize {
        self.lines
    }

    pub(super) fn append<'a>(&mut self, entries: impl IntoIterator<Item = Entry<'a>>) -> io::Result<()> {
        let mut count = 0;
        write(&mut self.file, entries.into_iter().inspect(|_| count += 1))?;
        self.lines += count;
        self.file.sync_data()
    }
}

/// Makes the changes live in a directory that stands at its snapshot. How many lines could not be read.
pub(super) fn replay(path: &Path, directory: &Directory) -> io::Result<usize> {
    let Some(standing) = directory.position() else { return Ok(0) };
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        file => BufReader::new(file?),
    };
    let (mut broken, mut based) = (0, false);
    for line in file.split(b'\n') {
        let line = line?;
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice(&line) {
            Ok(Line::Base { epoch, seq }) if epoch == standing.epoch && seq <= standing.seq => based = true,
            // It follows on another snapshot than the one that was loaded, and changes are missing between the two: a
            // crash, or two processes while an upgrade hands over.
            Ok(Line::Base { .. }) => return Ok(broken + 1),
            Ok(line) if based => replay_one(line, standing, directory),
            Ok(_) | Err(_) => broken += 1,
        }
    }
    Ok(broken)
}

fn replay_one(line: Line, standing: Position, directory: &Directory) {
    match line {
        Line::Base { .. } => {}
        Line::Change(change) if change.seq > standing.seq => {
            directory.apply(&change);
        }
        Line::Change(_) => {}
        Line::Contact { seq, at_ms } => {
            let seq = seq.max(directory.position().map_or(0, |position| position.seq));
            directory.advance(Position { epoch: standing.epoch, seq });
            directory.touched_before(at_ms);
        }
        Line::Gone { hostname, generation } => directory.bury(&hostname, generation),
    }
}
