//! Bodies of HTTP/2 requests that stop coming.
//!
//! On HTTP/1 Pingora gives up a read that takes too long; on HTTP/2 it has no such limit, and a visitor that stalls in
//! the middle of a body would keep the stream, and the origin's connection, for as long as the origin bears it. So
//! requests with a body are served under a deadline that every piece of the body moves. When it passes the stream is
//! reset and the origin's connection closed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora_core::{
    apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream},
    protocols::http::{ServerSession, v2::server::H2Options},
    server::ShutdownWatch,
};
use pingora_proxy::HttpProxy;
use tokio::time::{Instant, sleep_until};

use super::hooks::Hooks;
use crate::{connection::visit_of, metrics::Metrics};

tokio::task_local! {
    /// The body of the request that the task serves.
    static UPLOAD: Arc<Upload>;
}

/// When a body last moved.
struct Upload(Mutex<State>);

#[derive(Clone, Copy)]
struct State {
    /// The end of the wait for its next piece; none when it is whole.
    deadline: Option<Instant>,
    limit: Duration,
}

impl Upload {
    fn new(limit: Duration) -> Self {
        Self(Mutex::new(State { deadline: Some(Instant::now() + limit), limit }))
    }

    /// Waits until nothing has come for as long as is allowed.
    async fn stalled(&self) {
        loop {
            let deadline = self.0.lock().deadline;
            match deadline {
                None => return std::future::pending().await,
                Some(deadline) if deadline <= Instant::now() => return,
                Some(deadline) => sleep_until(deadline).await,
            }
        }
    }
}

/// The silence that the body of this task's request may have.
pub(super) fn may_be_silent_for(limit: Duration) {
    let change = |upload: &Arc<Upload>| {
        let mut state = upload.0.lock();
        state.limit = limit;
        state.deadline = state.deadline.map(|_| Instant::now() + limit);
    };
    // Requests without a body, and those of HTTP/1, are not watched.
    let _ = UPLOAD.try_with(change);
}

/// A piece of the body of this task's request has come.
pub(super) fn moved(last: bool) {
    let change = |upload: &Arc<Upload>| {
        let mut state = upload.0.lock();
        state.deadline = state.deadline.filter(|_| !last).map(|_| Instant::now() + state.limit);
    };
    let _ = UPLOAD.try_with(change);
}

/// Serves the requests of HTTP/2 connections.
pub(super) struct Streams {
    pub(super) inner: Arc<HttpProxy<Hooks>>,
    pub(super) metrics: Metrics,
}

#[async_trait]
impl HttpServerApp for Streams {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let visit = visit_of(session.digest()).filter(|_| !session.is_body_empty());
        let Some(visit) = visit else {
            return self.inner.process_new_http(session, shutdown).await;
        };
        let started = Instant::now();
        let upload = Arc::new(Upload::new(visit.policy.limits.read_timeout));
        let serving = UPLOAD.scope(upload.clone(), self.inner.process_new_http(session, shutdown));
        tokio::select! {
            biased;
            served = serving => served,
            () = upload.stalled() => {
                self.metrics.request_done(0, started.elapsed(), None);
                None
            }
        }
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.inner.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.inner.server_options()
    }
}
