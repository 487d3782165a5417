//! [`Visitor`]: the visitor's side of one exchange, over HTTP/1 or a stream of HTTP/2.
//!
//! What can be read of it and what can be written are two halves here, so that an answer goes on while a request's body
//! still comes. Over HTTP/2 a visitor says how much it takes; [`Out::room`] tells, and nobody reads from an origin what
//! there is no room for.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;
use pingora_core::{Error, ErrorType, OrErr as _, Result, protocols::http::ServerSession};
use pingora_http::ResponseHeader;
use tokio::time::{Instant, timeout_at};

use super::{backlog::Backlog, toll::Toll};
use crate::connection::Visit;

/// Most of an answer's body that is read at once for a stream of HTTP/2: two frames (RFC 9113 section 4.2).
const H2_PIECE: usize = 32 * 1024;

/// What comes from the visitor.
pub(super) struct In<'s> {
    session: &'s mut ServerSession,
    /// When its silence within a body is too long; of HTTP/2 only, Pingora watches HTTP/1.
    deadline: Option<Instant>,
    silence: Duration,
    done: bool,
    toll: Toll,
}

/// What goes to the visitor over a stream of HTTP/2, from the answer's head on.
pub(super) struct H2Out {
    stream: SendStream<Bytes>,
    /// When the visitor has taken nothing for too long.
    deadline: Option<Instant>,
    limit: Duration,
    sent: usize,
    ended: bool,
    backlog: Arc<Backlog>,
}

impl<'s> In<'s> {
    /// The body of the request, whose pieces may be `silence` apart.
    pub(super) fn new(session: &'s mut ServerSession, silence: Duration, toll: Toll) -> Self {
        let done = session.is_body_done();
        let deadline = (session.is_http2() && !done).then(|| Instant::now() + silence);
        Self { session, deadline, silence, done, toll }
    }

    pub(super) fn session(&mut self) -> &mut ServerSession {
        self.session
    }

    /// Whether the body has come whole, and none of it waits here.
    pub(super) fn is_done(&self) -> bool {
        self.done && !self.toll.holds()
    }

    /// The connection has become a tunnel: there is a new body, without end.
    pub(super) fn becomes_tunnel(&mut self) {
        self.done = false;
    }

    /// Nothing more of the body is wanted.
    pub(super) fn give_up(&mut self) {
        (self.done, self.deadline) = (true, None);
        self.toll.give_up();
    }

    /// The next piece of the body, none at its end. Can be given up and begun again.
    ///
    /// # Errors
    /// The visitor is gone, silent for too long, or its body is broken.
    pub(super) async fn body(&mut self) -> Result<Option<Bytes>> {
        if !self.toll.holds() {
            let Some(piece) = self.read().await? else { return Ok(None) };
            if let Some(piece) = self.toll.charge(piece) {
                return Ok(Some(piece));
            }
        }
        let piece = poll_fn(|cx| self.toll.poll_turn(cx)).await;
        // Nobody listened to the visitor meanwhile.
        self.deadline = self.deadline.map(|_| Instant::now() + self.silence);
        Ok(Some(piece))
    }

    async fn read(&mut self) -> Result<Option<Bytes>> {
        let piece = loop {
            let Some(deadline) = self.deadline else {
                break self.session.read_request_body().await.map_err(|error| error.into_down())?;
            };
            match timeout_at(deadline, self.session.read_request_body()).await {
                Ok(piece) => break piece?,
                Err(_) if self.toll.excuses_silence() => self.deadline = Some(Instant::now() + self.silence),
                Err(_) => {
                    return Error::e_explain(ErrorType::ReadTimedout, "a body stopped coming")
                        .map_err(Error::into_down);
                }
            }
        };
        if self.deadline.is_some() {
            self.deadline = Some(Instant::now() + self.silence);
        }
        if piece.is_none() || self.session.is_body_done() {
            (self.done, self.deadline) = (true, None);
        }
        Ok(piece)
    }

    /// Waits until the visitor goes, once its body has come whole.
    pub(super) async fn gone(&mut self) -> Box<Error> {
        match self.session.read_body_or_idle(true).await {
            Ok(_) => Error::new(ErrorType::ConnectionClosed),
            // A stream that is taken back is no fault of anybody's.
            Err(error) if self.session.is_http2() => Error::because(ErrorType::ConnectionClosed, "reset", error),
            Err(error) => error,
        }
        .into_down()
    }
}

