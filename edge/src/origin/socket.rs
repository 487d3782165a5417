//! [`Socket`]: a connection to an origin, in plain text or under TLS.

use std::{
    io::{self, IoSlice, Read},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{BufMut as _, BytesMut};
use tokio::{
    io::{AsyncBufRead as _, AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;
use tokio_util::io::poll_read_buf;

use super::{places::Places, records::Records};

/// A piece that gets memory of its own.
const SMALL: usize = 4 * 1024;

/// A stream of bytes to an origin.
#[derive(Debug)]
pub(super) enum Socket {
    /// Straight on TCP.
    Plain(TcpStream),
    /// Boxed: its state is large and the other kind's is not.
    Tls(Box<TlsStream<Records<TcpStream>>>),
}

impl Socket {
    /// Whether what comes has to be read a whole record at a time.
    pub(super) fn has_records(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether a part of a record was read.
    pub(super) fn has_begun(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.get_ref().0.has_begun())
    }

    /// It is read for another visitor.
    pub(super) fn serve(&mut self, places: Option<&Places>) {
        if let Self::Tls(tls) = self {
            tls.get_mut().0.serve(places);
        }
    }

    /// Reads behind what is in `came`: at most `room` bytes, over TLS the record that comes next, whatever its size.
    pub(super) fn poll_append(
        &mut self,
        cx: &mut Context<'_>,
        came: &mut BytesMut,
        room: usize,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(tcp) => {
                // What was large for an earlier piece would be kept as it is for every later one; a small piece, which may lie
                // long, shares no memory with large ones.
                match came.is_empty() && (came.capacity() > room || room <= SMALL) {
                    true => *came = BytesMut::with_capacity(room),
                    false => came.reserve(room),
                }
                poll_read_buf(Pin::new(tcp), cx, &mut came.limit(room))
            }
            Self::Tls(tls) => poll_record(tls, cx, came),
        }
    }

    /// Ready when reading may bring something.
    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => tcp.poll_read_ready(cx),
            Self::Tls(tls) => tls.get_ref().0.get_ref().poll_read_ready(cx),
        }
    }

    /// Gives back the room that was needed to read.
    pub(super) fn settle(&mut self) {
        let Self::Tls(tls) = self else { return };
        // The library shrinks its buffer whenever it is about to read, if nothing lies there. There is nothing to read.
        let _ = tls.get_mut().1.read_tls(&mut Nothing);
    }
}

/// Empties the TLS library, so that it holds nothing of what was read.
fn poll_record(
    tls: &mut TlsStream<Records<TcpStream>>,
    cx: &mut Context<'_>,
    came: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    let before = came.len();
    // It wants no more before what it has is taken. It may have more than one record, if they are small.
    while came.len() == before || !tls.get_ref().1.wants_read() {
        let content = ready!(Pin::new(&mut *tls).poll_fill_buf(cx))?;
        if content.is_empty() {
            break;
        }
        came.extend_from_slice(content);
        let taken = content.len();
        Pin::new(&mut *tls).consume(taken);
        tls.get_mut().0.heard();
    }
    Poll::Ready(Ok(came.len() - before))
}

struct Nothing;

impl Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::{io::AsyncWriteExt as _, net::TcpListener};

    use super::*;

    #[tokio::test]
    async fn a_small_piece_shares_no_memory_with_a_large_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut ours = Socket::Plain(listener.accept().await.unwrap().0);
        // A large piece was handed out, and a little room is left behind it.
        let mut came = BytesMut::with_capacity(64 * 1024);
        came.resize(62 * 1024, 7);
        let large = came.split().freeze();
        theirs.write_all(&[7; 1000]).await.unwrap();
        poll_fn(|cx| ours.poll_append(cx, &mut came, SMALL)).await.unwrap();
        assert!(came.capacity() <= SMALL, "a piece of {} bytes keeps {}", came.len(), came.capacity());
        drop(large);
    }
}
