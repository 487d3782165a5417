//! Deadlines of a connection, with one timer that is set only while something is waited for.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// What a visitor is given time for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// To send a whole head.
    Head,
    /// To take what is sent.
    Write,
}

/// The deadlines that stand, and the timer. A request that arrives whole touches neither.
#[derive(Debug, Default)]
pub(super) struct Pace {
    head: Option<Instant>,
    write: Option<Instant>,
    /// Fires at the earliest of them or before; then it is set again, or goes.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// A head has to be whole within this time from now, unless a deadline stands already.
    pub(super) fn expect_head(&mut self, within: Duration) {
        self.head.get_or_insert_with(|| Instant::now() + within);
    }

    pub(super) fn head_done(&mut self) {
        self.head = None;
    }

    /// Something has to be taken within this time from now, unless a deadline stands already.
    pub(super) fn expect_write(&mut self, within: Duration) {
        self.write.get_or_insert_with(|| Instant::now() + within);
    }

    pub(super) fn write_done(&mut self) {
        self.write = None;
    }

    /// Ready when a deadline has passed. To be asked whenever the connection has to wait, so that it is woken.
    pub(super) fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Late> {
        let Some(deadline) = self.head.into_iter().chain(self.write).min() else {
            // Not cancelled: that would cost at each request what this costs once.
            self.timer.take_if(|timer| timer.is_elapsed());
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now >= deadline {
                self.timer = None;
                return Poll::Ready(if self.head == Some(deadline) { Late::Head } else { Late::Write });
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}
