//! [`Toll`]: bodies pass at the pace that the bandwidth of their hostname allows.
//!
//! Every piece of a body is charged when it has been read and held until its turn comes; meanwhile nothing more is read,
//! so that whoever sends it has to wait too. One piece is all that an exchange holds in each direction. Nobody is cut for
//! it: the deadlines of an exchange run while somebody is waited for, and here nobody is.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep};

use super::{
    backlog::Backlog,
    requests::{Context as Known, Requests},
};
use crate::{
    fair::{Bandwidth, Lane},
    metrics::HeldBack,
};

/// What is read at once: small enough that the turns of a busy hostname come often.
const PIECE: usize = 16 * 1024;

/// The toll of one direction of one exchange. Without a limit there is nothing to it.
pub(super) struct Toll(Option<Box<Gate>>);

struct Gate {
    bandwidth: Bandwidth,
    lane: Arc<Lane>,
    /// Of the visitor's connection.
    backlog: Arc<Backlog>,
    metrics: HeldBack,
    held: Option<Held>,
}

/// A piece that waits for its turn.
struct Held {
    piece: Bytes,
    since: Instant,
    turn: Pin<Box<Sleep>>,
}

impl Toll {
    /// What this request's hostname has to pay.
    pub(super) fn of(requests: &Requests, ctx: &Known) -> Self {
        let bandwidth = ctx.visit.policy.limits.hostname_bandwidth;
        Self(bandwidth.zip(ctx.on_lane.as_ref()).map(|(bandwidth, on_lane)| {
            let (lane, backlog) = (on_lane.lane().clone(), ctx.visit.backlog.clone());
            Box::new(Gate { bandwidth, lane, backlog, metrics: requests.metrics.held_back(), held: None })
        }))
    }

    /// How much may be read at once, where `most` would be otherwise.
    pub(super) fn piece(&self, most: usize) -> usize {
        if self.0.is_some() { most.min(PIECE) } else { most }
    }

    /// Whether a piece waits for its turn.
    pub(super) fn holds(&self) -> bool {
        self.0.as_ref().is_some_and(|gate| gate.held.is_some())
    }

    /// Whether anything of the visitor's connection waits for its turn, in whichever direction and exchange. Who is silent
    /// meanwhile may be waiting for just that.
    pub(super) fn excuses_silence(&self) -> bool {
        self.0.as_ref().is_some_and(|gate| gate.backlog.is_held_back())
    }

    /// Charges a piece. Gives it back if it may pass at once; otherwise it is held.
    pub(super) fn charge(&mut self, piece: Bytes) -> Option<Bytes> {
        match &mut self.0 {
            Some(gate) if !piece.is_empty() => gate.charge(piece),
            _ => Some(piece),
        }
    }

    /// Ready with the piece that is held when its turn has come. Can be given up and begun again.
    pub(super) fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        match &mut self.0 {
            Some(gate) => gate.poll_turn(cx),
            None => Poll::Pending,
        }
    }

    /// What is held is not wanted any more.
    pub(super) fn give_up(&mut self) {
        if let Some(gate) = &mut self.0 {
            gate.give_up();
        }
    }
}

impl Gate {
    fn charge(&mut self, piece: Bytes) -> Option<Bytes> {
        let Some(wait) = self.lane.charge(piece.len(), self.bandwidth) else { return Some(piece) };
        self.backlog.hold_back();
        self.held = Some(Held { piece, since: Instant::now(), turn: Box::pin(sleep(wait)) });
        None
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let Some(held) = &mut self.held else { return Poll::Pending };
        ready!(held.turn.as_mut().poll(cx));
        let piece = std::mem::take(&mut held.piece);
        self.metrics.count(piece.len(), held.since.elapsed());
        self.held = None;
        self.backlog.let_go();
        Poll::Ready(piece)
    }

    fn give_up(&mut self) {
        if let Some(held) = self.held.take() {
            self.lane.give_back(held.piece.len(), self.bandwidth);
            self.backlog.let_go();
        }
    }
}

impl Drop for Gate {
    /// An exchange that ends early leaves nothing for others to wait for.
    fn drop(&mut self) {
        self.give_up();
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use names::Hostname;
    use prometheus::Registry;

    use super::*;
    use crate::{fair::Lanes, metrics::Metrics};

    /// A hostname that may pass a thousand bytes in a second, and has done so for this one.
    struct Busy {
        lane: Arc<Lane>,
        backlog: Arc<Backlog>,
        metrics: HeldBack,
        began: Instant,
    }

    impl Busy {
        fn new() -> Self {
            let lane = Arc::new(Lanes::default()).find(&Hostname::parse("a.test").unwrap());
            let metrics = Metrics::new(&Registry::new()).unwrap().held_back();
            let busy = Self { lane, backlog: Arc::default(), metrics, began: Instant::now() };
            assert!(busy.toll().charge(Bytes::from(vec![0; 1000])).is_some(), "what is saved up passes at once");
            busy
        }

        fn toll(&self) -> Toll {
            let bandwidth = Bandwidth::per_second(1000).unwrap();
            let (lane, backlog, metrics) = (self.lane.clone(), self.backlog.clone(), self.metrics.clone());
            Toll(Some(Box::new(Gate { bandwidth, lane, backlog, metrics, held: None })))
        }

        /// A toll that holds so many bytes.
        fn holding(&self, bytes: usize) -> Toll {
            let mut toll = self.toll();
            assert!(toll.charge(Bytes::from(vec![0; bytes])).is_none());
            assert!(toll.holds());
            toll
        }

        /// The length of what passes, and when.
        async fn passes(&self, mut toll: Toll) -> (usize, Duration) {
            let piece = poll_fn(|cx| toll.poll_turn(cx)).await;
            assert!(!toll.holds());
            (piece.len(), self.began.elapsed())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pieces_pass_in_turn_and_each_as_late_as_those_before_it_make_it() {
        let busy = Busy::new();
        let (first, second) = (busy.holding(500), busy.holding(2000));
        assert!(busy.backlog.is_held_back());
        let (first, second) = tokio::join!(busy.passes(first), busy.passes(second));
        assert_eq!(first, (500, Duration::from_millis(500)));
        assert_eq!(second, (2000, Duration::from_millis(2500)));
        assert!(!busy.backlog.is_held_back());
        assert_eq!(busy.metrics.counted(), (2500, 3.0));
    }

    #[tokio::test(start_paused = true)]
    async fn an_exchange_that_ends_before_its_turn_leaves_nothing_to_wait_for() {
        let busy = Busy::new();
        for _ in 0..100 {
            drop(busy.holding(10_000));
            let mut unwanted = busy.holding(10_000);
            unwanted.give_up();
            assert!(!unwanted.holds());
        }
        assert!(!busy.backlog.is_held_back());
        assert_eq!(busy.passes(busy.holding(100)).await, (100, Duration::from_millis(100)));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_and_without_a_byte_nothing_is_held() {
        let mut free = Toll(None);
        assert_eq!(free.charge(Bytes::from(vec![0; 1 << 20])).map(|piece| piece.len()), Some(1 << 20));
        assert_eq!(free.piece(1 << 20), 1 << 20);
        let mut end = Busy::new().toll();
        assert_eq!(end.charge(Bytes::new()), Some(Bytes::new()));
        assert_eq!((end.piece(1 << 20), end.piece(100)), (PIECE, 100));
    }
}
