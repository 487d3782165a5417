//! A socket that gathers small writes, so that one system call sends what was written in pieces.
//!
//! A response leaves Pingora as a head and a body, and TLS 1.3 ends a handshake with session tickets that nobody waits
//! for: three writes, three trips through the network stack. Here they wait for each other until somebody flushes, until
//! reading finds nothing (then the peer may be waiting for what was gathered), or until a few kilobytes have come
//! together. While the handshake runs, only the second and third count: its flushes are the library's, not the peer's
//! need.

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are sent without waiting for more.
const ENOUGH: usize = 4 * 1024;
/// Pieces that one system call sends.
const PIECES: usize = 16;

/// A stream whose small writes are gathered.
#[derive(Debug)]
pub struct Gather<S> {
    inner: S,
    /// Empty and without memory whenever nothing waits, so that an idle connection costs none.
    waiting: Vec<u8>,
    sent: usize,
    /// Bytes that the stream below took; it may begin anew at zero.
    taken: usize,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The handshake: a flush is a wish.
    Handshake,
    /// What waits can go with the first response.
    Patient,
    /// Something that the peer may be waiting for was written.
    Written,
}

impl<S> Gather<S> {
    /// Gathers the writes of a handshake.
    pub fn new(inner: S) -> Self {
        Self { inner, waiting: Vec::new(), sent: 0, taken: 0, phase: Phase::Handshake }
    }

    /// Bytes that were taken so far; any change is progress.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// The handshake is over: from now on a flush sends. What still waits goes with the first write.
    pub fn handshake_done(&mut self) {
        self.phase = Phase::Patient;
    }
}

