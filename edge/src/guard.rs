//! The stream under the HTTP libraries: what they never get to see, and how long they wait for it.
//!
//! On HTTP/1 every byte goes by the [`Framer`] first. One request at a time is passed on: bytes that come before the
//! exchange is over wait here, so that a body can never be taken for a request, whatever happens to the exchange. A
//! refused request gets its answer from here and the connection ends; none of it is passed on unless its head already
//! was. On HTTP/2 frames are counted, and trailers get a field. On both, heads and writes have deadlines.
//!
//! A request that arrives whole costs a walk along its bytes: no copy, no timer, no system call.

mod baton;
mod farewell;
mod pace;

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::header::ACCEPT;
use tokio::{
    io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

pub use self::baton::Baton;
use self::{
    farewell::Farewell,
    pace::{Late, Pace},
};
use crate::{
    http::{answer, partial::PartialHead},
    http1::{Framer, HeadLimits, Refusal},
    http2::Frames,
    metrics::Cuts,
};

/// How long a refused peer may take to read its answer.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);
/// What is kept of a head that does not arrive whole, for the case that it is refused: names, as a rule.
const KEPT: usize = 1024;

/// The bounds of a guarded connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardLimits {
    /// Sizes of a head on HTTP/1.
    pub head: HeadLimits,
    /// From the handshake, later from its first byte, to a whole head.
    pub head_timeout: Duration,
    /// Longest time without progress while something is sent.
    pub write_timeout: Duration,
    /// Frames on HTTP/2 that carry neither request nor data, in ten seconds.
    pub control_frames: usize,
}

/// Why a connection was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// More HTTP/2 frames than a visitor has use for.
    FrameFlood,
    /// Bytes that are no acceptable HTTP/1 request.
    Refused(Refusal),
    /// The peer did not take what was sent.
    WriteTimeout,
}

impl Cut {
    /// Every reason, for metrics that exist from the start.
    pub fn all() -> impl Iterator<Item = Self> {
        let refusals = Refusal::ALL.iter().copied().map(Self::Refused);
        [Self::FrameFlood, Self::WriteTimeout].into_iter().chain(refusals)
    }

    /// A stable word for metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::FrameFlood => "frame_flood",
            Self::Refused(refusal) => refusal.code(),
            Self::WriteTimeout => "write_timeout",
        }
    }
}

/// A guarded stream.
#[derive(Debug)]
pub struct Guard<S> {
    io: S,
    protocol: Protocol,
    limits: GuardTimes,
    pace: Pace,
    cuts: Cuts,
    /// Whether it was cut and is counted as that.
    is_cut: bool,
}

#[derive(Debug)]
struct GuardTimes {
    head: Duration,
    write: Duration,
}

#[derive(Debug)]
enum Protocol {
    Http1(Box<Http1>),
    Http2(Frames),
}

#[derive(Debug)]
struct Http1 {
    framer: Framer,
    baton: Arc<Baton>,
    ends: EndOfTurn,
    first: bool,
    /// What came before its baton, at most one read of the library above.
    held: Vec<u8>,
    /// The start of a head that has not arrived whole or was refused, at most [`KEPT`] bytes.
    seen: Vec<u8>,
    /// When that began to arrive.
    since: Option<Instant>,
    farewell: Option<Farewell>,
    refused: Option<RefusedHead>,
}

/// A head that was answered from here.
#[derive(Debug)]
pub struct RefusedHead {
    /// Why.
    pub refusal: Refusal,
    /// The start of it.
    pub seen: Vec<u8>,
    /// From its first byte to the refusal; zero when it came at once.
    pub took: Duration,
    /// Size of the answer's body, in bytes.
    pub body: usize,
}

/// How the end of an exchange is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndOfTurn {
    /// The proxy says so.
    Told,
    /// The answer has been flushed: for a server that writes each of its answers at once.
    Flushed { wrote: bool },
}

impl<S> Guard<S> {
    /// Guards an HTTP/1 connection whose proxy tells of the end of each exchange.
    pub fn http1(io: S, limits: &GuardLimits, baton: Arc<Baton>, cuts: Cuts) -> Self {
        Self::new(io, Protocol::http1(limits, baton, EndOfTurn::Told), limits, cuts)
    }

