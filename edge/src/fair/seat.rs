//! What one connection occupies, from its arrival to its end.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering},
    },
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

use super::{Address, Fair, FairLimits, Level, Refused};

/// Beats after its last request before a visitor counts as idle: what was written last has left by then.
const IDLE_BEATS: u32 = 2;

/// What is asked of whoever has a seat; a later word never takes an earlier one back.
const STAY: u8 = 0;
const LEAVE_WHEN_IDLE: u8 = 1;
const LEAVE_NOW: u8 = 2;

/// A connection's seat. Dropped: everything that was counted for it is given back.
pub struct Seat {
    fair: Arc<Fair>,
    number: u64,
    address: Option<Address>,
    /// Whether its handshake is still counted as in flight.
    securing: AtomicBool,
    /// Requests in flight.
    busy: AtomicU32,
    /// The beat at which it came, or at which its last request ended.
    last: AtomicU32,
    /// Whether and when it is to end.
    leave: AtomicU8,
    task: Mutex<Option<Waker>>,
}

impl Seat {
    pub(super) fn new(fair: Arc<Fair>, address: Option<Address>) -> Self {
        let (number, last) = (fair.crowd.number(), AtomicU32::new(fair.beat.load(Ordering::Relaxed)));
        Self {
            fair,
            number,
            address,
            securing: AtomicBool::new(true),
            busy: AtomicU32::new(0),
            last,
            leave: AtomicU8::new(STAY),
            task: Mutex::new(None),
        }
    }

    /// The hello is there and a handshake could begin.
    ///
    /// # Errors
    /// [`Refused`] when there were too many of late.
    pub fn begin_handshake(&self, limits: &FairLimits) -> Result<(), Refused> {
        self.fair.metrics.or_count(self.fair.charge(self.address, limits))
    }

    /// The handshake is done. A resumed one was no work worth the name: most of its price is given back.
    pub fn secured(&self, resumed: bool, limits: &FairLimits) {
        self.end_handshake();
        if resumed {
            self.fair.give_back(self.address, limits);
        }
    }

    /// There is no handshake, as on the plain-text listeners, or it is over.
    pub fn end_handshake(&self) {
        if self.securing.swap(false, Ordering::AcqRel) {
            self.fair.metrics.handshakes.dec();
            if let Some(address) = self.address {
                self.fair.counts.secured(address);
            }
        }
    }

    /// A request has begun; it is over when what is returned is dropped.
    pub fn begin_request(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// Requests in flight on this connection.
    pub fn requests(&self) -> u32 {
        self.busy.load(Ordering::Relaxed)
    }

    /// How short memory is.
    pub fn level(&self) -> Level {
        self.fair.level()
    }

    fn end_request(&self) {
        self.last.store(self.fair.beat.load(Ordering::Relaxed), Ordering::Relaxed);
        self.busy.fetch_sub(1, Ordering::Release);
    }

    /// Runs what is on the connection to its end; `None` when the visitor was asked to leave, and idle, or cut.
    ///
    /// A connection is woken for every packet; its waker is kept once, and again only when the task has changed.
    /// What is to run is lent: taken by value, it would have its room twice.
    pub async fn unless_shed<F: Future>(&self, mut serving: Pin<&mut F>) -> Option<F::Output> {
        let mut kept: Option<Waker> = None;
        poll_fn(|cx| match serving.as_mut().poll(cx) {
            Poll::Ready(served) => Poll::Ready(Some(served)),
            Poll::Pending => {
                self.keep_waker(&mut kept, cx);
                match self.has_to_leave() {
                    true => Poll::Ready(None),
                    false => Poll::Pending,
                }
            }
        })
        .await
    }

    fn keep_waker(&self, kept: &mut Option<Waker>, cx: &Context<'_>) {
        if !kept.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *kept = Some(cx.waker().clone());
            *self.task.lock() = Some(cx.waker().clone());
        }
    }

    fn has_to_leave(&self) -> bool {
        match self.leave.load(Ordering::Acquire) {
            STAY => false,
            LEAVE_WHEN_IDLE => !self.is_busy(),
            _ => true,
        }
    }

    fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire) > 0
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// For how many beats it has been idle; `None` when it is not, or is about to leave.
    pub(super) fn idle_for(&self, beat: u32) -> Option<u32> {
        let beats = beat.wrapping_sub(self.last.load(Ordering::Relaxed));
        (!self.is_busy() && self.leave.load(Ordering::Relaxed) == STAY && beats >= IDLE_BEATS).then_some(beats)
    }

    /// Its requests in flight, if there are so many and it is not about to be cut.
    pub(super) fn crowded(&self, least: u32) -> Option<u32> {
        let requests = self.requests();
        (requests >= least && self.leave.load(Ordering::Relaxed) < LEAVE_NOW).then_some(requests)
    }

    pub(super) fn ask_to_leave(&self) {
        self.tell(LEAVE_WHEN_IDLE);
    }

    /// Ends the connection whatever is on it.
    pub(super) fn cut(&self) {
        self.tell(LEAVE_NOW);
    }

    fn tell(&self, word: u8) {
        self.leave.fetch_max(word, Ordering::AcqRel);
        if let Some(task) = &*self.task.lock() {
            task.wake_by_ref();
        }
    }
}

/// A request in flight.
#[derive(Debug)]
pub struct Busy(Arc<Seat>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.end_request();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.end_handshake();
        if let Some(address) = self.address {
            self.fair.counts.leave(address);
        }
        self.fair.crowd.remove(self.number);
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("number", &self.number).finish_non_exhaustive()
    }
}