impl<S: AsyncWrite + Unpin> Gather<S> {
    /// Sends everything that waits.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.waiting.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => {
                    self.sent += count;
                    self.taken = self.taken.wrapping_add(count);
                }
            }
        }
        (self.waiting, self.sent) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }

    /// Sends what waits and as much of `bufs` as goes with it; how much of them went.
    fn poll_send_with(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let rest = self.waiting.get(self.sent..).unwrap_or_default();
        let mut slices = [IoSlice::new(&[]); PIECES];
        let all = std::iter::once(IoSlice::new(rest)).chain(bufs.iter().copied());
        let used = slices.iter_mut().zip(all).map(|(slot, slice)| *slot = slice).count();
        let slices = slices.get(..used).unwrap_or_default();
        let written = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, slices))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.taken = self.taken.wrapping_add(written);
        let gone = written.saturating_sub(rest.len());
        if written >= rest.len() {
            (self.waiting, self.sent) = (Vec::new(), 0);
        } else {
            self.sent += written;
        }
        Poll::Ready(Ok(gone))
    }

    fn note_write(&mut self) {
        if self.phase == Phase::Patient {
            self.phase = Phase::Written;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gather<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if read.is_pending() && self.phase != Phase::Patient && !self.waiting.is_empty() {
            // Pending is fine here: the socket wakes this task when it can be written to as well.
            if let Poll::Ready(Err(error)) = self.poll_send(cx) {
                return Poll::Ready(Err(error));
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gather<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.note_write();
        let total: usize = bufs.iter().map(|buf| buf.len()).sum();
        if self.waiting.len() + total < ENOUGH {
            for buf in bufs {
                self.waiting.extend_from_slice(buf);
            }
            return Poll::Ready(Ok(total));
        }
        // Large writes are not copied: they go with what waits.
        while !self.waiting.is_empty() {
            let written = ready!(self.poll_send_with(cx, bufs))?;
            if written > 0 {
                return Poll::Ready(Ok(written));
            }
        }
        let written = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, bufs))?;
        self.taken = self.taken.wrapping_add(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.phase == Phase::Handshake {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S: AsFd> AsFd for Gather<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl<S: AsRawFd> AsRawFd for Gather<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    fn pair() -> (Gather<DuplexStream>, DuplexStream) {
        pair_taking(1 << 20)
    }

    /// A stream that takes so many bytes before somebody has to read them.
    fn pair_taking(bytes: usize) -> (Gather<DuplexStream>, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(bytes);
        (Gather::new(ours), theirs)
    }

    async fn read_all(mut stream: DuplexStream) -> Vec<u8> {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        all
    }

    async fn arrives(stream: &mut DuplexStream) -> Option<Vec<u8>> {
        let mut bytes = vec![0; 1 << 20];
        let read = tokio::time::timeout(Duration::from_millis(1), stream.read(&mut bytes)).await.ok()?.unwrap();
        bytes.truncate(read);
        Some(bytes)
    }

    #[tokio::test(start_paused = true)]
    async fn pieces_leave_together_at_a_flush() {
        let (mut ours, mut theirs) = pair();
        ours.write_all(b"tickets ").await.unwrap();
        ours.flush().await.unwrap();
        ours.handshake_done();
        ours.write_all(b"head ").await.unwrap();
        ours.write_all(b"body").await.unwrap();
        assert_eq!(arrives(&mut theirs).await, None);
        ours.flush().await.unwrap();
        assert_eq!(arrives(&mut theirs).await.unwrap(), b"tickets head body");
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_is_sent_when_it_waits_for_the_peer() {
        let (mut ours, mut theirs) = pair();
        ours.write_all(b"server hello").await.unwrap();
        let mut answer = [0; 1];
        assert!(tokio::time::timeout(Duration::from_millis(1), ours.read_exact(&mut answer)).await.is_err());
        assert_eq!(arrives(&mut theirs).await.unwrap(), b"server hello");
    }

    #[tokio::test(start_paused = true)]
    async fn a_piece_of_a_slow_response_is_not_held_back() {
        let (mut ours, mut theirs) = pair();
        ours.handshake_done();
        ours.write_all(b"piece").await.unwrap();
        let mut next = [0; 1];
        assert!(tokio::time::timeout(Duration::from_millis(1), ours.read_exact(&mut next)).await.is_err());
        assert_eq!(arrives(&mut theirs).await.unwrap(), b"piece");
    }

    #[tokio::test(start_paused = true)]
    async fn tickets_alone_wait_for_company() {
        let (mut ours, mut theirs) = pair();
        ours.write_all(b"tickets").await.unwrap();
        ours.handshake_done();
        let mut request = [0; 1];
        assert!(tokio::time::timeout(Duration::from_millis(1), ours.read_exact(&mut request)).await.is_err());
        assert_eq!(arrives(&mut theirs).await, None);
        ours.shutdown().await.unwrap();
        assert_eq!(arrives(&mut theirs).await.unwrap(), b"tickets");
    }

    #[tokio::test]
    async fn every_byte_arrives_once_and_in_order_whatever_the_sizes() {
        let sizes = [1, 5000, ENOUGH - 1, ENOUGH, ENOUGH + 1, 100_000, 3, 40_000];
        let expected: Vec<u8> = sizes.iter().zip(1_u8..).flat_map(|(size, byte)| vec![byte; *size]).collect();
        // So much is taken at once: less than what waits, less than that and what goes with it, and all.
        for taken in [1, 700, ENOUGH + 1, 1 << 20] {
            let (mut ours, theirs) = pair_taking(taken);
            ours.handshake_done();
            let reader = tokio::spawn(read_all(theirs));
            for (size, byte) in sizes.iter().zip(1_u8..) {
                ours.write_all(&vec![byte; *size]).await.unwrap();
            }
            ours.shutdown().await.unwrap();
            assert_eq!(ours.taken(), expected.len());
            drop(ours);
            assert!(reader.await.unwrap() == expected, "{taken} at once");
        }
    }

    #[tokio::test]
    async fn a_large_write_in_many_pieces_goes_with_what_waits() {
        let pieces: Vec<Vec<u8>> = (1..=40_u8).map(|byte| vec![byte; 300]).collect();
        for taken in [1, 299, 5000, 1 << 20] {
            let (mut ours, theirs) = pair_taking(taken);
            ours.handshake_done();
            let reader = tokio::spawn(read_all(theirs));
            ours.write_all(b"head").await.unwrap();
            let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            let mut left = &mut slices[..];
            while !left.is_empty() {
                let written = ours.write_vectored(left).await.unwrap();
                assert!(written > 0);
                IoSlice::advance_slices(&mut left, written);
            }
            ours.shutdown().await.unwrap();
            drop(ours);
            assert!(reader.await.unwrap() == [b"head".to_vec(), pieces.concat()].concat(), "{taken} at once");
        }
    }
}
