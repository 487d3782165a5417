//! Open connections, counted by address.
//!
//! An address is here while it has a connection, so the table is no larger than `limits.connections` allows.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use parking_lot::Mutex;

use super::{Address, FairLimits, Refused};

/// Parts with a lock each: connections that arrive at once rarely meet.
const SHARDS: usize = 16;

/// What one address has open.
#[derive(Debug, Default)]
struct Count {
    connections: usize,
    handshakes: usize,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    shards: [Mutex<HashMap<Address, Count>>; SHARDS],
    hasher: RandomState,
}

impl Counts {
    /// Counts a connection and its handshake.
    pub(super) fn arrive(&self, address: Address, limits: &FairLimits) -> Result<(), Refused> {
        let mut shard = self.shard(address).lock();
        let count = shard.entry(address).or_default();
        // An address is in the table only with a connection, so a refusal leaves no empty entry: limits are at least 1.
        if count.connections >= limits.address_connections {
            return Err(Refused::AddressConnections);
        }
        if count.handshakes >= limits.address_handshakes {
            return Err(Refused::AddressHandshakes);
        }
        count.connections += 1;
        count.handshakes += 1;
        Ok(())
    }

    /// The handshake is over.
    pub(super) fn secured(&self, address: Address) {
        if let Some(count) = self.shard(address).lock().get_mut(&address) {
            count.handshakes = count.handshakes.saturating_sub(1);
        }
    }

    /// The connection is over.
    pub(super) fn leave(&self, address: Address) {
        let mut shard = self.shard(address).lock();
        let Some(count) = shard.get_mut(&address) else { return };
        count.connections = count.connections.saturating_sub(1);
        if count.connections == 0 {
            shard.remove(&address);
        }
        if shard.is_empty() {
            // What a flood has made it grow to is not kept.
            shard.shrink_to(0);
        }
    }

    fn shard(&self, address: Address) -> &Mutex<HashMap<Address, Count>> {
        #[expect(clippy::indexing_slicing, reason = "the remainder is below the length, which is a constant")]
        &self.shards[self.hasher.hash_one(address) as usize % SHARDS]
    }

    /// How many addresses have a connection.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}
