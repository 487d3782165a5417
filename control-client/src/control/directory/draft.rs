//! [`Draft`]: the names of a snapshot, until it has proved to be whole.

use std::sync::{Arc, atomic::Ordering};

use control_api::{SnapshotHeader, SnapshotName};
use names::Hostname;

use super::{Applied, Directory, Position};
use crate::control::{index::Index, known::Known, snapshot::SnapshotError};

/// So many fifths of the known names must be left by a snapshot: less looks like a control plane on the wrong database.
const LEAST_FIFTHS: usize = 4;

/// A directory in the making, beside the one that serves.
pub(in crate::control) struct Draft {
    directory: Directory,
    header: SnapshotHeader,
    index: Index,
    /// Whether what is known bounds what may come: in the same run of the sequence, unless the operator means it.
    bound: bool,
}

impl Draft {
    /// Begins one, if the header may be believed.
    pub(in crate::control) fn begin(directory: &Directory, header: SnapshotHeader) -> Result<Self, SnapshotError> {
        let standing = directory.position().unwrap_or_default();
        let older = (header.epoch, header.seq) < (standing.epoch, standing.seq);
        if older && !header.confirmed {
            return Err(SnapshotError::Older { epoch: header.epoch, seq: header.seq });
        }
        let bound = header.epoch == standing.epoch && !header.confirmed;
        Ok(Self { directory: directory.clone(), header, index: Index::default(), bound })
    }

    /// Adds a name. One that cannot be used keeps what is known of it.
    pub(in crate::control) fn add(&self, line: &SnapshotName) -> Applied {
        if self.index.len() >= self.directory.0.limits.names {
            return Applied::Full;
        }
        let name = &line.hostname;
        let standing = self.directory.0.index.load().find(name, Clone::clone);
        if self.bound && self.directory.tomb(name).is_some_and(|tomb| line.generation <= tomb) {
            return Applied::Outdated;
        }
        // Of two lines for a name the newer one counts.
        if self.index.find(name, Known::generation).is_some_and(|there| line.generation < there) {
            return Applied::Outdated;
        }
        if let Some(newer) = standing.as_ref().filter(|known| self.bound && line.generation < known.generation()) {
            self.index.put(newer.clone());
            return Applied::Outdated;
        }
        match (self.directory.pack(name, line.generation, &line.route), standing) {
            (Ok(new), _) => {
                self.index.put(new);
                Applied::Upserted
            }
            (Err(_), Some(good)) => {
                self.index.put(good);
                Applied::Bad
            }
            (Err(_), None) => Applied::Bad,
        }
    }

    /// Keeps what is known of a name whose own line cannot be read.
    pub(in crate::control) fn keep(&self, name: &Hostname) {
        let standing = self.directory.0.index.load().find(name, Clone::clone);
        if let Some(known) = standing.filter(|_| self.index.find(name, |_| ()).is_none()) {
            self.index.put(known);
        }
    }

    /// Puts it in place of the directory's names. The last chance to refuse.
    pub(in crate::control) fn commit(self) -> Result<(), SnapshotError> {
        let (known, left) = (self.directory.names(), self.index.len());
        if left * 5 < known * LEAST_FIFTHS && !self.header.confirmed {
            return Err(SnapshotError::Shrunk { known, left });
        }
        let new = Arc::new(self.index);
        let old = self.directory.0.index.load_full();
        if !self.bound {
            // Generations of another run of the sequence say nothing about those to come.
            self.directory.0.tombs.write().clear();
        }
        let gone = Self::missing(&old, &new);
        for (name, known) in &gone {
            self.directory.bury(name, if self.bound { known.generation() } else { 0 });
        }
        if self.directory.0.live.load(Ordering::Acquire) {
            Self::tell_moving(&self.directory, &old, &new);
        }
        self.directory.0.index.store(Arc::clone(&new));
        self.directory.advance(Position { epoch: self.header.epoch, seq: self.header.seq });
        gone.iter().for_each(|(name, known)| self.directory.tell_gone(name, known.tenant()));
        if self.directory.0.live.load(Ordering::Acquire) {
            Self::tell_new(&self.directory, &old, &new);
        }
        self.directory.gauge();
        Ok(())
    }

    fn missing(old: &Index, new: &Index) -> Vec<(Hostname, Known)> {
        let mut gone = Vec::new();
        old.each(|known| {
            if new.find_bytes(known.name(), |_| ()).is_none() {
                gone.extend(known.hostname().map(|name| (name, known)));
            }
        });
        gone
    }

    fn tell_moving(directory: &Directory, old: &Index, new: &Index) {
        new.each(|known| {
            let to = old.find_bytes(known.name(), |old| old.moves_to(&known)).flatten();
            if let (Some(name), Some(to)) = (known.hostname().filter(|_| to.is_some()), to) {
                directory.tell_moving(&name, to);
            }
        });
    }

    fn tell_new(directory: &Directory, old: &Index, new: &Index) {
        new.each(|known| {
            if old.find_bytes(known.name(), |old| old.same(&known)) == Some(true) {
                return;
            }
            let Some(name) = known.hostname() else { return };
            if directory.tomb(&name).is_some() {
                directory.0.tombs.write().remove(&name);
            }
            directory.tell_known(&name, &known);
        });
    }
}