    /// Guards an HTTP/1 connection of a server whose answers leave with one flush each.
    pub fn small_http1(io: S, limits: &GuardLimits, cuts: Cuts) -> Self {
        Self::new(io, Protocol::http1(limits, Arc::default(), EndOfTurn::Flushed { wrote: false }), limits, cuts)
    }

    /// Guards an HTTP/2 connection.
    pub fn http2(io: S, limits: &GuardLimits, cuts: Cuts) -> Self {
        Self::new(io, Protocol::Http2(Frames::new(limits.control_frames)), limits, cuts)
    }

    fn new(io: S, protocol: Protocol, limits: &GuardLimits, cuts: Cuts) -> Self {
        let limits = GuardTimes { head: limits.head_timeout, write: limits.write_timeout };
        Self { io, protocol, limits, pace: Pace::default(), cuts, is_cut: false }
    }

    /// The stream below.
    pub fn get_ref(&self) -> &S {
        &self.io
    }

    /// The head that was refused, once.
    pub fn take_refused(&mut self) -> Option<RefusedHead> {
        match &mut self.protocol {
            Protocol::Http1(http1) => http1.refused.take(),
            Protocol::Http2(_) => None,
        }
    }

    /// Counts the connection, once: whoever finds it broken may try again.
    fn cut(&mut self, cut: Cut) {
        if !std::mem::replace(&mut self.is_cut, true) {
            self.cuts.count(cut);
        }
    }

    /// The stream below, for its end.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.io
    }

    /// A part of what is sent was taken: the time for the rest begins anew.
    pub fn write_moves(&mut self, cx: &mut Context<'_>) {
        self.pace.write_done();
        self.pace.expect_write(self.limits.write);
        // It has just been set.
        let _ = self.pace.poll_late(cx);
    }
}

impl Protocol {
    fn http1(limits: &GuardLimits, baton: Arc<Baton>, ends: EndOfTurn) -> Self {
        let framer = Framer::new(limits.head);
        Self::Http1(Box::new(Http1 {
            framer,
            baton,
            ends,
            first: true,
            held: Vec::new(),
            seen: Vec::new(),
            since: None,
            farewell: None,
            refused: None,
        }))
    }

    fn owes_head(&self) -> bool {
        match self {
            Self::Http1(http1) => http1.first && http1.framer.is_between() || http1.framer.is_in_head(),
            Self::Http2(frames) => frames.owes_head(),
        }
    }
}

/// What became of bytes that came in.
enum Passed {
    /// As many of them as the buffer holds now.
    On,
    /// They wait for their baton.
    Held,
    Refused(Refusal),
}

