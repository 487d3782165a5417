//! [`Wire`]: one HTTP/1.1 connection to an origin (RFC 9112), one exchange after the other.
//!
//! Every read can be given up and begun again: what came is kept here, what was not asked for is not read. A caller says
//! how much of a body it has room for; over TLS a record comes as a whole all the same, and [`Wire::holds`] tells what is
//! left of it. What an origin sends against the grammar ends the exchange and the connection.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;
use pingora_http::ResponseHeader;
use tokio::{
    io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf},
    time::timeout,
};

use super::{
    Place,
    answer::{self, Answer},
    body::{Framing, Piece},
    places::Places,
    socket::Socket,
};

/// Room for what comes while a head is awaited; most answers come whole.
const HEAD_ROOM: usize = 2 * 1024;
/// How long an origin may take to be told of the end.
const FAREWELL: Duration = Duration::from_secs(1);
/// Most bytes of a body that are read at once.
const MOST: usize = 64 * 1024;
/// What is copied rather than kept where it came.
const SMALL: usize = 1024;
/// Most content of one record (RFC 8446 section 5.1).
pub(crate) const RECORD: usize = 16 * 1024;

/// Why an exchange with an origin failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The connection broke, or ended too early.
    #[error("the connection to the origin broke: {0}")]
    Io(#[from] io::Error),
    /// What came is not HTTP/1.1.
    #[error("the origin's answer is not HTTP: {0}")]
    Grammar(&'static str),
}

/// How the body of a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sending {
    /// As it is: there is none, its length was announced, or the connection is a tunnel.
    Plain,
    /// In chunks (RFC 9112 section 7.1).
    Chunked,
}

/// One connection to an origin.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: Socket,
    place: Arc<Place>,
    /// What came and was not handed out yet.
    came: BytesMut,
    framing: Framing,
    /// What the last answer says about the connection's future.
    keeps: bool,
    reused: bool,
}

impl Wire {
    pub(super) fn new(socket: Socket, place: Arc<Place>) -> Self {
        Self { socket, place, came: BytesMut::new(), framing: Framing::Done, keeps: true, reused: false }
    }

    /// Where it goes.
    pub(crate) fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// Whether an earlier request used it.
    pub(crate) fn is_reused(&self) -> bool {
        self.reused
    }

