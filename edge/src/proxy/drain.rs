//! Ending a process without losing a request.
//!
//! A visitor cannot know that the process is about to end: its request may be on the way when the drain begins. So no
//! connection is closed under it. HTTP/1: the next response says `Connection: close`, and a connection that brings no
//! request within `limits.drain_wait` is closed. HTTP/2: GOAWAY, which tells the visitor what was not served; one whose
//! first request is still to come gets that wait first. What is left when the time for all this is up is ended: tunnels
//! and HTTP/2 connections in order, answers in the middle by closing. Every end but that of half an answer is announced
//! by close_notify (see [`crate::connection`]).

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
    time::Duration,
};

use tokio::sync::watch;

/// How far the process is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    Draining,
    /// The time is up.
    Ending,
}

/// Whether the process drains. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Drain {
    /// What a request looks at.
    on: Arc<AtomicBool>,
    /// What wakes connections that have nothing to do.
    wake: Arc<watch::Sender<Phase>>,
}

impl Drain {
    pub(super) fn new() -> Self {
        Self { on: Arc::new(AtomicBool::new(false)), wake: Arc::new(watch::Sender::new(Phase::Serving)) }
    }

    /// Begins.
    pub(super) fn begin(&self) {
        self.on.store(true, Ordering::Release);
        self.wake.send_replace(Phase::Draining);
    }

    /// Ends what is left.
    pub(super) fn end(&self) {
        self.on.store(true, Ordering::Release);
        self.wake.send_replace(Phase::Ending);
    }

    /// Whether it has begun.
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    async fn begun(&self) {
        self.reached(Phase::Draining).await;
    }

    /// Waits until the time is up.
    pub(super) async fn ended(&self) {
        self.reached(Phase::Ending).await;
    }

    async fn reached(&self, phase: Phase) {
        // The sender is in `self`, so the wait ends only with the phase.
        let _ = self.wake.subscribe().wait_for(|now| *now >= phase).await;
    }

    /// Serves an HTTP/1 connection; `None` when it was given up because the process drains and no request came.
    pub(super) async fn serve_h1<F: Future>(&self, serving: F, turns: &Turns, wait: Duration) -> Option<F::Output> {
        let mut serving = pin!(serving);
        if let Some(served) = self.before(serving.as_mut()).await {
            return Some(served);
        }
        tokio::select! {
            biased;
            served = serving => Some(served),
            () = turns.stay_idle(wait) => None,
            () = self.given_up() => None,
        }
    }

    /// Waits until the time is up, and then for those that end in order.
    async fn given_up(&self) {
        self.ended().await;
        tokio::time::sleep(ENDING).await;
    }

    /// Serves an HTTP/2 connection; `go_away` is called once, when no further requests are to come. `None` when the time
    /// was up first.
    pub(super) async fn serve_h2<F: Future>(
        &self,
        serving: F,
        turns: &Turns,
        wait: Duration,
        go_away: impl FnOnce(),
    ) -> Option<F::Output> {
        let mut serving = pin!(serving);
        if let Some(served) = self.before(serving.as_mut()).await {
            return Some(served);
        }
        let first = async {
            if turns.none_yet() {
                tokio::time::sleep(wait).await;
            }
        };
        tokio::select! {
            biased;
            served = serving.as_mut() => return Some(served),
            () = first => go_away(),
        }
        tokio::select! {
            biased;
            served = serving => Some(served),
            // Visitors have had their GOAWAY.
            () = self.ended() => None,
        }
    }

    /// What `serving` comes to; `None` when a drain begins first.
    ///
    /// A connection is woken for every packet, and waiting for the drain takes a lock that all connections share. It is
    /// taken once and again only when the drain has begun (or the task has changed, which it does not).
    async fn before<F: Future + Unpin>(&self, mut serving: F) -> Option<F::Output> {
        let mut begun = pin!(self.begun());
        let mut waiting: Option<Waker> = None;
        poll_fn(|cx| {
            if let Poll::Ready(served) = pin!(&mut serving).poll(cx) {
                return Poll::Ready(Some(served));
            }
            let waits = waiting.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
            if waits && !self.is_on() {
                return Poll::Pending;
            }
            waiting = Some(cx.waker().clone());
            begun.as_mut().poll(cx).map(|()| None)
        })
        .await
    }
}

