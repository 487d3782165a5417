//! Sockets: binding them, and accepting from them without ever spinning.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    metrics::Metrics,
    policy::Policy,
    serve::{Accepted, Deps, serve},
};

/// Connections that the kernel may hold until they are accepted.
const BACKLOG: i32 = 4096;
/// How long accepting pauses when the process has run out of descriptors: closing connections is what helps.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

/// Binds a listener. Its options are inherited by every connection, which saves system calls at each accept.
///
/// `dual` lets an IPv6 wildcard take IPv4 connections too.
///
/// # Errors
/// What the kernel says, such as "address in use".
pub fn bind(address: SocketAddr, dual: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!dual)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = std::net::TcpListener::from(socket);
    tune(&listener)?;
    Ok(listener)
}

/// Sets the options that connections inherit: no Nagle delay, and a peer that vanished is noticed within two minutes.
///
/// # Errors
/// What the kernel says.
pub fn tune(listener: &std::net::TcpListener) -> io::Result<()> {
    let socket = SockRef::from(listener);
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(20));
    socket.set_tcp_keepalive(&keepalive.with_retries(3))?;
    socket.set_nonblocking(true)
}

/// Accepts connections, each within the process's limit of open ones, and pauses when the kernel cannot give any.
pub struct Acceptor {
    listener: TcpListener,
    permits: Arc<Semaphore>,
    metrics: Metrics,
}

impl Acceptor {
    /// Takes over a bound listener.
    ///
    /// # Errors
    /// When the runtime cannot register it.
    pub fn new(listener: std::net::TcpListener, permits: Arc<Semaphore>, metrics: Metrics) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::from_std(listener)?, permits, metrics })
    }

    /// Hands every connection to `serve`, in a task of its own, until `stop`; then those that the kernel has already
    /// taken for us, whose peers believe that they are being served.
    pub async fn serve_each<S, F>(self, tasks: TaskTracker, stop: CancellationToken, serve: S)
    where
        S: Fn(Accepted) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let spawn = |(accepted, permit)| {
            let served = serve(accepted);
            tasks.spawn(async move {
                served.await;
                drop(permit);
            });
        };
        while let Some(next) = stop.run_until_cancelled(self.next()).await {
            spawn(next);
        }
        // Not tokio's listener: it knows only of connections that the runtime has already been told of.
        let Ok(listener) = self.listener.into_std() else { return };
        for next in std::iter::from_fn(|| waiting(&listener, &self.permits)).take(BACKLOG.unsigned_abs() as usize) {
            spawn(next);
        }
    }

    /// The next connection. At the limit nothing is accepted and the kernel's queue holds the rest.
    async fn next(&self) -> (Accepted, Option<OwnedSemaphorePermit>) {
        // The semaphore is never closed; without a permit the connection would merely not be counted.
        let permit = self.permits.clone().acquire_owned().await.ok();
        loop {
            match self.listener.accept().await {
                Ok((tcp, from)) => return (Accepted { tcp, from }, permit),
                // The peer gave up between the kernel's queue and here.
                Err(error) if is_peers_fault(&error) => {}
                Err(error) => {
                    self.metrics.accept_failed();
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }
}

/// A connection of the kernel's queue, if there is one and room for it.
fn waiting(
    listener: &std::net::TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(Accepted, Option<OwnedSemaphorePermit>)> {
    let permit = permits.clone().try_acquire_owned().ok()?;
    let (tcp, from) = listener.accept().ok()?;
    tcp.set_nonblocking(true).ok()?;
    let tcp = tokio::net::TcpStream::from_std(tcp).ok()?;
    Some((Accepted { tcp, from }, Some(permit)))
}

fn is_peers_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Serves TLS connections until `stop`.
pub async fn serve_https(
    acceptor: Acceptor,
    policy: Arc<ArcSwap<Policy>>,
    deps: Arc<Deps>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let serve = |accepted: Accepted| {
        deps.metrics.accepted();
        serve_one(accepted, policy.load_full(), deps.clone())
    };
    acceptor.serve_each(tasks, stop, serve).await;
}

async fn serve_one(accepted: Accepted, policy: Arc<Policy>, deps: Arc<Deps>) {
    let from = accepted.from;
    let result = serve(accepted, policy, &deps).await;
    deps.metrics.ended(&result);
    if let Err(error) = &result {
        // Strangers decide how often this happens: counted always, told as often as the log bears (`limits.log_burst`).
        tracing::info!(client = %from, reason = error.code(), error = %telemetry::chain(error), "not served");
    }
}
