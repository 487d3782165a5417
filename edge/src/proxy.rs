//! The last stage: requests, passed on to their origins.
//!
//! Pingora reads heads and bodies of visitors; the way in between is our own. A request is routed (`route`), its head
//! is written anew for its origin (`onward`), the origin is reached (`upstream`, [`crate::origin`]) and both bodies go
//! their ways (`exchange`), the answer's as far as its visitor has room for it (`intake`), and both as the bandwidth of
//! their hostname allows (`toll`). What is decided about a head are plain functions of [`crate::http`].

mod backlog;
mod drain;
mod exchange;
pub(crate) mod fault;
mod head;
mod intake;
mod log;
mod onward;
mod requests;
mod route;
mod seats;
mod toll;
mod tunnels;
mod upstream;
mod visitor;

use std::{path::Path, pin::pin, sync::Arc};

use certs::Challenges;
use clock::SharedClock;
use pingora_core::{
    apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream, ServerApp},
    protocols::http::{ServerSession, v2::server::default_h2_options},
};
use tokio::sync::watch;

use crate::{
    access_log::AccessLog,
    connection::{Connection, Visit},
    guard::RefusedHead,
    metrics::Metrics,
    origin::DialError,
    secure::Secured,
};

pub(crate) use backlog::Backlog;
use drain::Drain;
pub(crate) use drain::Turns;
use requests::{Means, Requests};
pub(crate) use seats::Seats;
use tunnels::Tunnels;

/// Tries to reach an origin for one request; each goes to the next address.
pub(crate) const MAX_ATTEMPTS: usize = 3;
/// What one HTTP/2 stream may keep waiting for its visitor to read; all of a connection have [`Backlog`] in common.
const H2_SEND_BUFFER: usize = 64 * 1024;
/// What a visitor may send on one HTTP/2 stream, and on all of a connection, before somebody has read it: an upload of
/// 100 Mbit/s over 40 ms passes, and a hostile connection pins no more.
const H2_STREAM_WINDOW: u32 = 512 * 1024;
const H2_CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Streams that a visitor reset before they were looked at, and that it made the edge reset by breaking the protocol;
/// one more and the connection ends (CVE-2023-44487, CVE-2025-8671).
const H2_PENDING_RESETS: usize = 20;
const H2_ERROR_RESETS: usize = 32;

/// What the proxy is built with; it stands until the process ends.
#[derive(Debug, Clone)]
pub struct ProxySettings<'a> {
    /// Idle connections to origins that are kept, in all.
    pub origin_pool: usize,
    /// Roots that origins' certificates are verified against, instead of the system's.
    pub origin_ca_root: Option<&'a Path>,
    /// Requests that one HTTP/2 connection may have open.
    pub h2_streams: u32,
    /// Largest decoded header list of an HTTP/2 request, in bytes.
    pub header_bytes: u32,
    /// How long an HTTP/2 connection may stand without a request.
    pub keepalive_timeout: std::time::Duration,
}

/// Proxies the requests of secured connections. Cheap to clone.
#[derive(Clone)]
pub struct Proxy {
    requests: Arc<Requests>,
    drain: Drain,
    tunnels: Tunnels,
    ledger: Ledger,
    /// Never says anything: what HTTP/1 connections listen to.
    quiet: watch::Receiver<bool>,
    metrics: Metrics,
}

impl Proxy {
    /// Builds the proxy. Call it with the process's crypto provider already installed: Pingora would install its own.
    ///
    /// # Errors
    /// [`DialError`] when no origin could be reached over TLS.
    pub fn new(
        settings: &ProxySettings<'_>,
        challenges: Arc<Challenges>,
        log: AccessLog,
        metrics: Metrics,
        clock: SharedClock,
    ) -> Result<Self, DialError> {
        let drain = Drain::new();
        let ledger = Ledger(Arc::new((log.clone(), clock.clone())));
        let requests = Requests::new(Means {
            challenges,
            log,
            metrics: metrics.clone(),
            clock,
            drain: drain.clone(),
            roots: settings.origin_ca_root,
            pool: settings.origin_pool,
            h2_options: h2_options(settings),
            idle: settings.keepalive_timeout,
        })?;
        let tunnels = Tunnels::new(drain.clone());
        Ok(Self { requests: Arc::new(requests), drain, tunnels, ledger, quiet: watch::channel(false).1, metrics })
    }

