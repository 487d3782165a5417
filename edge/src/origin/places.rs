//! [`Places`]: how much of what origins have begun and not ended is kept for one visitor's connection.
//!
//! A TLS record is of use when it is whole, and so is a message of a handshake. The start of either is read as it comes; the
//! rest of a long one only on a place, of which a visitor's connection has a few for all of its origins. Whoever waits for a
//! place waits no longer than those who have one wait for their origins: what comes meanwhile lies in the kernel, and is
//! read at once. A handshake holds keys, too, and many at once have turns.
//!
//! The visitor's side is not known here: who may hold what it has not taken is said in `proxy/seats.rs`.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio_util::sync::PollSemaphore;

use crate::metrics::{Share, Shares};

/// Records that are read beyond their start at once, each of 16 KiB at most.
const RECORDS: usize = 16;
/// Handshakes that are read beyond their start at once; the TLS library keeps up to 64 KiB of each.
const LONG_HANDSHAKES: usize = 4;
/// Handshakes at once; the keys and the state of each are 20 KiB.
const HANDSHAKES: usize = 32;

/// The places of one visitor's connection.
#[derive(Debug)]
pub(crate) struct Places {
    records: Arc<Semaphore>,
    long_handshakes: Arc<Semaphore>,
    handshakes: Semaphore,
    shares: Shares,
}

/// What a place is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    Record,
    Handshake,
}

/// One connection's part in them.
#[derive(Debug)]
pub(super) struct Claim {
    records: PollSemaphore,
    long_handshakes: PollSemaphore,
    place: Option<OwnedSemaphorePermit>,
    shares: Shares,
    /// Whether it waits, and is counted as that.
    waits: bool,
}

impl Places {
    /// All of them are free; whoever waits for one is counted.
    pub(crate) fn new(shares: Shares) -> Self {
        Self {
            records: Arc::new(Semaphore::new(RECORDS)),
            long_handshakes: Arc::new(Semaphore::new(LONG_HANDSHAKES)),
            handshakes: Semaphore::new(HANDSHAKES),
            shares,
        }
    }

    /// Waits for the turn of a handshake, which lasts until it is dropped.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        if self.handshakes.available_permits() == 0 {
            self.shares.count(Share::Handshake);
        }
        // None only if they were closed, which nobody does.
        self.handshakes.acquire().await.ok()
    }

    pub(super) fn claim(&self) -> Claim {
        let claims = [&self.records, &self.long_handshakes].map(|places| PollSemaphore::new(places.clone()));
        let [records, long_handshakes] = claims;
        Claim { records, long_handshakes, place: None, shares: self.shares.clone(), waits: false }
    }
}

impl Claim {
    /// Ready with a place, in order of arrival.
    pub(super) fn poll_place(&mut self, cx: &mut Context<'_>, begun: Begun) -> Poll<()> {
        if self.place.is_some() {
            return Poll::Ready(());
        }
        let (places, share) = match begun {
            Begun::Record => (&mut self.records, Share::Record),
            Begun::Handshake => (&mut self.long_handshakes, Share::LongHandshake),
        };
        // None only if they were closed, which nobody does.
        let place = places.poll_acquire(cx);
        if place.is_pending() && !self.waits {
            self.waits = true;
            self.shares.count(share);
        }
        place.map(|place| (self.place, self.waits) = (place, false))
    }

    /// Gives the place back.
    pub(super) fn leave(&mut self) {
        self.place = None;
    }
}