impl Http1 {
    /// Looks at what stands in `buf` after `before`, and leaves in it what may be passed on.
    fn pass(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> Passed {
        if self.baton.is_tunnel() && self.framer.is_between() && self.framer.asks_for_websocket() {
            return Passed::On;
        }
        let came = buf.filled().get(before..).unwrap_or_default();
        let fresh = self.framer.is_between();
        if fresh && self.baton.is_edges() {
            self.held.extend_from_slice(came);
            buf.set_filled(before);
            return Passed::Held;
        }
        let had_head = self.framer.is_in_body();
        let step = match self.framer.advance(came) {
            Ok(step) => step,
            Err(refusal) => {
                match had_head {
                    true => self.baton.refuse(refusal),
                    false => keep(&mut self.seen, came),
                }
                buf.set_filled(before);
                return Passed::Refused(refusal);
            }
        };
        if !had_head && (step.ended || self.framer.is_in_body()) {
            self.first = false;
            self.baton.asked();
            if self.since.take().is_some() {
                self.seen = Vec::new();
            }
        } else if !had_head {
            self.since.get_or_insert_with(Instant::now);
            keep(&mut self.seen, came);
        }
        if step.ended && step.taken < came.len() {
            self.held.extend_from_slice(came.get(step.taken..).unwrap_or_default());
            buf.set_filled(before + step.taken);
        }
        Passed::On
    }

    /// Answers a head that is refused, in the form that its readable part asks for.
    fn refuse(&mut self, refusal: Refusal) {
        let accept = PartialHead::read(&self.seen).fields.remove(ACCEPT);
        let answer = answer::answer(refusal.fault(), accept.as_ref());
        let (seen, took) = (std::mem::take(&mut self.seen), self.since.map_or(Duration::ZERO, |since| since.elapsed()));
        self.refused = Some(RefusedHead { refusal, seen, took, body: answer.body.len() });
        self.farewell = Some(Farewell::new(answer.last_on_http1()));
    }

    /// Whether bytes wait here and it is not their baton.
    fn has_to_wait(&self) -> bool {
        !self.held.is_empty() && self.framer.is_between() && self.baton.is_edges()
    }

    /// For a small server: a flush ends what was written before it.
    fn flushed(&mut self) {
        if self.ends == (EndOfTurn::Flushed { wrote: true }) {
            self.ends = EndOfTurn::Flushed { wrote: false };
            self.baton.answered();
        }
    }

    fn wrote(&mut self) {
        if let EndOfTurn::Flushed { wrote } = &mut self.ends {
            *wrote = true;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    fn read_http1(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Protocol::Http1(http1) = &mut self.protocol else { return Poll::Pending };
        if http1.farewell.is_some() {
            return self.poll_farewell(cx);
        }
        if http1.baton.is_over() {
            return Poll::Ready(Ok(()));
        }
        if let Some(refusal) = http1.baton.refused() {
            return Poll::Ready(Err(refused(refusal)));
        }
        loop {
            if http1.has_to_wait() {
                http1.baton.wait(cx.waker());
                // Looked at again: the turn may have changed before the waker was there.
                if http1.has_to_wait() {
                    return self.send_meanwhile(cx);
                }
            }
            let before = buf.filled().len();
            if http1.held.is_empty() {
                ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
                if buf.filled().len() == before {
                    return Poll::Ready(Ok(()));
                }
            } else {
                hand_out(&mut http1.held, buf);
            }
            match http1.pass(buf, before) {
                Passed::On => {
                    if !http1.framer.is_in_head() {
                        self.pace.head_done();
                    }
                    return Poll::Ready(Ok(()));
                }
                Passed::Held => {}
                Passed::Refused(refusal) => return self.refuse(refusal, cx),
            }
        }
    }

    /// What was gathered to be sent is sent when reading finds nothing; here nothing was read.
    fn send_meanwhile(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.io).poll_flush(cx)? {
            Poll::Ready(()) => self.pace.write_done(),
            Poll::Pending => self.pace.expect_write(self.limits.write),
        }
        Poll::Pending
    }

    /// Ends the connection: with an answer from here when no part of the request was passed on as a whole head,
    /// otherwise with an error that the proxy answers.
    fn refuse(&mut self, refusal: Refusal, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cut(Cut::Refused(refusal));
        let Protocol::Http1(http1) = &mut self.protocol else { return Poll::Pending };
        if http1.baton.refused().is_some() {
            return Poll::Ready(Err(refused(refusal)));
        }
        http1.refuse(refusal);
        self.pace.head_done();
        self.poll_farewell(cx)
    }

    /// After the farewell the stream is at its end.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Protocol::Http1(http1) = &mut self.protocol else { return Poll::Pending };
        let Some(farewell) = &mut http1.farewell else { return Poll::Ready(Ok(())) };
        if farewell.poll(&mut self.io, cx).is_pending() {
            self.pace.expect_head(FAREWELL_TIMEOUT);
            ready!(self.pace.poll_late(cx));
        }
        Poll::Ready(Ok(()))
    }

    fn read_http2(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Protocol::Http2(frames) = &mut self.protocol else { return Poll::Pending };
        loop {
            if !frames.altered().is_empty() || buf.remaining() == 0 {
                hand_out(frames.altered(), buf);
                return Poll::Ready(Ok(()));
            }
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
            let came = buf.filled().get(before..).unwrap_or_default();
            if came.is_empty() {
                frames.end();
                hand_out(frames.altered(), buf);
                return Poll::Ready(Ok(()));
            }
            let Ok(same) = frames.advance(came) else {
                self.cut(Cut::FrameFlood);
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "too many frames")));
            };
            if !frames.owes_head() {
                self.pace.head_done();
            }
            buf.set_filled(before + same);
            if same > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Reading finds nothing: the deadlines that stand are watched.
    fn wait_to_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.protocol.owes_head() {
            self.pace.expect_head(self.limits.head);
        }
        match ready!(self.pace.poll_late(cx)) {
            Late::Head => self.late_head(cx),
            Late::Write => Poll::Ready(Err(self.write_timed_out())),
        }
    }

    /// A silent peer gets silence, one that sent a part of a head gets an answer.
    fn late_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.protocol {
            Protocol::Http1(http1) if http1.framer.is_in_head() => self.refuse(Refusal::HeadTimeout, cx),
            _ => Poll::Ready(Err(self.head_timed_out())),
        }
    }

    fn head_timed_out(&mut self) -> io::Error {
        self.cut(Cut::Refused(Refusal::HeadTimeout));
        io::ErrorKind::TimedOut.into()
    }

    fn write_timed_out(&mut self) -> io::Error {
        self.cut(Cut::WriteTimeout);
        io::ErrorKind::TimedOut.into()
    }

    /// Watches a write: it may wait as long as the limit says, unless it is one after a farewell.
    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(result) => {
                self.pace.write_done();
                Poll::Ready(result)
            }
            Poll::Pending => {
                self.pace.expect_write(self.limits.write);
                match ready!(self.pace.poll_late(cx)) {
                    Late::Write => Poll::Ready(Err(self.write_timed_out())),
                    Late::Head => Poll::Ready(Err(self.head_timed_out())),
                }
            }
        }
    }

    fn has_said_farewell(&self) -> bool {
        matches!(&self.protocol, Protocol::Http1(http1) if http1.farewell.is_some())
    }

    /// Nothing more may be written: the last word has been said, or the tunnel was ended.
    fn is_done(&self) -> bool {
        matches!(&self.protocol, Protocol::Http1(http1) if http1.farewell.is_some() || http1.baton.is_over())
    }

    fn wrote(&mut self, bytes: usize) {
        match &mut self.protocol {
            Protocol::Http1(http1) => http1.wrote(),
            Protocol::Http2(frames) => frames.sent(bytes),
        }
    }
}