    /// Serves a connection's requests until it closes.
    pub async fn run(&self, secured: Box<Secured>) {
        let Some(connection) = open(secured, &self.metrics, self.ledger.clone()) else {
            return;
        };
        let _open = self.metrics.connection_open();
        let (visit, h2) = (connection.visit().clone(), connection.is_h2());
        let (turns, wait) = (&visit.turns, visit.policy.limits.drain_wait);
        // Pingora's own way to stop closes connections whose request is on the way; `drain` tells what is done instead.
        if h2 {
            let (away, stopping) = watch::channel(false);
            let go_away = || {
                away.send_replace(true);
            };
            self.drain.serve_h2(self.requests.process_new(connection, &stopping), turns, wait, go_away).await;
        } else {
            // Pinned here and lent: a future that takes another by value keeps room for it twice.
            let requests = pin!(self.serve_h1(connection));
            let watched = pin!(self.tunnels.watch(&visit, requests));
            self.drain.serve_h1(watched, turns, wait).await;
        }
    }

    /// Serves one request of HTTP/1 after the other. Pingora's session and its future take 20 KiB; they are made when a
    /// request begins to arrive, so that a connection that waits for one, or for its end, goes without.
    async fn serve_h1(&self, mut connection: Box<Connection>) {
        let mut kept = None;
        while connection.has_request().await {
            let Some(reusable) = self.serve_request(connection, kept).await else { return };
            let (stream, settings) = reusable.consume();
            let Ok(same) = stream.into_any().downcast() else { return };
            (connection, kept) = (same, settings);
        }
    }

    /// Serves the request that has begun to arrive. Not an `async fn`: its caller would keep room for the session.
    fn serve_request(
        &self,
        connection: Box<Connection>,
        kept: Option<HttpPersistentSettings>,
    ) -> impl Future<Output = Option<ReusedHttpStream>> + Send {
        let idle = connection.visit().policy.limits.keepalive_timeout;
        let mut session = ServerSession::new_http1(connection);
        session.set_keepalive(Some(idle.as_secs().max(1)));
        if let Some(settings) = kept {
            settings.apply_to_session(&mut session);
        }
        self.requests.process_new_http(session, &self.quiet)
    }

    /// Begins to drain: requests in flight or on the way are served, and then each connection is closed.
    pub fn stop(&self) {
        self.drain.begin();
    }

    /// Ends what is left of the drain: its time is up.
    pub fn end(&self) {
        self.drain.end();
    }

    /// The gate's count of changes stands at this: tunnels of names that are gone end.
    pub fn names_changed(&self, version: u64) {
        self.tunnels.tell(version);
    }
}

/// The connection in its final place: a future that had it among its variables would keep room for it.
fn open(secured: Box<Secured>, metrics: &Metrics, ledger: Ledger) -> Option<Box<Connection>> {
    Connection::new(*secured, metrics, ledger).ok().map(Box::new)
}

/// Where the lines of refused heads go. One reference, since every connection has it.
#[derive(Clone)]
pub(crate) struct Ledger(Arc<(AccessLog, SharedClock)>);

impl Ledger {
    /// A head was refused.
    pub(crate) fn refused(&self, visit: &Visit, refused: &RefusedHead) {
        let (access_log, clock) = &*self.0;
        if access_log.is_on() {
            log::refused(access_log, clock.now(), visit, refused);
        }
    }
}

/// Pingora's own limits as the base: options made from nothing would lose its bounds on header lists.
fn h2_options(settings: &ProxySettings<'_>) -> pingora_core::protocols::http::v2::server::H2Options {
    let mut options = default_h2_options();
    options.max_concurrent_streams(settings.h2_streams);
    options.max_header_list_size(settings.header_bytes);
    options.max_send_buffer_size(H2_SEND_BUFFER);
    options.initial_window_size(H2_STREAM_WINDOW);
    options.initial_connection_window_size(H2_CONNECTION_WINDOW);
    options.max_pending_accept_reset_streams(H2_PENDING_RESETS);
    options.max_local_error_reset_streams(Some(H2_ERROR_RESETS));
    options
}
