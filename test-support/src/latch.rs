//! [`Latch`]: requests wait at it until a test lets them go, and the test sees them waiting.

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, Default)]
struct State {
    closed: bool,
    waiting: usize,
}

/// A gate for the harness's own handlers. Open when new.
#[derive(Debug)]
pub(crate) struct Latch(watch::Sender<State>);

impl Default for Latch {
    fn default() -> Self {
        Self(watch::Sender::new(State::default()))
    }
}

impl Latch {
    pub(crate) fn close(&self) {
        self.0.send_modify(|state| state.closed = true);
    }

    pub(crate) fn open(&self) {
        self.0.send_modify(|state| state.closed = false);
    }

    /// Ends when the latch is open. A caller that gives up while waiting is no longer counted.
    pub(crate) async fn pass(&self) {
        if !self.0.borrow().closed {
            return;
        }
        self.0.send_modify(|state| state.waiting += 1);
        let _leave = Leave(self);
        let _ = self.0.subscribe().wait_for(|state| !state.closed).await;
    }

    /// Ends when at least `count` callers wait.
    pub(crate) async fn reached(&self, count: usize) {
        let seen = tokio::time::timeout(crate::wait::LIMIT, async {
            let _ = self.0.subscribe().wait_for(|state| state.waiting >= count).await;
        });
        assert!(seen.await.is_ok(), "no {count} request(s) came to the latch: {:?}", *self.0.borrow());
    }
}

struct Leave<'a>(&'a Latch);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|state| state.waiting -= 1);
    }
}
