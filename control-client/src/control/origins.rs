//! One allocation for each origin, however many names it serves.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

use crate::{Origin, OriginError};

/// Fewer than this are never swept.
const SWEEP_FROM: usize = 1024;

/// The origins in use, by their text.
#[derive(Default)]
pub(super) struct Origins(Mutex<Table>);

#[derive(Default)]
struct Table {
    by_text: HashMap<Box<str>, Weak<Origin>>,
    sweep_at: usize,
}

impl Origins {
    /// The origin of a text, parsed only when no known name has it.
    pub(super) fn find(&self, text: &str) -> Result<Arc<Origin>, OriginError> {
        let mut table = self.0.lock();
        if let Some(origin) = table.by_text.get(text).and_then(Weak::upgrade) {
            return Ok(origin);
        }
        let origin = Arc::new(text.parse::<Origin>()?);
        table.sweep();
        table.by_text.insert(text.into(), Arc::downgrade(&origin));
        Ok(origin)
    }
}

impl Table {
    /// Lets go of the texts that no name uses any more, at a cost that the insertions since the last time have paid.
    fn sweep(&mut self) {
        if self.by_text.len() < self.sweep_at.max(SWEEP_FROM) {
            return;
        }
        self.by_text.retain(|_, origin| origin.strong_count() > 0);
        self.sweep_at = self.by_text.len() * 2;
    }
}
