//! [`Intake`]: an answer is read from its origin as far as its visitor has room for it.
//!
//! An HTTP/1 visitor has one answer at a time, of which nothing is read while the socket has not taken all that was. An
//! HTTP/2 visitor may have a hundred that it takes nothing of, and each of them is to keep next to nothing meanwhile. So
//! nothing is read while much waits for the connection's socket ([`Backlog`]), nothing that the stream's window has no room
//! for, and over TLS, where it is a whole record or nothing, only with room for all of it or on one of the connection's
//! seats ([`super::Seats`]).

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::Method;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    backlog::Backlog,
    seats::{Part, Seat},
    toll::Toll,
    upstream::Upstream,
    visitor::H2Out,
};
use crate::{connection::Visit, origin::RECORD};

/// Room that is enough for a record, but for a remainder that is nothing to speak of: four records less one byte are the
/// window that HTTP/2 begins with.
const ROOM: usize = RECORD - 1024;

/// How one answer is read.
pub(super) struct Intake {
    visit: Arc<Visit>,
    /// Held while something was read that the visitor has not taken, or a part of a record.
    seat: Option<Seat>,
    toll: Toll,
}

impl Intake {
    pub(super) fn new(visit: Arc<Visit>, toll: Toll) -> Self {
        Self { visit, seat: None, toll }
    }

    /// Whether a piece was read that waits here.
    pub(super) fn holds(&self) -> bool {
        self.toll.holds()
    }

    fn backlog(&self) -> &Backlog {
        &self.visit.backlog
    }

    /// Whether reading on would make this exchange hold a record.
    fn needs_seat(&self, origin: &Upstream) -> bool {
        self.seat.is_none() && self.visit.is_h2() && origin.has_records() && !origin.holds()
    }

    /// The next head, interim ones too; until `deadline` the origin may be silent. Can be given up and begun again.
    ///
    /// # Errors
    /// The origin is the source, or the visitor if it has no room for what the origin answered.
    pub(super) async fn head(
        &mut self,
        origin: &mut Upstream,
        method: &Method,
        deadline: Option<Instant>,
    ) -> Result<Box<ResponseHeader>> {
        loop {
            if self.needs_seat(origin) {
                origin.settle();
                until(deadline, poll_fn(|cx| origin.poll_ready(cx))).await?;
                self.sit_down(Part::Head).await?;
            }
            let read = poll_fn(|cx| match origin.poll_head(cx, method) {
                Poll::Pending if !origin.has_begun() && self.leaves(origin) => Poll::Ready(Ok(None)),
                head => head.map_ok(Some),
            });
            if let Some(head) = until(deadline, read).await? {
                self.leaves(origin);
                return Ok(head);
            }
        }
    }

    /// The next piece of the body, none at its end. The origin's silence counts while it is listened to. Can be given up
    /// and begun again.
    ///
    /// # Errors
    /// The origin is the source, or the visitor: it left or took nothing for too long.
    pub(super) async fn piece(
        &mut self,
        origin: &mut Upstream,
        mut out: Option<&mut H2Out>,
        silence: Duration,
    ) -> Result<Option<Bytes>> {
        if !self.toll.holds() {
            let Some(piece) = self.read(origin, out.as_deref_mut(), silence).await? else { return Ok(None) };
            let length = piece.len();
            if let Some(piece) = self.toll.charge(piece) {
                return Ok(Some(piece));
            }
            if let Some(out) = out.as_deref_mut() {
                out.keep_room(length);
            }
        }
        let turn = poll_fn(|cx| self.toll.poll_turn(cx));
        match out {
            Some(out) => out.unless_gone(turn).await.map(Some),
            None => Ok(Some(turn.await)),
        }
    }

    async fn read(
        &mut self,
        origin: &mut Upstream,
        out: Option<&mut H2Out>,
        silence: Duration,
    ) -> Result<Option<Bytes>> {
        let Some(out) = out else {
            if self.backlog().is_full() {
                origin.settle();
                poll_fn(|cx| self.backlog().poll_room(cx)).await;
            }
            loop {
                let most = self.toll.piece(self.backlog().piece());
                match timeout(silence, poll_fn(|cx| origin.poll_body(cx, most))).await {
                    Ok(piece) => return piece,
                    Err(_) => self.is_silent()?,
                }
            }
        };
        loop {
            self.wait_for_room(origin, out, silence).await?;
            match timeout(silence, poll_fn(|cx| self.poll_piece(cx, origin, out))).await.map(|read| read.transpose()) {
                Ok(Some(piece)) => return piece,
                Ok(None) => {}
                Err(_) => self.is_silent()?,
            }
        }
    }

