//! A secured connection as Pingora takes it, and what a request may know of it.

use std::{
    fmt,
    future::poll_fn,
    io::{self, IoSlice},
    net::SocketAddr,
    os::fd::{AsRawFd, RawFd},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Waker, ready},
};

use async_trait::async_trait;
use certs::Leaf;
use names::Hostname;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType, l4::ext, raw_connect::ProxyDigest,
};
use pingora_http::ResponseHeader;
use rustls::HandshakeKind;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::server::TlsStream;

use crate::{
    fair::Seat,
    gather::Gather,
    guard::{Baton, Guard},
    http::{
        forward::{Forwarding, Peer},
        record::TlsFacts,
    },
    listen::UNSENT,
    metrics::{Metrics, Shares},
    origin::Places,
    policy::Policy,
    proxy::{Backlog, Ledger, Seats, Turns},
    secure::Secured,
    standing::Standing,
};

/// What every request of one connection shares. Written once at the handshake; only what stands is refreshed.
pub struct Visit {
    /// The visitor: the TCP peer, or whom a balancer's header named.
    pub from: SocketAddr,
    /// What the connection occupies.
    pub seat: Arc<Seat>,
    /// Whether the peer is a proxy whose word counts.
    pub peer: Peer,
    /// The connection's name.
    pub name: Hostname,
    /// What the gate says about it.
    pub standing: Standing,
    /// The certificate in use.
    pub leaf: Arc<Leaf>,
    /// The rules that stood when the connection was accepted.
    pub policy: Arc<Policy>,
    /// Forwarding headers, ready to copy.
    pub forwarding: Forwarding,
    /// Beginnings and ends of requests.
    pub(crate) turns: Turns,
    /// How much of its answers is read at once, and of HTTP/2 what is held for it.
    pub(crate) backlog: Arc<Backlog>,
    /// Who of its exchanges may hold more, over HTTP/2.
    pub(crate) seats: Seats,
    /// What of its origins' unfinished records is kept, over HTTP/2.
    places: OnceLock<Places>,
    /// Counts who waits for a share of the connection.
    pub(crate) shares: Shares,
    /// Held by the exchange that looks for its way to an origin over HTTP/2.
    pub(crate) dials: tokio::sync::Mutex<()>,
    /// What an HTTP/1 connection's guard has to know of its exchanges.
    pub baton: Arc<Baton>,
    /// The name whose tunnel the connection has become; it may be another one that the certificate covers.
    pub(crate) tunnel: OnceLock<Hostname>,
    tls: Tls,
}

#[derive(Clone, Copy)]
struct Tls {
    resumed: bool,
    version: u16,
    cipher_suite: u16,
    h2: bool,
}

impl Visit {
    /// The visit, and the stream that it is on.
    fn new(secured: Secured, shares: Shares) -> (Self, TlsStream<Gather<TcpStream>>) {
        let Secured { tls, from, seat, admission, leaf, policy } = secured;
        let peer = policy.peer(from.ip());
        let name = admission.site.hostname.clone();
        let forwarding = Forwarding::new(from, &name, peer);
        let standing = Standing::new(admission);
        let (turns, baton, facts) = (Turns::default(), Arc::default(), tls_facts(&tls));
        let (tunnel, backlog) = (OnceLock::new(), Arc::default());
        let visit = Self {
            from,
            seat,
            peer,
            name,
            standing,
            leaf,
            policy,
            forwarding,
            turns,
            backlog,
            seats: Seats::default(),
            places: OnceLock::new(),
            shares,
            dials: tokio::sync::Mutex::default(),
            baton,
            tunnel,
            tls: facts,
        };
        (visit, tls)
    }

    /// The connection becomes a tunnel for this name.
    pub(crate) fn becomes_tunnel(&self, name: &Hostname) {
        // A connection becomes one at most once.
        let _ = self.tunnel.set(name.clone());
        self.baton.tunnel();
    }

    /// Whether it came over HTTP/2.
    pub fn is_h2(&self) -> bool {
        self.tls.h2
    }

    /// What bounds how much its origins begin at once; none over HTTP/1, where there is one exchange at a time.
    pub(crate) fn places(&self) -> Option<&Places> {
        self.is_h2().then(|| self.places.get_or_init(|| Places::new(self.shares.clone())))
    }

    /// The TLS connection in the access log's terms.
    pub fn tls(&self) -> TlsFacts<'_> {
        let Tls { resumed, version, cipher_suite, h2 } = self.tls;
        let proto = if h2 { "h2" } else { "http/1.1" };
        TlsFacts { resumed, version, cipher_suite, proto, server_name: self.name.as_str() }
    }
}

fn tls_facts(tls: &TlsStream<Gather<TcpStream>>) -> Tls {
    let session = tls.get_ref().1;
    Tls {
        resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
        version: session.protocol_version().map_or(0, u16::from),
        cipher_suite: session.negotiated_cipher_suite().map_or(0, |suite| suite.suite().into()),
        h2: session.alpn_protocol() == Some(b"h2"),
    }
}

