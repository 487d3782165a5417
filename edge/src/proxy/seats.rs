//! [`Seats`]: who of one HTTP/2 connection may hold what its visitor has not taken.
//!
//! An origin under TLS is read by the record, of up to 16 KiB. An exchange that has no room for a whole one holds the rest
//! of it for as long as its visitor likes, so only a few of a connection may do that at once; the others leave what their
//! origins send where it is. Whoever has room for a record needs no seat, so that visitors behind one gateway who take
//! their answers do not wait for those who do not.

use std::sync::{Arc, OnceLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::{Share, Shares};

/// Exchanges that hold the start of an answer at once: what came in one record with its head.
const HEADS: usize = 4;
/// Exchanges that hold a part of an answer's body at once.
const BODIES: usize = 4;

/// The seats of one connection. They are there from the first time that somebody needs one.
#[derive(Debug, Default)]
pub(crate) struct Seats(OnceLock<Kinds>);

#[derive(Debug)]
struct Kinds {
    heads: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
}

/// What is to be read. Those who wait in the middle of their answers do not keep others from beginning theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Head,
    Body,
}

/// A seat; it is free again when this is dropped.
pub(super) type Seat = OwnedSemaphorePermit;

impl Seats {
    /// Waits for a seat, in order of arrival.
    pub(super) async fn take(&self, part: Part, shares: &Shares) -> Option<Seat> {
        let kinds = self
            .0
            .get_or_init(|| Kinds { heads: Arc::new(Semaphore::new(HEADS)), bodies: Arc::new(Semaphore::new(BODIES)) });
        let (seats, share) = match part {
            Part::Head => (&kinds.heads, Share::HeadSeat),
            Part::Body => (&kinds.bodies, Share::BodySeat),
        };
        if seats.available_permits() == 0 {
            shares.count(share);
        }
        // None only if they were closed, which nobody does.
        seats.clone().acquire_owned().await.ok()
    }
}
