//! [`Records`]: bytes of a TLS connection, read no further than the record that has begun (RFC 8446 section 5.1).
//!
//! The TLS library reads ahead, and keeps the room for a whole record for as long as a part of one lies there. Read to
//! the end of a record and no further, it keeps nothing while an answer waits for its visitor.
//!
//! A message of the handshake may go on in the next record, and the library joins up to 64 KiB of it. Behind the handshake
//! come session tickets of a few hundred bytes. An origin that sends more without a byte of content is hung up on.
//!
//! A record that is not whole is read as it comes. Left in the kernel until all of it lay there (`FIONREAD`), 64 MiB over
//! loopback stood still after 160 KB: the kernel may shut the window with less than a record in it.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Type, version and length of a record.
const HEADER: usize = 5;
/// Most bytes that are read when a record begins. The TLS library asks for as many. What came since it last gave content
/// is counted in: it may lie there, as the start of a message.
const FIRST: usize = 4 * 1024;

/// A stream that is read record by record.
#[derive(Debug)]
pub(super) struct Records<S> {
    io: S,
    at: At,
    /// What came since there was content; none while the handshake lasts.
    quiet: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Within a header; the last two bytes of what came are its length, once it is whole.
    Header { came: usize, length: [u8; 2] },
    /// So many bytes of a record are still to come.
    Content(usize),
}

const START: At = At::Header { came: 0, length: [0; 2] };

impl<S> Records<S> {
    pub(super) fn new(io: S) -> Self {
        Self { io, at: START, quiet: None }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.io
    }

    /// The handshake is done, or what came since has brought content.
    pub(super) fn heard(&mut self) {
        self.quiet = Some(0);
    }

    /// The most that may be read now. At the start of a record it is what comes: most are small and come together.
    fn most(&self) -> io::Result<usize> {
        match (self.at, self.quiet) {
            (At::Content(left), _) => Ok(left),
            (START, Some(quiet)) if quiet > FIRST => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "TLS records without content"))
            }
            (At::Header { .. }, quiet) => Ok(FIRST.saturating_sub(quiet.unwrap_or(0)).max(HEADER)),
        }
    }
}

impl At {
    fn walk(mut self, mut bytes: &[u8]) -> Self {
        while let [first, rest @ ..] = bytes {
            (self, bytes) = match self {
                Self::Content(left) => {
                    let taken = left.min(bytes.len());
                    let rest = bytes.get(taken..).unwrap_or_default();
                    (if left == taken { START } else { Self::Content(left - taken) }, rest)
                }
                Self::Header { came, length: [_, before] } => {
                    let length = [before, *first];
                    let next = match (came + 1 == HEADER, u16::from_be_bytes(length)) {
                        (false, _) => Self::Header { came: came + 1, length },
                        (true, 0) => START,
                        (true, content) => Self::Content(usize::from(content)),
                    };
                    (next, rest)
                }
            };
        }
        self
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Records<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let most = this.most()?.min(buf.remaining());
        // Costs nothing: the TLS library reads into memory that it has filled before.
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        ready!(Pin::new(&mut this.io).poll_read(cx, &mut part))?;
        let came = part.filled().len();
        buf.set_filled(before + came);
        this.quiet = this.quiet.map(|quiet| quiet + came);
        this.at = this.at.walk(buf.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Records<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn record(content: usize) -> Vec<u8> {
        let [high, low] = u16::try_from(content).unwrap().to_be_bytes();
        [vec![23, 3, 3, high, low], vec![7; content]].concat()
    }

    /// What single reads of at most `room` bytes bring.
    async fn reads(bytes: &[u8], room: usize) -> Vec<usize> {
        let mut records = Records::new(bytes);
        let (mut all, mut sizes, mut buf) = (Vec::new(), Vec::new(), vec![0; room]);
        loop {
            let came = records.read(&mut buf).await.unwrap();
            if came == 0 {
                assert_eq!(all, bytes);
                return sizes;
            }
            all.extend_from_slice(&buf[..came]);
            sizes.push(came);
        }
    }

    #[tokio::test]
    async fn a_record_is_read_to_its_end_and_no_further() {
        let bytes = [record(10_000), record(10_000)].concat();
        assert_eq!(reads(&bytes, 4096).await, [4096, 4096, 1813, 4096, 4096, 1813]);
    }

    #[tokio::test]
    async fn small_records_come_together() {
        let bytes = [record(20), record(0), record(300)].concat();
        assert_eq!(reads(&bytes, 4096).await, [bytes.len()]);
        let then_large = [record(20), record(5000), record(20)].concat();
        assert_eq!(reads(&then_large, 4096).await, [4096, 25 + 5005 - 4096, 25]);
    }

    #[tokio::test]
    async fn records_without_content_come_to_an_end_once_the_handshake_is_done() {
        let sizes = [10_000, 10_000, 10_000, 10_000, 1000, 3000, 100, 100];
        let bytes = sizes.map(record).concat();
        let mut records = Records::new(&bytes[..]);
        let mut buf = [0; 20_000];
        let mut receive =
            async |records: &mut Records<_>, content| records.read_exact(&mut buf[..HEADER + content]).await;
        // A handshake may be as long as it likes.
        receive(&mut records, 10_000).await.unwrap();
        receive(&mut records, 10_000).await.unwrap();
        records.heard();
        // Content is, too.
        for _ in 0..2 {
            receive(&mut records, 10_000).await.unwrap();
            records.heard();
        }
        receive(&mut records, 1000).await.unwrap();
        receive(&mut records, 3000).await.unwrap();
        // What lies there, perhaps, and what is read of the next one are no more together.
        assert_eq!(records.most().unwrap(), FIRST - 4010);
        receive(&mut records, 100).await.unwrap();
        let error = receive(&mut records, 100).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn where_a_record_ends_does_not_depend_on_how_it_arrives() {
        let bytes = [record(3), record(300), record(0), record(70)].concat();
        let whole = START.walk(&bytes);
        assert_eq!(whole, START);
        for step in 1..bytes.len() {
            let walked = bytes.chunks(step).fold(START, At::walk);
            assert_eq!(walked, whole, "{step} at a time");
        }
    }
}