/// A secured connection. However it is dropped, its peer is told by close_notify that nothing was cut off, unless
/// something was.
pub struct Connection {
    tls: Guard<TlsStream<Gather<TcpStream>>>,
    digest: Arc<ProxyDigest>,
    visit: Arc<Visit>,
    h2: bool,
    closed: bool,
    /// What the kernel may keep of what it has not sent, in bytes.
    unsent: u32,
    ledger: Ledger,
}

impl Connection {
    /// Wraps a secured connection; the [`Visit`] travels in the proxy digest, the one place that Pingora hands to
    /// requests of both HTTP versions.
    ///
    /// # Errors
    /// When Pingora cannot build the empty response head that a digest carries.
    pub(crate) fn new(secured: Secured, metrics: &Metrics, ledger: Ledger) -> pingora_core::Result<Self> {
        let (visit, tls) = Visit::new(secured, metrics.shares());
        let h2 = visit.tls.h2;
        let visit = Arc::new(visit);
        let (limits, cuts) = (&visit.policy.limits.guard, metrics.cuts());
        let tls = match h2 {
            true => Guard::http2(tls, limits, cuts),
            false => Guard::http1(tls, limits, visit.baton.clone(), cuts),
        };
        let response = Box::new(ResponseHeader::build_no_case(200, Some(0))?);
        let digest = Arc::new(ProxyDigest::new(response, Some(Box::new(visit.clone()))));
        Ok(Self { tls, digest, visit, h2, closed: false, unsent: UNSENT, ledger })
    }

    /// What its requests share.
    pub fn visit(&self) -> &Arc<Visit> {
        &self.visit
    }

    /// Whether it carries HTTP/2.
    pub fn is_h2(&self) -> bool {
        self.h2
    }

    /// Waits until a request begins to arrive, and leaves it to be read; false when none comes: the peer has closed, or
    /// has been silent for as long as a connection may idle.
    pub async fn has_request(&mut self) -> bool {
        let idle = self.visit.policy.limits.keepalive_timeout;
        let arrived = timeout(idle, poll_fn(|cx| self.tls.poll_arrival(cx))).await;
        // A peer that has closed in order has been cut off from nothing and may well be gone: it is not told again.
        self.closed = matches!(arrived, Ok(Ok(false)));
        matches!(arrived, Ok(Ok(true)))
    }

    /// Whether the socket has not taken all that was written.
    fn is_stuck(&self) -> bool {
        self.tls.get_ref().get_ref().1.wants_write()
    }

    /// Bytes that the socket has taken so far.
    fn taken(&self) -> usize {
        self.tls.get_ref().get_ref().0.taken()
    }

    /// Looks how much the socket has room for, once in so many bytes.
    fn look(&mut self, wrote: usize) {
        if self.is_stuck() {
            self.visit.backlog.stuck();
        } else if self.visit.backlog.wrote(wrote) {
            self.trust();
            self.visit.backlog.has_room(self.room());
        }
    }

    /// Lets the kernel keep more for a visitor who has taken a lot: large answers cost fewer turns, and whoever takes nothing
    /// does not get there.
    fn trust(&mut self) {
        let earned = u32::try_from(self.taken() / 4).unwrap_or(u32::MAX).min(MOST_UNSENT);
        if earned / 2 >= self.unsent && self.socket().set_tcp_notsent_lowat(earned).is_ok() {
            self.unsent = earned;
        }
    }

    /// What may be read for the visitor at once. One who has not taken much yet gets half of what its socket has room for,
    /// and half of the rest next: what the socket takes no more of in the end, and lies here, is small.
    fn room(&self) -> usize {
        let room = send_room(self.id(), self.unsent);
        if self.taken() < PROVEN { (room / 2).min(UNPROVEN) } else { room }
    }

    fn socket(&self) -> SockRef<'_> {
        SockRef::from(self.tls.get_ref().get_ref().0)
    }

    /// Whether its end would cut off a response. HTTP/2 has its own words for that (RFC 9113 section 6.4), and so has
    /// what goes through a tunnel.
    fn is_within_response(&self) -> bool {
        !self.h2 && self.visit.turns.is_busy() && self.visit.tunnel.get().is_none()
    }
}

/// What the kernel keeps to itself for each piece of its queue, in bytes.
const OVERHEAD: usize = 1536;
/// What is written at once where the kernel does not say what lies there (Linux before 6.2).
const UNKNOWN: usize = 16 * 1024;

/// Whoever has taken so many bytes reads: the buffers of the kernel, here and at a peer with the usual ones, take fewer.
const PROVEN: usize = 256 * 1024;
/// Most that is read at once for everybody else, in bytes. The allocator gives the memory of a larger piece to the next
/// connection's buffers, of which HTTP/2 has 16 KiB that it hardly touches: they would be there for nothing.
const UNPROVEN: usize = 24 * 1024;