impl<S: AsyncBufRead + AsyncWrite + Unpin> Guard<S> {
    /// Ready when a request begins to arrive, with false when none will; it is left to be read.
    pub fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if matches!(&self.protocol, Protocol::Http1(http1) if !http1.held.is_empty()) {
            return Poll::Ready(Ok(true));
        }
        match Pin::new(&mut self.io).poll_fill_buf(cx) {
            Poll::Ready(bytes) => Poll::Ready(bytes.map(|bytes| !bytes.is_empty())),
            Poll::Pending => self.wait_to_read(cx).map_ok(|()| false),
        }
    }
}

/// Moves what waited into `buf`.
fn hand_out(waited: &mut Vec<u8>, buf: &mut ReadBuf<'_>) {
    let taken = waited.len().min(buf.remaining());
    buf.put_slice(waited.get(..taken).unwrap_or_default());
    match taken == waited.len() {
        true => *waited = Vec::new(),
        false => drop(waited.drain(..taken)),
    }
}

/// Keeps the start of a head.
fn keep(seen: &mut Vec<u8>, came: &[u8]) {
    seen.extend_from_slice(came.get(..KEPT - seen.len().min(KEPT)).unwrap_or(came));
}

fn refused(refusal: Refusal) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, refusal.code())
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let read = match this.protocol {
            Protocol::Http1(_) => this.read_http1(cx, buf),
            Protocol::Http2(_) => this.read_http2(cx, buf),
        };
        match read {
            Poll::Pending if !this.has_said_farewell() => this.wait_to_read(cx),
            read => read,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_done() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(bytes)) = written {
            self.wrote(bytes);
        }
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_said_farewell() {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        if let (Poll::Ready(Ok(())), Protocol::Http1(http1)) = (&flushed, &mut self.protocol) {
            http1.flushed();
        }
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.io).poll_shutdown(cx);
        self.watch(cx, shut)
    }
}

#[cfg(test)]
mod tests;
