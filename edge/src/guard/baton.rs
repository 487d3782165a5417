//! Whose turn it is on an HTTP/1 connection: the visitor's to send a request, or the edge's to answer.
//!
//! The guard sees requests and no responses; the proxy sees both. This is the little that the one tells the other.

use std::{
    sync::atomic::{AtomicU8, Ordering},
    task::Waker,
};

use parking_lot::Mutex;

use crate::http1::Refusal;

const VISITOR: u8 = 0;
const EDGE: u8 = 1;
const TUNNEL: u8 = 2;
const OVER: u8 = 3;

/// Shared by the guard of a connection and the proxy of its requests.
#[derive(Debug, Default)]
pub struct Baton {
    state: AtomicU8,
    refused: AtomicU8,
    /// Set while the guard holds back bytes that came before their baton, which is rare.
    held: Mutex<Option<Waker>>,
}

impl Baton {
    /// A request has been passed on.
    pub(super) fn asked(&self) {
        self.state.store(EDGE, Ordering::Release);
    }

    /// The exchange is over: the next request may pass.
    pub fn answered(&self) {
        if self.state.load(Ordering::Acquire) < TUNNEL {
            self.state.store(VISITOR, Ordering::Release);
            self.wake();
        }
    }

    /// The origin switched protocols: what comes is no HTTP.
    pub fn tunnel(&self) {
        self.state.store(TUNNEL, Ordering::Release);
        self.wake();
    }

    /// Whether a request is being answered.
    pub(super) fn is_edges(&self) -> bool {
        self.state.load(Ordering::Acquire) == EDGE
    }

    /// Whether it is a tunnel that goes on.
    pub fn is_tunnel(&self) -> bool {
        self.state.load(Ordering::Acquire) == TUNNEL
    }

    /// Ends a tunnel: from now on there is nothing to read and nothing can be written. To be called on the connection's
    /// task, which has to be polled after it.
    pub fn end_tunnel(&self) {
        self.state.store(OVER, Ordering::Release);
    }

    /// Whether this was a tunnel that has been ended from here.
    pub fn is_over(&self) -> bool {
        self.state.load(Ordering::Acquire) == OVER
    }

    /// Wakes this task when the turn changes.
    pub(super) fn wait(&self, waker: &Waker) {
        *self.held.lock() = Some(waker.clone());
    }

    fn wake(&self) {
        if let Some(waker) = self.held.lock().take() {
            waker.wake();
        }
    }

    /// The body of the request that is being answered turned bad.
    pub(super) fn refuse(&self, refusal: Refusal) {
        self.refused.store(refusal.as_byte(), Ordering::Release);
    }

    /// Why the body of the current request was refused; `None` while nothing is wrong with it.
    pub fn refused(&self) -> Option<Refusal> {
        Refusal::from_byte(self.refused.load(Ordering::Acquire))
    }
}