/// What the kernel may keep of what it has not sent for a visitor who takes what comes, in bytes.
const MOST_UNSENT: u32 = 1024 * 1024;

/// What a socket takes without making anybody wait, in bytes, if it may keep so much `unsent`.
fn send_room(socket: RawFd, unsent: u32) -> usize {
    let (Ok(buffer), Ok(info)) = (ext::get_snd_buf(socket), ext::get_tcp_info(socket)) else { return UNKNOWN };
    let arrived = info.tcpi_bytes_acked.saturating_add(info.tcpi_bytes_retrans);
    let sent = usize::try_from(info.tcpi_bytes_sent.saturating_sub(arrived)).unwrap_or(usize::MAX);
    let lies = info.tcpi_notsent_bytes as usize;
    let room = room_behind(sent.saturating_add(lies), buffer, info.tcpi_snd_wnd as usize);
    room.min((unsent as usize).saturating_sub(lies))
}

/// The room behind what lies in a buffer of this size. The kernel's own part of it takes up room, too: no piece of its queue
/// carries more than half of the peer's window, so that a small one fills the buffer with little.
fn room_behind(lies: usize, buffer: usize, window: usize) -> usize {
    let carries = window / 2;
    let takes = (buffer - buffer / 8).saturating_mul(carries) / (carries + OVERHEAD);
    takes.saturating_sub(lies)
}

/// The visit of a request, from the digest of its session.
pub fn visit_of(digest: Option<&pingora_core::protocols::Digest>) -> Option<Arc<Visit>> {
    let proxy = digest?.proxy_digest.as_ref()?;
    proxy.user_data.as_ref()?.downcast_ref::<Arc<Visit>>().cloned()
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("h2", &self.h2).finish_non_exhaustive()
    }
}

impl AsyncRead for Connection {
    /// What the socket has not taken yet is sent on from here too: whoever waits for that has nothing to write.
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.tls).poll_read(cx, buf);
        if self.visit.backlog.is_stuck()
            && let Poll::Ready(Err(error)) = self.poll_flush(cx)
        {
            return Poll::Ready(Err(error));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let before = self.taken();
        let flushed = Pin::new(&mut self.tls).poll_flush(cx);
        match flushed {
            Poll::Pending if self.taken() != before => self.tls.write_moves(cx),
            Poll::Ready(Ok(())) if self.visit.backlog.is_stuck() => {
                self.visit.backlog.has_room(self.room());
            }
            _ => {}
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.closed = true;
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_stuck() {
            // The TLS library would take more and keep it, encrypted.
            ready!(self.as_mut().poll_flush(cx))?;
        }
        let wrote = ready!(Pin::new(&mut self.tls).poll_write_vectored(cx, bufs))?;
        self.look(wrote);
        Poll::Ready(Ok(wrote))
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for Connection {
    async fn shutdown(&mut self) {
        // The peer may be gone already; there is nobody left to tell.
        let _ = AsyncWriteExt::shutdown(&mut self.tls).await;
    }
}

impl Drop for Connection {
    /// Pingora drops connections without a word: idle ones, refused ones. A peer that misses close_notify cannot tell
    /// that from an attack (RFC 8446 section 6.1). What the socket does not take at once is not sent.
    fn drop(&mut self) {
        if let Some(refused) = self.tls.take_refused() {
            self.ledger.refused(&self.visit, &refused);
        }
        if !self.closed && !self.is_within_response() {
            let _ = Pin::new(self.tls.get_mut()).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl UniqueID for Connection {
    fn id(&self) -> UniqueIDType {
        self.tls.get_ref().get_ref().0.as_raw_fd()
    }
}

impl Ssl for Connection {
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.h2.then_some(ALPN::H2)
    }
}

impl GetTimingDigest for Connection {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Connection {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(self.digest.clone())
    }
}

impl GetSocketDigest for Connection {
    /// None: the addresses are in the [`Visit`], and Pingora would ask the kernel for them at every request.
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl Peek for Connection {}

#[cfg(test)]
mod tests {
    use super::*;

    const MEGABYTE: usize = 1 << 20;

    #[test]
    fn a_buffer_is_filled_by_the_kernels_own_part_of_it_too() {
        let buffer = 87_040;
        let room = room_behind(0, buffer, MEGABYTE);
        assert!((70_000..buffer).contains(&room), "{room}");
        assert_eq!(room_behind(room - 1000, buffer, MEGABYTE), 1000);
        assert_eq!(room_behind(usize::MAX, buffer, MEGABYTE), 0);
        // A window of 2 KiB is sent in pieces of 1 KiB.
        assert!(room_behind(0, buffer, 2048) < buffer / 2);
        assert_eq!(room_behind(0, buffer, 0), 0);
    }
}