    /// The origin has been silent for too long, unless what it waits for is held back here.
    fn is_silent(&self) -> Result<()> {
        match self.toll.excuses_silence() {
            true => Ok(()),
            false => Err(Error::new_up(ErrorType::ReadTimedout)),
        }
    }

    /// Waits until the stream, its connection and, over TLS, a seat have room for what is read next.
    async fn wait_for_room(&mut self, origin: &mut Upstream, out: &mut H2Out, silence: Duration) -> Result<()> {
        loop {
            let room = out.take_room();
            if room == 0 {
                origin.settle();
                out.wait_for_room().await?;
            } else if self.backlog().is_full() {
                origin.settle();
                out.give_room_back();
                out.unless_gone(poll_fn(|cx| self.backlog().poll_room(cx))).await?;
            } else if room < ROOM && self.needs_seat(origin) {
                origin.settle();
                out.give_room_back();
                let ready = out.unless_gone(poll_fn(|cx| origin.poll_ready(cx)));
                timeout(silence, ready).await.map_err(|_| Error::new_up(ErrorType::ReadTimedout))???;
                out.unless_gone(self.sit_down(Part::Body)).await??;
            } else {
                return Ok(());
            }
        }
    }

    /// The next piece; none when there is no room any more, and everything begins again.
    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        origin: &mut Upstream,
        out: &mut H2Out,
    ) -> Poll<Result<Option<Option<Bytes>>>> {
        if let Poll::Ready(gone) = out.poll_gone(cx) {
            return Poll::Ready(Err(gone));
        }
        // Looked at whenever the origin is about to be read: what was room for all may have been taken.
        let room = out.take_room();
        if room == 0 || self.backlog().is_full() || room < ROOM && self.needs_seat(origin) {
            return Poll::Ready(Ok(None));
        }
        match origin.poll_body(cx, room.min(self.toll.piece(self.backlog().piece()))) {
            Poll::Pending => {
                out.give_room_back();
                match !origin.has_begun() && self.leaves(origin) {
                    true => Poll::Ready(Ok(None)),
                    false => Poll::Pending,
                }
            }
            Poll::Ready(piece) => {
                self.leaves(origin);
                Poll::Ready(piece.map(Some))
            }
        }
    }

    /// Waits for a seat, as long as the visitor takes something of what others wait for, or would if it were given it.
    async fn sit_down(&mut self, part: Part) -> Result<()> {
        let (visit, limit) = (&self.visit, self.visit.policy.limits.write_timeout);
        // Boxed: it is rare to wait, and every request's future would have room for it.
        let mut seat = Box::pin(async {
            poll_fn(|cx| visit.backlog.poll_room(cx)).await;
            visit.seats.take(part, &visit.shares).await
        });
        loop {
            let taken = visit.backlog.taken();
            match timeout(limit, &mut seat).await {
                Ok(seat) => {
                    self.seat = seat;
                    return Ok(());
                }
                Err(_) if visit.backlog.taken() != taken || visit.backlog.is_held_back() => {}
                Err(_) => {
                    return Error::e_explain(ErrorType::WriteTimedout, "answers are not taken")
                        .map_err(Error::into_down);
                }
            }
        }
    }

    /// Frees the seat of an exchange that holds nothing; whether it had one.
    fn leaves(&mut self, origin: &Upstream) -> bool {
        !origin.holds() && self.seat.take().is_some()
    }
}

/// The origin may be silent until then.
async fn until<T>(deadline: Option<Instant>, answer: impl Future<Output = Result<T>>) -> Result<T> {
    match deadline {
        None => answer.await,
        Some(deadline) => {
            let answer = timeout_at(deadline, pin!(answer)).await;
            answer.map_err(|_| Error::new_up(ErrorType::ReadTimedout))?
        }
    }
}