/// Counts the beginnings and the ends of a connection's requests: odd while one of HTTP/1 is served.
#[derive(Debug, Default)]
pub(crate) struct Turns(AtomicUsize);

impl Turns {
    /// A request has begun, or ended.
    pub(super) fn next(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    /// Whether an HTTP/1 request is being served.
    pub(crate) fn is_busy(&self) -> bool {
        self.0.load(Ordering::Acquire) % 2 == 1
    }

    fn none_yet(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }

    /// Waits until no request came within `wait`; one that is being served is waited for.
    async fn stay_idle(&self, wait: Duration) {
        loop {
            let before = self.0.load(Ordering::Acquire);
            tokio::time::sleep(wait.max(SHORTEST_WAIT)).await;
            if self.0.load(Ordering::Acquire) == before && !self.is_busy() {
                return;
            }
        }
    }
}

/// How long a tunnel may take to end in order once the time is up.
const ENDING: Duration = Duration::from_millis(500);
/// Between two looks at a busy connection when the configured wait is none.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const WAIT: Duration = Duration::from_secs(2);

    #[tokio::test(start_paused = true)]
    async fn without_a_drain_a_connection_is_served_to_its_end() {
        let drain = Drain::new();
        assert_eq!(drain.serve_h1(ready(7), &Turns::default(), WAIT).await, Some(7));
        let late = async { tokio::time::sleep(WAIT * 100).await };
        assert_eq!(drain.serve_h1(late, &Turns::default(), WAIT).await, Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_connection_is_woken_by_the_drain_and_given_its_wait() {
        let drain = Drain::new();
        let begun = tokio::time::Instant::now();
        let begin = async {
            tokio::time::sleep(Duration::from_secs(100)).await;
            drain.begin();
        };
        let turns = Turns::default();
        let (served, ()) = tokio::join!(drain.serve_h1(pending::<()>(), &turns, WAIT), begin);
        assert_eq!((served, begun.elapsed()), (None, Duration::from_secs(102)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_in_flight_is_never_given_up() {
        let drain = Drain::new();
        drain.begin();
        let turns = Turns::default();
        turns.next();
        let request = async {
            tokio::time::sleep(WAIT * 10).await;
            turns.next();
            pending::<()>().await;
        };
        let begun = tokio::time::Instant::now();
        assert_eq!(drain.serve_h1(request, &turns, WAIT).await, None);
        assert!(begun.elapsed() >= WAIT * 11, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_comes_within_the_wait_is_served() {
        let drain = Drain::new();
        drain.begin();
        let turns = Turns::default();
        let request = async {
            tokio::time::sleep(WAIT / 2).await;
            turns.next();
            tokio::time::sleep(WAIT * 3).await;
            turns.next();
            "served"
        };
        assert_eq!(drain.serve_h1(request, &turns, WAIT).await, Some("served"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_h2_connection_is_sent_away_at_once_unless_its_first_request_is_to_come() {
        for (requests, after) in [(0, WAIT), (1, Duration::ZERO)] {
            let drain = Drain::new();
            drain.begin();
            let turns = Turns::default();
            (0..requests).for_each(|_| turns.next());
            let (away, gone) = tokio::sync::oneshot::channel();
            let begun = tokio::time::Instant::now();
            let served = drain.serve_h2(gone, &turns, WAIT, || away.send(begun.elapsed()).unwrap()).await;
            assert_eq!(served.unwrap().unwrap(), after);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_time_is_up_nothing_is_waited_for() {
        let drain = Drain::new();
        let turns = Turns::default();
        turns.next();
        let begun = tokio::time::Instant::now();
        let end = async {
            drain.begin();
            tokio::time::sleep(WAIT * 20).await;
            drain.end();
        };
        let h1 = drain.serve_h1(pending::<()>(), &turns, WAIT);
        let h2 = drain.serve_h2(pending::<()>(), &turns, WAIT, || {});
        let (h1, h2, ()) = tokio::join!(h1, h2, end);
        assert_eq!((h1, h2, begun.elapsed()), (None, None, WAIT * 20 + ENDING));
    }
}
