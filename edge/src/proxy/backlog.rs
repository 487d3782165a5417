//! [`Backlog`]: how much of its answers the edge holds for one connection.
//!
//! What is read at once is what the socket has room for, as far as it is known ([`Backlog::piece`]): a fast visitor gets
//! large pieces, and one that takes nothing leaves a small one behind. While that one lies in the TLS library, nothing is
//! read at all.
//!
//! The h2 library takes what a stream's window allows and keeps it until the socket takes it, for each stream up to a
//! limit of its own. A visitor that opens all windows and reads nothing would make it keep that limit a hundred times.
//! So every piece is counted from the moment that it is read from its origin until the library lets go of it, and
//! nothing more is read for a connection that has enough waiting.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use parking_lot::Mutex;

/// What is read at once for a socket that has room for it.
const MOST: usize = 64 * 1024;
/// What is read at once for one that has none.
const LEAST: usize = 4 * 1024;
/// What every socket has room for at its start: what leaves without an answer of the peer (RFC 6928), and no piece of the
/// size of the h2 library's buffer of 16 KiB, which would get the memory of the last one and hold it untouched.
const START: usize = 12 * 1024;

/// Counts what waits. One for each connection.
#[derive(Debug)]
pub(crate) struct Backlog {
    /// What the socket has room for.
    room: AtomicUsize,
    held: AtomicUsize,
    taken: AtomicUsize,
    /// Pieces that wait for the bandwidth of their hostname.
    held_back: AtomicUsize,
    /// The socket has not taken all that was written.
    stuck: AtomicBool,
    anybody: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Default for Backlog {
    fn default() -> Self {
        Self {
            room: AtomicUsize::new(START),
            held: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            held_back: AtomicUsize::new(0),
            stuck: AtomicBool::new(false),
            anybody: AtomicBool::new(false),
            waiting: Mutex::default(),
        }
    }
}

/// A piece that is counted until it is dropped.
struct Counted {
    bytes: Bytes,
    backlog: Arc<Backlog>,
}

impl Backlog {
    /// These many bytes were given to the socket; whether its room is to be looked at again.
    pub(crate) fn wrote(&self, count: usize) -> bool {
        let left = self.room.load(Ordering::Relaxed).saturating_sub(count);
        self.room.store(left, Ordering::Relaxed);
        left < LEAST
    }

    /// The socket has taken all that was written, and has room for these many bytes more.
    pub(crate) fn has_room(&self, room: usize) {
        self.room.store(room, Ordering::SeqCst);
        self.stuck.store(false, Ordering::SeqCst);
        self.wake();
    }

    /// The socket has not taken all that was written: nothing more is read until it has.
    pub(crate) fn stuck(&self) {
        self.room.store(0, Ordering::SeqCst);
        self.stuck.store(true, Ordering::SeqCst);
    }

    /// Whether the socket was left with something that it had no room for.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::SeqCst)
    }

    /// How much may be read at once: what the socket has room for beside what waits for it.
    pub(super) fn piece(&self) -> usize {
        self.enough().saturating_sub(self.held.load(Ordering::Relaxed)).max(LEAST)
    }

    /// Bytes that wait at once, before nothing more is read; what was being read just then comes on top.
    fn enough(&self) -> usize {
        self.room.load(Ordering::SeqCst).clamp(LEAST, MOST)
    }

    /// Ready when more may be read.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.is_full() {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.lock();
        self.anybody.store(true, Ordering::SeqCst);
        // Looked at again: whoever makes room has either done so by now, or sees that somebody waits.
        if !self.is_full() {
            return Poll::Ready(());
        }
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Whether enough waits.
    pub(super) fn is_full(&self) -> bool {
        self.is_stuck() || self.held.load(Ordering::SeqCst) >= self.enough()
    }

    /// The piece, counted for as long as anybody holds a part of it.
    pub(super) fn count(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        self.held.fetch_add(bytes.len(), Ordering::AcqRel);
        Bytes::from_owner(Counted { bytes, backlog: self.clone() })
    }

    /// Bytes that were let go of, since the connection began; it may begin anew at zero.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// A piece waits for the bandwidth of its hostname.
    pub(super) fn hold_back(&self) {
        self.held_back.fetch_add(1, Ordering::Relaxed);
    }

    /// It waits no longer.
    pub(super) fn let_go(&self) {
        self.held_back.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether the visitor gets less than it would take: that others of its exchanges wait is not its doing.
    pub(super) fn is_held_back(&self) -> bool {
        self.held_back.load(Ordering::Relaxed) > 0
    }

    fn sent(&self, count: usize) {
        self.taken.fetch_add(count, Ordering::Relaxed);
        self.held.fetch_sub(count, Ordering::SeqCst);
        self.wake();
    }

    /// Wakes who waits, if there is room.
    fn wake(&self) {
        if self.anybody.load(Ordering::SeqCst) && !self.is_full() {
            let mut waiting = self.waiting.lock();
            self.anybody.store(false, Ordering::SeqCst);
            let waiting = std::mem::take(&mut *waiting);
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.backlog.sent(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin, sync::atomic::AtomicBool, task::Wake};

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_waits_keeps_more_away_until_its_last_part_is_gone() {
        let (backlog, woken) = (Arc::<Backlog>::default(), Arc::<Woken>::default());
        let waker = Waker::from(woken.clone());
        let cx = Context::from_waker(&waker);
        let piece = backlog.count(Bytes::from(vec![7; START * 2]));
        assert!(backlog.poll_room(&cx).is_pending());
        assert!(backlog.poll_room(&cx).is_pending());
        assert_eq!(backlog.waiting.lock().len(), 1, "one task waits once");
        let part = piece.slice(1..2);
        drop(piece);
        assert!(!woken.0.load(Ordering::Relaxed), "a part holds the whole");
        drop(part);
        assert!(woken.0.load(Ordering::Relaxed));
        assert!(backlog.poll_room(&cx).is_ready());
        assert_eq!(backlog.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn nothing_is_read_while_the_socket_is_stuck() {
        let (backlog, woken) = (Arc::<Backlog>::default(), Arc::<Woken>::default());
        let waker = Waker::from(woken.clone());
        let cx = Context::from_waker(&waker);
        assert!(backlog.poll_room(&cx).is_ready());
        backlog.stuck();
        assert!(backlog.poll_room(&cx).is_pending(), "though nothing is held");
        // Room of nothing is not the same: somebody has to try.
        backlog.has_room(0);
        assert!(woken.0.load(Ordering::Relaxed));
        assert!(backlog.poll_room(&cx).is_ready());
        assert_eq!(backlog.piece(), LEAST);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn everybody_gets_through_in_the_end() {
        let backlog = Arc::<Backlog>::default();
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let backlog = backlog.clone();
                tokio::spawn(async move {
                    for _ in 0..100 {
                        let mut room = pin!(poll_fn(|cx| backlog.poll_room(cx)));
                        room.as_mut().await;
                        let piece = backlog.count(Bytes::from(vec![1; 16 * 1024]));
                        tokio::task::yield_now().await;
                        drop(piece);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(backlog.held.load(Ordering::Relaxed), 0);
    }
}