    /// Sends bytes as they are: a head, or what goes through a tunnel.
    ///
    /// # Errors
    /// [`WireError::Io`].
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.socket.write_all(bytes).await?;
        Ok(self.socket.flush().await?)
    }

    /// Sends a piece of a request's body; an empty one is nothing.
    ///
    /// # Errors
    /// [`WireError::Io`].
    pub(crate) async fn send_body(&mut self, piece: &[u8], sending: Sending) -> Result<(), WireError> {
        match sending {
            Sending::Plain => self.send(piece).await,
            Sending::Chunked if piece.is_empty() => Ok(()),
            Sending::Chunked => {
                let size = format!("{:x}\r\n", piece.len());
                self.send_all([size.as_bytes(), piece, b"\r\n"]).await
            }
        }
    }

    /// Ends a request's body.
    ///
    /// # Errors
    /// [`WireError::Io`].
    pub(crate) async fn end_body(&mut self, sending: Sending) -> Result<(), WireError> {
        match sending {
            Sending::Plain => Ok(()),
            Sending::Chunked => self.send(b"0\r\n\r\n").await,
        }
    }

    async fn send_all(&mut self, parts: [&[u8]; 3]) -> Result<(), WireError> {
        let mut slices = parts.map(IoSlice::new);
        let mut left = &mut slices[..];
        while !left.is_empty() {
            match self.socket.write_vectored(left).await? {
                0 => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                sent => IoSlice::advance_slices(&mut left, sent),
            }
        }
        Ok(self.socket.flush().await?)
    }

    /// Reads the next head, interim ones too. `bodiless` says that the request's method lets no answer have a body.
    /// Can be given up and begun again.
    ///
    /// # Errors
    /// [`WireError`]: the connection is of no use any more.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        bodiless: bool,
    ) -> Poll<Result<Box<ResponseHeader>, WireError>> {
        loop {
            if let Some(answer) = answer::parse(&self.came)? {
                let Answer { head, length, framing, keeps } = answer;
                self.came.advance(length);
                let interim = head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS;
                let empty = bodiless || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
                self.framing = match (interim || empty, head.status) {
                    (true, _) => Framing::Done,
                    (false, StatusCode::SWITCHING_PROTOCOLS) => Framing::UntilClose,
                    (false, _) => framing,
                };
                self.framing.settle(&mut self.came)?;
                self.keeps = keeps && self.framing != Framing::UntilClose;
                return Poll::Ready(Ok(head));
            }
            if ready!(self.poll_more(cx, HEAD_ROOM))? == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()));
            }
        }
    }

    /// Whether the answer's body has been handed out whole.
    pub(crate) fn is_done(&self) -> bool {
        self.framing == Framing::Done
    }

    /// Reads the next piece of the answer's body, at most `most` bytes; none at its end. Can be given up and begun again.
    ///
    /// # Errors
    /// [`WireError`]: the body broke off, the connection is of no use any more.
    pub(crate) fn poll_body(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Option<Bytes>, WireError>> {
        let most = most.clamp(1, MOST);
        loop {
            match self.framing.take(&mut self.came, most)? {
                Piece::Data(bytes) => {
                    self.framing.settle(&mut self.came)?;
                    return Poll::Ready(Ok(Some(bytes)));
                }
                Piece::End => return Poll::Ready(Ok(None)),
                Piece::More(wanted) => {
                    if ready!(self.poll_more(cx, wanted.min(most)))? > 0 {
                        continue;
                    }
                    return Poll::Ready(match std::mem::replace(&mut self.framing, Framing::Done) {
                        Framing::UntilClose => Ok(None),
                        _ => {
                            self.keeps = false;
                            Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
                        }
                    });
                }
            }
        }
    }

    /// Reads behind what is there: at most `room` bytes, over TLS the record that comes next.
    fn poll_more(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        let read = self.socket.poll_append(cx, &mut self.came, room);
        if read.is_pending() && self.came.is_empty() {
            // Whoever waits keeps no memory for what may come.
            self.came = BytesMut::new();
        }
        read
    }

    /// Ready when there is something to be read from it.
    ///
    /// # Errors
    /// [`WireError::Io`].
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        match self.holds() {
            true => Poll::Ready(Ok(())),
            false => self.socket.poll_ready(cx).map_err(WireError::Io),
        }
    }

    /// Whether something was read that nobody has taken yet.
    pub(crate) fn holds(&self) -> bool {
        !self.came.is_empty()
    }

    /// Whether it can only be read a whole record at a time, of [`RECORD`] bytes at most.
    pub(crate) fn has_records(&self) -> bool {
        self.socket.has_records()
    }

    /// Whether a part of a record was read that is of no use before it is whole.
    pub(crate) fn has_begun(&self) -> bool {
        self.socket.has_begun()
    }

    /// Gives back what is not needed while its visitor takes nothing.
    pub(crate) fn settle(&mut self) {
        // A small rest would keep the room of all that came with it.
        if self.came.len() <= SMALL {
            self.came = BytesMut::from(&*self.came);
        }
        self.socket.settle();
    }

    /// Ends the connection in order: over TLS the origin is told that nothing was cut off (RFC 8446 section 6.1).
    pub(crate) async fn close(&mut self) {
        // The origin may be gone already; there is nobody left to tell.
        let _ = timeout(FAREWELL, self.socket.shutdown()).await;
    }

    /// Whether it may carry another exchange: the answer ended where it said, and the origin keeps the connection.
    pub(super) fn may_go_on(&self) -> bool {
        self.keeps && self.is_done() && self.came.is_empty()
    }

    /// Whether the origin is still there and silent, as it has to be between exchanges.
    pub(super) fn is_idle(&mut self) -> bool {
        let mut byte = [0; 1];
        let read =
            Pin::new(&mut self.socket).poll_read(&mut Context::from_waker(Waker::noop()), &mut ReadBuf::new(&mut byte));
        // A record that has begun would be taken for a part of the next answer.
        read.is_pending() && !self.has_begun()
    }

    /// Makes it ready to wait for its next exchange: it keeps no memory that it does not need.
    pub(super) fn rest(&mut self) {
        self.came = BytesMut::new();
        self.reused = true;
    }

    /// The next exchange is one of the visitor with these places.
    pub(super) fn serving(mut self, places: Option<&Places>) -> Self {
        self.socket.serve(places);
        self
    }
}
