//! [`Records`]: bytes of a TLS connection, read no further than the record that has begun (RFC 8446 section 5.1).
//!
//! The TLS library reads ahead, and keeps the room for a whole record for as long as a part of one lies there. Read to
//! the end of a record and no further, it keeps nothing while an answer waits for its visitor. And of a record that is not
//! whole it gets no more than the first read brings: the rest stays in the kernel until all of it lies there, so that an
//! origin that begins a record and never ends it makes the edge keep next to nothing.
//!
//! The same goes for what a whole record only begins: a message of the handshake may go on in the next one, and the
//! library joins up to 64 KiB of it. Behind the handshake come session tickets of a few hundred bytes. An origin that
//! sends more without a byte of content is hung up on.
//!
//! `SO_RCVLOWAT` would have the kernel wait, but it has to be set and taken back for every record, and each time the
//! socket has to turn ready anew. To ask how much lies there (`FIONREAD`) is one call for each record.

use std::{
    io::{self, IoSlice},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use rustix::io::ioctl_fionread;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

/// Type, version and length of a record.
const HEADER: usize = 5;
/// Most bytes that are read when a record begins, whether it is whole or not. The TLS library asks for as many. What came
/// since it last gave content is counted in: it may lie there, as the start of a message.
const FIRST: usize = 4 * 1024;
/// The part of its buffer that the kernel is trusted to fill: it counts the room that packets take, which may be a
/// multiple of what they bring, and shuts the window before the buffer is full.
const TRUSTED: usize = 4;

/// A TCP stream that is read record by record.
#[derive(Debug)]
pub(super) struct Records {
    tcp: TcpStream,
    at: At,
    /// So many bytes of the record that has begun lie in the kernel, as far as it was asked.
    there: usize,
    /// No more than this is waited for at once. What the kernel will never hold whole is read in parts.
    most_waited_for: usize,
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

impl Records {
    /// # Errors
    /// The kernel's.
    pub(super) fn new(tcp: TcpStream) -> io::Result<Self> {
        let most_waited_for = (SockRef::from(&tcp).recv_buffer_size()? / TRUSTED).max(1);
        Ok(Self { tcp, at: START, there: 0, most_waited_for, quiet: None })
    }

    pub(super) fn get_ref(&self) -> &TcpStream {
        &self.tcp
    }

    /// The handshake is done, or what came since has brought content.
    pub(super) fn heard(&mut self) {
        self.quiet = Some(0);
    }

    /// How much may be read now. At the start of a record it is what comes: most are small and come together. Of one that
    /// has begun it is what lies there, and that is its whole rest.
    fn poll_most(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let At::Content(left) = self.at else { return Poll::Ready(self.first()) };
        if self.there == 0 {
            self.there = ready!(self.poll_there(cx, left))?;
        }
        Poll::Ready(Ok(self.there.min(left)))
    }

    fn first(&self) -> io::Result<usize> {
        match self.quiet {
            Some(quiet) if quiet > FIRST && self.at == START => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "TLS records without content"))
            }
            quiet => Ok(FIRST.saturating_sub(quiet.unwrap_or(0)).max(HEADER)),
        }
    }

    /// Waits until `left` bytes lie in the kernel, or as many as it is trusted to hold, or until no more will come.
    fn poll_there(&self, cx: &mut Context<'_>, left: usize) -> Poll<io::Result<usize>> {
        let enough = left.min(self.most_waited_for);
        loop {
            ready!(self.tcp.poll_read_ready(cx))?;
            if self.has_ended(cx) {
                return Poll::Ready(Ok(left));
            }
            // "Would block" is what has the socket turn ready again when more comes, and not before.
            let asked = self.tcp.try_io(Interest::READABLE, || match ioctl_fionread(&self.tcp)? {
                there if there >= enough as u64 => Ok(enough),
                _ => Err(io::ErrorKind::WouldBlock.into()),
            });
            match asked {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                asked => return Poll::Ready(asked),
            }
        }
    }

    /// Whether the origin has ended its side, or the connection is broken. From then on the socket stays ready.
    fn has_ended(&self, cx: &mut Context<'_>) -> bool {
        let ready = pin!(self.tcp.ready(Interest::READABLE)).poll(cx);
        matches!(ready, Poll::Ready(Ok(ready)) if ready.is_read_closed())
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

impl AsyncRead for Records {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let most = ready!(this.poll_most(cx))?.min(buf.remaining());
        // Costs nothing: the TLS library reads into memory that it has filled before.
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        ready!(Pin::new(&mut this.tcp).poll_read(cx, &mut part))?;
        let came = part.filled().len();
        buf.set_filled(before + came);
        this.there = this.there.saturating_sub(came);
        this.quiet = this.quiet.map(|quiet| quiet + came);
        this.at = this.at.walk(buf.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Records {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpSocket},
        time::timeout,
    };

    use super::*;

    /// Long enough for loopback; what is to be pending stays so for as long.
    const MOMENT: Duration = Duration::from_millis(50);

    fn record(content: usize) -> Vec<u8> {
        let [high, low] = u16::try_from(content).unwrap().to_be_bytes();
        [vec![23, 3, 3, high, low], vec![7; content]].concat()
    }

    /// Two ends of a connection; the first is read by the record, and its kernel has this much room, if it is said.
    async fn connect(room: Option<u32>) -> (Records, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        room.into_iter().for_each(|room| socket.set_recv_buffer_size(room).unwrap());
        let ours = socket.connect(listener.local_addr().unwrap()).await.unwrap();
        let (theirs, _) = listener.accept().await.unwrap();
        theirs.set_nodelay(true).unwrap();
        (Records::new(ours).unwrap(), theirs)
    }

    /// Waits until so many bytes lie in the kernel.
    async fn until_there(records: &Records, count: usize) {
        while ioctl_fionread(records.get_ref()).unwrap() < count as u64 {
            tokio::task::yield_now().await;
        }
    }

    /// What single reads of at most `room` bytes bring of what lies in the kernel.
    async fn reads(bytes: &[u8], room: usize) -> Vec<usize> {
        let (mut records, mut theirs) = connect(None).await;
        theirs.write_all(bytes).await.unwrap();
        until_there(&records, bytes.len()).await;
        let (mut all, mut sizes, mut buf) = (Vec::new(), Vec::new(), vec![0; room]);
        while all.len() < bytes.len() {
            let came = records.read(&mut buf).await.unwrap();
            all.extend_from_slice(&buf[..came]);
            sizes.push(came);
        }
        assert_eq!(all, bytes);
        sizes
    }

    async fn is_pending(records: &mut Records) -> bool {
        timeout(MOMENT, records.read(&mut [0; FIRST])).await.is_err()
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
    async fn of_a_record_that_is_not_whole_the_first_read_is_all_that_comes() {
        let (mut records, mut theirs) = connect(None).await;
        let bytes = record(16_000);
        theirs.write_all(&bytes[..15_000]).await.unwrap();
        until_there(&records, 15_000).await;
        assert_eq!(records.read(&mut [0; 20_000]).await.unwrap(), FIRST);
        assert!(is_pending(&mut records).await);
        // What was there woke it once, and does so no more: nobody spins.
        assert!(timeout(MOMENT, poll_fn(|cx| records.get_ref().poll_read_ready(cx))).await.is_err());
        theirs.write_all(&bytes[15_000..15_900]).await.unwrap();
        until_there(&records, 15_900 - FIRST).await;
        assert!(is_pending(&mut records).await);
        let rest = tokio::spawn(async move { records.read(&mut [0; 20_000]).await });
        theirs.write_all(&bytes[15_900..]).await.unwrap();
        assert_eq!(rest.await.unwrap().unwrap(), bytes.len() - FIRST);
    }

    #[tokio::test]
    async fn a_record_that_breaks_off_is_read_to_where_it_does() {
        let (mut records, mut theirs) = connect(None).await;
        theirs.write_all(&record(16_000)[..10_000]).await.unwrap();
        until_there(&records, 10_000).await;
        assert_eq!(records.read(&mut [0; 20_000]).await.unwrap(), FIRST);
        assert!(is_pending(&mut records).await);
        theirs.shutdown().await.unwrap();
        let mut rest = Vec::new();
        records.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest.len(), 10_000 - FIRST);
    }

    #[tokio::test]
    async fn a_reset_within_a_record_is_an_error() {
        let (mut records, mut theirs) = connect(None).await;
        theirs.write_all(&record(16_000)[..10_000]).await.unwrap();
        until_there(&records, 10_000).await;
        assert_eq!(records.read(&mut [0; 20_000]).await.unwrap(), FIRST);
        assert!(is_pending(&mut records).await);
        theirs.set_zero_linger().unwrap();
        drop(theirs);
        let mut rest = Vec::new();
        let error = records.read_to_end(&mut rest).await.unwrap_err();
        assert_eq!((rest.len(), error.kind()), (10_000 - FIRST, io::ErrorKind::ConnectionReset));
    }

    #[tokio::test]
    async fn a_record_that_the_kernel_has_no_room_for_is_read_all_the_same() {
        let (mut records, mut theirs) = connect(Some(2048)).await;
        let bytes = record(16_000);
        let sent = bytes.clone();
        let sends = tokio::spawn(async move { theirs.write_all(&sent).await.map(|()| theirs) });
        let mut all = vec![0; bytes.len()];
        records.read_exact(&mut all).await.unwrap();
        assert_eq!(all, bytes);
        sends.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn records_without_content_come_to_an_end_once_the_handshake_is_done() {
        let (mut records, mut theirs) = connect(None).await;
        let mut buf = [0; 20_000];
        let mut receive = async |records: &mut Records, content| {
            theirs.write_all(&record(content)).await.unwrap();
            until_there(records, HEADER + content).await;
            records.read_exact(&mut buf[..HEADER + content]).await
        };
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
        assert_eq!(records.first().unwrap(), FIRST - 4010);
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
