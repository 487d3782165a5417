//! A circuit breaker for each origin: one that fails is left alone for a while.
//!
//! *Calm* is the state of an origin without failures: a request reads one flag and nothing is written. The first failure
//! opens a window in which everything is counted; when at least `exchanges` came back within it and half of them failed,
//! requests are answered at once instead of waiting for what will not come. After `pause` one request is let through as a
//! probe: its success closes the breaker, its failure begins the next pause.
//!
//! A failure is an origin that could not be reached, or broke off or stayed silent before its answer's head. An answer
//! is a success, whatever its status: how a site answers is its own affair. A visitor that leaves says nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clock::{Clock, Timestamp};
use parking_lot::Mutex;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerLimits {
    /// The least exchanges in a window that can open it.
    pub exchanges: usize,
    /// How long a window is.
    pub window: Duration,
    /// How long it stays open before a probe.
    pub pause: Duration,
}

/// The breaker of one origin.
#[derive(Debug)]
pub struct Breaker {
    limits: BreakerLimits,
    /// Closed, and no failure in sight.
    calm: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Requests pass and are counted since the first failure.
    Closed { since: Timestamp, ended: usize, failed: usize },
    /// Requests are turned away.
    Open { since: Timestamp },
    /// One request is on its way to find out.
    Probing,
}

const CALM: State = State::Closed { since: Timestamp::EPOCH, ended: 0, failed: 0 };

/// What an exchange came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Answered,
    Failed,
    /// The visitor left, or the edge itself ended it.
    Unknown,
}

/// Leave to send one request. Dropped without a word: nothing is known of the origin.
#[derive(Debug)]
pub struct Pass {
    breaker: Arc<Breaker>,
    probe: bool,
}

impl Breaker {
    /// For an origin of which nothing is known.
    pub fn new(limits: BreakerLimits) -> Arc<Self> {
        Arc::new(Self { limits, calm: AtomicBool::new(true), state: Mutex::new(CALM) })
    }

    /// Whether a request may be sent now.
    pub fn enter(self: &Arc<Self>, clock: &dyn Clock) -> Option<Pass> {
        let probe = !self.calm.load(Ordering::Acquire) && self.enter_troubled(clock.now())?;
        Some(Pass { breaker: self.clone(), probe })
    }

    /// Whether the request is a probe; `None` when it may not be sent.
    fn enter_troubled(&self, now: Timestamp) -> Option<bool> {
        let mut state = self.state.lock();
        match *state {
            State::Closed { .. } => Some(false),
            // A clock that was set back would keep it open for long: then the pause is over as well.
            State::Open { since } if now < since || now.since(since) >= self.limits.pause => {
                *state = State::Probing;
                Some(true)
            }
            State::Open { .. } | State::Probing => None,
        }
    }

    fn end(&self, end: End, probe: bool, clock: &dyn Clock) {
        if end != End::Failed && !probe && self.calm.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.state.lock();
        *state = state.after(end, probe, clock.now(), &self.limits);
        self.calm.store(*state == CALM, Ordering::Release);
    }
}

impl State {
    fn after(self, end: End, probe: bool, now: Timestamp, limits: &BreakerLimits) -> Self {
        match self {
            Self::Probing if probe => match end {
                End::Answered => CALM,
                End::Failed => Self::Open { since: now },
                // Nothing was learnt: the next request may try, as soon as it likes.
                End::Unknown => Self::Open { since: Timestamp::EPOCH },
            },
            // Sent before it opened: what is decided stays.
            Self::Open { .. } | Self::Probing => self,
            Self::Closed { since, ended, failed } => {
                let over = failed == 0 || now < since || now.since(since) >= limits.window;
                let (since, ended, failed) = if over { (now, 0, 0) } else { (since, ended, failed) };
                let ended = ended + usize::from(end != End::Unknown);
                let failed = failed + usize::from(end == End::Failed);
                match failed {
                    0 => CALM,
                    _ if ended >= limits.exchanges && failed * 2 >= ended => Self::Open { since: now },
                    _ => Self::Closed { since, ended, failed },
                }
            }
        }
    }
}

impl Pass {
    /// The head of an answer has come.
    pub fn answered(self, clock: &dyn Clock) {
        self.end(End::Answered, clock);
    }

    /// The origin could not be reached or did not answer.
    pub fn failed(self, clock: &dyn Clock) {
        self.end(End::Failed, clock);
    }

