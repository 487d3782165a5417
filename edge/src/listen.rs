//! Sockets: binding them, and accepting from them without ever spinning.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use futures::FutureExt as _;
use rustix::process::{Resource, Rlimit};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    fair::{Fair, Shortage},
    metrics::Metrics,
    policy::Policy,
    serve::{Accepted, Deps, serve},
};

/// Connections that the kernel may hold until they are accepted.
const BACKLOG: i32 = 4096;
/// How long accepting pauses when the process has run out of descriptors or places: closing connections is what helps.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);
/// Between two lines in the log while accepting fails: it may fail twenty times a second.
const TELL_AGAIN: Duration = Duration::from_secs(10);
/// Idle connections that are closed when an accept has failed: room for those that come within the pause.
const AT_ONCE: usize = 32;
/// Descriptors for listeners, the store, the log, the gate and the control plane.
const RESERVED_DESCRIPTORS: usize = 64;
/// A peer that vanished without a word is noticed within half a minute: by probes when nothing is sent, by this when what
/// is sent is not acknowledged.
const VANISHED_AFTER: Duration = Duration::from_secs(30);

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

/// Sets the options that connections inherit: no Nagle delay, and a peer that vanished is noticed within half a minute.
///
/// # Errors
/// What the kernel says.
pub fn tune(listener: &std::net::TcpListener) -> io::Result<()> {
    let socket = SockRef::from(listener);
    prepare(&socket)?;
    socket.set_nonblocking(true)
}

/// What the kernel keeps of what a peer has no room for, in bytes. Without a limit it is up to 4 MB for each connection, and
/// a few hundred peers that take nothing use up the memory that the kernel has for TCP, which everybody shares.
pub(crate) const UNSENT: u32 = 128 * 1024;

/// Sends at once, leaves no more than [`UNSENT`] with the kernel, and notices a peer that vanished without a word: silence
/// is probed, and what is sent has to be acknowledged.
///
/// # Errors
/// The kernel's.
pub(crate) fn prepare(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(UNSENT)?;
    let keepalive = TcpKeepalive::new().with_time(VANISHED_AFTER / 2).with_interval(VANISHED_AFTER / 6);
    socket.set_tcp_keepalive(&keepalive.with_retries(3))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(VANISHED_AFTER))?;
    Ok(())
}

/// How many connections may be open at once.
#[derive(Clone)]
pub struct Room {
    permits: Arc<Semaphore>,
    /// Whoever may be asked to make room.
    fair: Option<Arc<Fair>>,
}

impl Room {
    /// For connections of which none ever has to leave.
    pub fn new(most: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(most)), fair: None }
    }

    /// For visitors: when it is full, those that have been idle the longest make room.
    pub fn of_visitors(most: usize, fair: &Arc<Fair>) -> Self {
        Self { fair: Some(fair.clone()), ..Self::new(most) }
    }

    /// Waits for a place. At the limit the kernel's queue holds whoever comes next.
    async fn take(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Some(permit);
        }
        loop {
            self.ask_for_room(1, Shortage::Connections);
            // The semaphore is never closed; without a permit the connection would merely not be counted.
            if let Ok(permit) = timeout(PAUSE_AFTER_ERROR, self.permits.clone().acquire_owned()).await {
                return permit.ok();
            }
        }
    }

    fn ask_for_room(&self, connections: usize, why: Shortage) {
        if let Some(fair) = &self.fair {
            fair.shed(connections, why);
        }
    }
}

/// Accepts connections, each within the process's limit of open ones, and pauses when the kernel cannot give any.
pub struct Acceptor {
    listener: TcpListener,
    room: Room,
    metrics: Metrics,
    /// A connection that waits for its place.
    waiting: Option<Accepted>,
    /// When the log was last told that accepting fails.
    told: Option<Instant>,
}