/// Writes a head; for a stream of HTTP/2 whose body is to come, the half that takes it.
///
/// # Errors
/// The visitor is gone.
pub(super) async fn write_head(
    session: &mut ServerSession,
    head: Box<ResponseHeader>,
    end: bool,
    visit: &Visit,
) -> Result<Option<H2Out>> {
    let interim = head.status.is_informational();
    match session {
        ServerSession::H2(stream) => {
            stream.write_response_header(head, end).map_err(|error| error.into_down())?;
            let taken = if end || interim { None } else { stream.take_response_body_writer() };
            let (limit, backlog) = (visit.policy.limits.write_timeout, visit.backlog.clone());
            Ok(taken.map(|stream| H2Out { stream, deadline: None, limit, sent: 0, ended: false, backlog }))
        }
        session => {
            session.write_response_header(head).await.map_err(|error| error.into_down())?;
            Ok(None)
        }
    }
}

impl H2Out {
    /// How much the visitor takes at once; it is kept for this stream until it is used or given back.
    pub(super) fn take_room(&mut self) -> usize {
        self.stream.reserve_capacity(H2_PIECE);
        let room = self.stream.capacity().min(H2_PIECE);
        if room > 0 {
            self.deadline = None;
        }
        room
    }

    /// Leaves the connection's window to other streams while nothing comes for this one.
    pub(super) fn give_room_back(&mut self) {
        self.stream.reserve_capacity(1);
    }

    /// Keeps room for a piece that waits to be sent, and leaves the rest to other streams.
    pub(super) fn keep_room(&mut self, piece: usize) {
        self.stream.reserve_capacity(piece);
    }

    /// Waits until the visitor takes more than nothing. Can be given up and begun again.
    ///
    /// # Errors
    /// The stream was reset, or the visitor has taken nothing for too long.
    pub(super) async fn wait_for_room(&mut self) -> Result<()> {
        let limit = self.limit;
        loop {
            let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + limit);
            match timeout_at(deadline, poll_fn(|cx| self.poll_room(cx))).await {
                Ok(room) => return room.map_err(Error::into_down),
                // Streams that are held back have a part of the connection's window.
                Err(_) if self.backlog.is_held_back() => self.deadline = None,
                Err(_) => {
                    return Error::e_explain(ErrorType::WriteTimedout, "an answer is not taken")
                        .map_err(Error::into_down);
                }
            }
        }
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            return Poll::Ready(match ready!(self.stream.poll_capacity(cx)) {
                // The library may wake for nothing.
                Some(Ok(0)) => continue,
                Some(Ok(_)) => Ok(()),
                Some(Err(error)) => Err(Error::because(ErrorType::ConnectionClosed, "reset", error)),
                None => Err(Error::new(ErrorType::ConnectionClosed)),
            });
        }
    }

    /// Ready when the visitor has reset the stream.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Box<Error>> {
        let gone = ready!(self.stream.poll_reset(cx)).or_err(ErrorType::ConnectionClosed, "reset");
        Poll::Ready(gone.err().unwrap_or_else(|| Error::new(ErrorType::ConnectionClosed)).into_down())
    }

    /// Waits for something, and no longer than the visitor does.
    ///
    /// # Errors
    /// The visitor has reset the stream.
    pub(super) async fn unless_gone<T>(&mut self, event: impl Future<Output = T>) -> Result<T> {
        let mut event = pin!(event);
        poll_fn(|cx| match self.poll_gone(cx) {
            Poll::Ready(gone) => Poll::Ready(Err(gone)),
            Poll::Pending => event.as_mut().poll(cx).map(Ok),
        })
        .await
    }

    /// Sends a piece that there is room for.
    ///
    /// # Errors
    /// The stream was reset.
    pub(super) fn send(&mut self, piece: Bytes, end: bool) -> Result<()> {
        self.sent += piece.len();
        self.ended = end;
        let piece = if piece.is_empty() { piece } else { self.backlog.count(piece) };
        let sent = self.stream.send_data(piece, end);
        sent.or_err(ErrorType::WriteError, "sending an answer").map_err(|error| error.into_down())
    }

    /// Ends an answer whose last piece did not say that it was the last.
    ///
    /// # Errors
    /// The stream was reset.
    pub(super) fn end(&mut self) -> Result<()> {
        match self.ended {
            true => Ok(()),
            false => self.send(Bytes::new(), true),
        }
    }

    /// Ends the answer with trailers.
    ///
    /// # Errors
    /// The stream was reset.
    pub(super) fn send_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.ended = true;
        let sent = self.stream.send_trailers(trailers);
        sent.or_err(ErrorType::WriteError, "sending trailers").map_err(|error| error.into_down())
    }

    /// Tells the visitor that the answer broke off.
    pub(super) fn reset(&mut self) {
        self.stream.send_reset(Reason::INTERNAL_ERROR);
    }

    /// Bytes of the body that were sent.
    pub(super) fn sent(&self) -> usize {
        self.sent
    }
}
