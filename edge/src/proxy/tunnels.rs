//! Ending tunnels: with the name that they are for, and with the process.
//!
//! A request looks at what the gate says when it begins. A WebSocket begins once and may stand for days, so it is told
//! when the control plane has changed something, and asks the gate again. It ends in order: the origin and the visitor
//! see the end of the stream, by close_notify where TLS has one, and its line is written.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use control_client::Refusal;
use tokio::sync::watch;

use super::drain::Drain;
use crate::connection::Visit;

/// How long both sides of a tunnel may take to notice its end.
const NOTICE: Duration = Duration::from_secs(1);

/// What tunnels listen to. Cheap to clone.
#[derive(Clone)]
pub(super) struct Tunnels {
    /// The gate's count of changes.
    changes: Arc<watch::Sender<u64>>,
    drain: Drain,
}

impl Tunnels {
    pub(super) fn new(drain: Drain) -> Self {
        Self { changes: Arc::new(watch::Sender::new(0)), drain }
    }

    /// The gate's count of changes stands at this.
    pub(super) fn tell(&self, version: u64) {
        self.changes.send_if_modified(|known| std::mem::replace(known, version) != version);
    }

    /// Serves a connection; `None` when it was a tunnel that had to end and did not in time.
    pub(super) async fn watch<F: Future>(&self, visit: &Visit, serving: F) -> Option<F::Output> {
        let mut serving = pin!(serving);
        let mut over: Option<Pin<Box<dyn Future<Output = ()> + Send + '_>>> = None;
        let mut late: Option<Pin<Box<tokio::time::Sleep>>> = None;
        poll_fn(|cx| {
            if let Poll::Ready(served) = serving.as_mut().poll(cx) {
                return Poll::Ready(Some(served));
            }
            if visit.baton.is_tunnel() {
                ready!(over.get_or_insert_with(|| Box::pin(self.over(visit))).as_mut().poll(cx));
                visit.baton.end_tunnel();
                // Whoever waits to read is asked again, and finds the end.
                if let Poll::Ready(served) = serving.as_mut().poll(cx) {
                    return Poll::Ready(Some(served));
                }
            }
            if !visit.baton.is_over() {
                return Poll::Pending;
            }
            late.get_or_insert_with(|| Box::pin(tokio::time::sleep(NOTICE))).as_mut().poll(cx).map(|()| None)
        })
        .await
    }

    /// Waits until a tunnel has to end.
    async fn over(&self, visit: &Visit) {
        tokio::select! {
            () = self.drain.ended() => {}
            () = self.gone(visit) => {}
        }
    }

    async fn gone(&self, visit: &Visit) {
        let name = visit.tunnel.get().unwrap_or(&visit.name);
        let mut changes = self.changes.subscribe();
        loop {
            // Asked at the start too: the change may have come between the request's look at the gate and here.
            match visit.policy.gate.admit(name).await {
                Err(Refusal::Denied) => return,
                Ok(admitted) if !visit.leaf.is_for(admitted.site.tenant.as_ref()) => return,
                Ok(_) | Err(Refusal::Unavailable) => {}
            }
            // The sender is in `self`.
            let _ = changes.changed().await;
        }
    }
}