impl Acceptor {
    /// Takes over a bound listener.
    ///
    /// # Errors
    /// When the runtime cannot register it.
    pub fn new(listener: std::net::TcpListener, room: Room, metrics: Metrics) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::from_std(listener)?, room, metrics, waiting: None, told: None })
    }

    /// Hands every connection to `serve`, in a task of its own, until `stop`; then those that the kernel has already
    /// taken for us, whose peers believe that they are being served.
    pub async fn serve_each<S, F>(mut self, tasks: TaskTracker, stop: CancellationToken, serve: S)
    where
        S: Fn(Accepted) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let spawn = |(accepted, permit)| {
            // Not awaited within a block of its own, which would keep room for it twice as long as the connection lasts.
            tasks.spawn(serve(accepted).map(move |()| drop(permit)));
        };
        while let Some(next) = stop.run_until_cancelled(self.next()).await {
            spawn(next);
        }
        if let Some(accepted) = self.waiting.take() {
            spawn((accepted, None));
        }
        // Not tokio's listener: it knows only of connections that the runtime has already been told of.
        let Ok(listener) = self.listener.into_std() else { return };
        for next in std::iter::from_fn(|| waiting(&listener, &self.room.permits)).take(BACKLOG.unsigned_abs() as usize)
        {
            spawn(next);
        }
    }

    /// The next connection, with its place. Where the future is dropped, a connection that waited for one is kept.
    async fn next(&mut self) -> (Accepted, Option<OwnedSemaphorePermit>) {
        loop {
            while self.waiting.is_none() {
                self.waiting = self.accept().await;
            }
            let permit = self.room.take().await;
            if let Some(accepted) = self.waiting.take() {
                return (accepted, permit);
            }
        }
    }

    async fn accept(&mut self) -> Option<Accepted> {
        match self.listener.accept().await {
            Ok((tcp, from)) => Some(Accepted { tcp, from }),
            // The peer gave up between the kernel's queue and here.
            Err(error) if is_peers_fault(&error) => None,
            Err(error) => {
                self.metrics.accept_failed();
                if self.told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
                    self.told = Some(Instant::now());
                    tracing::warn!(%error, "cannot accept connections; idle ones are closed");
                }
                self.room.ask_for_room(AT_ONCE, Shortage::Descriptors);
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                None
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

/// Lets the process have as many descriptors as it may, and returns how many visitors' connections they suffice for:
/// each may need another one to its origin, and files need some too.
pub fn most_connections(configured: usize) -> usize {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let descriptors = match rustix::process::setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    // None is no limit.
    let Some(descriptors) = descriptors else { return configured };
    let most = usize::try_from(descriptors).unwrap_or(usize::MAX).saturating_sub(RESERVED_DESCRIPTORS) / 2;
    if most < configured {
        tracing::warn!(descriptors, connections = most, configured, "fewer connections than limits.connections");
    }
    most.clamp(1, configured)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_vanished_peer_is_noticed_within_half_a_minute() {
        let listener = bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let (client, accepted) = tokio::join!(tokio::net::TcpStream::connect(address), listener.accept());
        let (accepted, _) = accepted.unwrap();
        let socket = SockRef::from(&accepted);
        // Inherited by the connection: silence is probed, and what is sent must be acknowledged.
        let probes = socket.tcp_keepalive_interval().unwrap() * socket.tcp_keepalive_retries().unwrap();
        assert!(socket.keepalive().unwrap() && socket.tcp_keepalive_time().unwrap() + probes <= VANISHED_AFTER);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(VANISHED_AFTER));
        assert!(socket.tcp_nodelay().unwrap());
        drop(client);
    }

    #[test]
    fn descriptors_for_visitors_leave_some_for_their_origins() {
        assert_eq!(most_connections(1), 1);
        let most = most_connections(usize::MAX);
        let limit = rustix::process::getrlimit(Resource::Nofile).current;
        if let Some(limit) = limit {
            assert!(most as u64 * 2 + RESERVED_DESCRIPTORS as u64 <= limit, "{most} of {limit}");
        }
    }
}