    fn end(mut self, end: End, clock: &dyn Clock) {
        self.breaker.end(end, std::mem::take(&mut self.probe), clock);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.probe {
            let mut state = self.breaker.state.lock();
            *state = state.after(End::Unknown, true, Timestamp::EPOCH, &self.breaker.limits);
        }
    }
}

#[cfg(test)]
mod tests {
    use clock::ManualClock;

    use super::*;

    const LIMITS: BreakerLimits =
        BreakerLimits { exchanges: 20, window: Duration::from_secs(30), pause: Duration::from_secs(5) };

    struct Scene {
        breaker: Arc<Breaker>,
        clock: ManualClock,
    }

    impl Scene {
        fn new() -> Self {
            let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
            Self { breaker: Breaker::new(LIMITS), clock }
        }

        fn fail(&self, count: usize) {
            (0..count).for_each(|_| self.breaker.enter(&self.clock).unwrap().failed(&self.clock));
        }

        fn answer(&self, count: usize) {
            (0..count).for_each(|_| self.breaker.enter(&self.clock).unwrap().answered(&self.clock));
        }

        fn is_open(&self) -> bool {
            self.breaker.enter(&self.clock).is_none()
        }

        fn wait(&self, seconds: u64) {
            self.clock.advance(Duration::from_secs(seconds));
        }
    }

    #[test]
    fn it_opens_at_half_of_twenty_and_not_before() {
        let scene = Scene::new();
        scene.fail(19);
        assert!(!scene.is_open());
        scene.fail(1);
        assert!(scene.is_open());
        let scene = Scene::new();
        // Eleven answers to ten failures: less than half.
        for _ in 0..10 {
            scene.fail(1);
            scene.answer(1);
        }
        assert!(scene.is_open(), "ten of twenty are half");
        let scene = Scene::new();
        scene.fail(1);
        scene.answer(2);
        (0..100).for_each(|_| {
            scene.fail(1);
            scene.answer(2);
        });
        assert!(!scene.is_open(), "a third of many is not half");
    }

    #[test]
    fn failures_of_another_window_do_not_count() {
        let scene = Scene::new();
        scene.fail(19);
        scene.wait(30);
        scene.fail(19);
        assert!(!scene.is_open());
        scene.wait(30);
        scene.answer(1);
        assert!(scene.breaker.calm.load(Ordering::Relaxed), "a quiet window ends with the first answer after it");
    }

    #[test]
    fn one_probe_after_the_pause_decides() {
        let scene = Scene::new();
        scene.fail(20);
        scene.wait(4);
        assert!(scene.is_open());
        scene.wait(1);
        let probe = scene.breaker.enter(&scene.clock).unwrap();
        assert!(scene.is_open(), "one at a time");
        scene.wait(100);
        assert!(scene.is_open(), "however long it takes");
        probe.failed(&scene.clock);
        scene.wait(4);
        assert!(scene.is_open(), "another pause");
        scene.wait(1);
        scene.answer(1);
        assert!(!scene.is_open());
        scene.fail(19);
        assert!(!scene.is_open(), "counting begins anew");
    }

    #[test]
    fn a_probe_whose_visitor_leaves_makes_way_for_the_next() {
        let scene = Scene::new();
        scene.fail(20);
        scene.wait(5);
        drop(scene.breaker.enter(&scene.clock).unwrap());
        let probe = scene.breaker.enter(&scene.clock).unwrap();
        assert!(scene.is_open());
        drop(probe);
        scene.answer(1);
        assert!(!scene.is_open());
    }

    #[test]
    fn visitors_that_leave_open_nothing_and_late_ends_change_nothing() {
        let scene = Scene::new();
        (0..100).for_each(|_| drop(scene.breaker.enter(&scene.clock).unwrap()));
        assert!(!scene.is_open());
        let sent_before: Vec<_> = (0..3).map(|_| scene.breaker.enter(&scene.clock).unwrap()).collect();
        scene.fail(20);
        sent_before.into_iter().for_each(|pass| pass.answered(&scene.clock));
        assert!(scene.is_open(), "answers to what was sent before do not close it");
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_open() {
        let scene = Scene::new();
        scene.wait(86_400);
        scene.fail(20);
        scene.clock.set(Timestamp::from_millis(1_000_000));
        scene.answer(1);
        assert!(!scene.is_open());
    }
}
