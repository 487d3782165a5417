//! [`ZoneLocks`]: one writer at a time for each zone.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// Entries that are looked through for dead ones when the map has grown to this size.
const SWEEP_AT: usize = 1024;

/// The zones that are being written by this process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct ZoneLocks(Arc<Mutex<HashMap<String, Weak<Turn<()>>>>>);

impl ZoneLocks {
    /// Waits for the turn of the zone `id` at the provider `key`. Whoever waits may be cancelled; the turn goes on.
    pub async fn take(&self, key: &str, id: &str) -> OwnedMutexGuard<()> {
        let turn = self.turn(format!("{key}/{id}"));
        turn.lock_owned().await
    }

    fn turn(&self, zone: String) -> Arc<Turn<()>> {
        let mut turns = self.0.lock();
        if let Some(turn) = turns.get(&zone).and_then(Weak::upgrade) {
            return turn;
        }
        if turns.len() >= SWEEP_AT {
            turns.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::new(Turn::new(()));
        turns.insert(zone, Arc::downgrade(&turn));
        turn
    }
}
