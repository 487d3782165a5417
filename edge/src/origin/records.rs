//! [`Records`]: bytes of a TLS connection, read no further than the record that has begun (RFC 8446 section 5.1).
//!
//! The TLS library reads ahead, and keeps the room for a whole record for as long as a part of one lies there. Read to
//! the end of a record and no further, it keeps nothing while an answer waits for its visitor.
//!
//! A record that is not whole is read as it comes, and kept; so is a message of the handshake, which may go on in the next
//! record and of which the library joins up to 64 KiB. Beyond their start both need one of the visitor's [`Places`]. (Left
//! in the kernel until all of it lay there, `FIONREAD`, 64 MiB over loopback stood still after 160 KB: the kernel may shut
//! the window with less than a record in it.)
//!
//! Behind the handshake come session tickets of a few hundred bytes. An origin that sends more without a byte of content is
//! hung up on.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::places::{Begun, Claim, Places};

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
    quiet: Quiet,
    /// None where nobody else's records can be begun meanwhile.
    claim: Option<Claim>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Within a header; the last two bytes of what came are its length, once it is whole.
    Header { came: usize, length: [u8; 2] },
    /// So many bytes of a record are still to come.
    Content(usize),
}

/// Bytes that came and have brought no content yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quiet {
    /// The handshake lasts; it may be as long as it likes.
    Handshake(usize),
    /// Since the handshake, or the last content.
    Since(usize),
}

const START: At = At::Header { came: 0, length: [0; 2] };

impl<S> Records<S> {
    pub(super) fn new(io: S, places: Option<&Places>) -> Self {
        Self { io, at: START, quiet: Quiet::Handshake(0), claim: places.map(Places::claim) }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.io
    }

    /// It is read for another visitor.
    pub(super) fn serve(&mut self, places: Option<&Places>) {
        self.claim = places.map(Places::claim);
    }

    /// Whether a part of a record has come.
    pub(super) fn has_begun(&self) -> bool {
        self.at != START
    }

    /// The handshake is done, or what came since has brought content.
    pub(super) fn heard(&mut self) {
        self.quiet = Quiet::Since(0);
        if let Some(claim) = &mut self.claim {
            claim.leave();
        }
    }

    /// The most that may be read now. At the start of a record it is what comes: most are small and come together.
    fn most(&self) -> io::Result<usize> {
        let start = match self.quiet {
            // Without a place it is read to this length and no further.
            Quiet::Handshake(came) if came < FIRST => FIRST - came,
            Quiet::Handshake(_) => FIRST,
            Quiet::Since(quiet) if quiet > FIRST && self.at == START => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "TLS records without content"));
            }
            Quiet::Since(quiet) => FIRST.saturating_sub(quiet).max(HEADER),
        };
        Ok(match (self.at, self.quiet) {
            (At::Header { .. }, _) => start,
            (At::Content(left), Quiet::Handshake(_)) => left.min(start),
            (At::Content(left), Quiet::Since(_)) => left,
        })
    }

    /// What has begun and is read no further without a place.
    fn begun(&self) -> Option<Begun> {
        match (self.quiet, self.at) {
            (Quiet::Handshake(came), _) => (came >= FIRST).then_some(Begun::Handshake),
            (Quiet::Since(_), At::Content(_)) => Some(Begun::Record),
            (Quiet::Since(_), At::Header { .. }) => None,
        }
    }

    fn poll_place(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match (self.begun(), &mut self.claim) {
            (Some(begun), Some(claim)) => claim.poll_place(cx, begun),
            _ => Poll::Ready(()),
        }
    }

    /// These bytes came.
    fn came(&mut self, bytes: &[u8]) {
        self.at = self.at.walk(bytes);
        let (Quiet::Handshake(quiet) | Quiet::Since(quiet)) = &mut self.quiet;
        *quiet = quiet.saturating_add(bytes.len());
        if let (None, Some(claim)) = (self.begun(), &mut self.claim) {
            claim.leave();
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
        ready!(this.poll_place(cx));
        // Costs nothing: the TLS library reads into memory that it has filled before.
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        ready!(Pin::new(&mut this.io).poll_read(cx, &mut part))?;
        let came = part.filled().len();
        buf.set_filled(before + came);
        this.came(buf.filled().get(before..).unwrap_or_default());
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
    use std::task::Waker;

    use prometheus::Registry;
    use tokio::io::AsyncReadExt as _;

    use super::*;
    use crate::metrics::Metrics;

    fn record(content: usize) -> Vec<u8> {
        let [high, low] = u16::try_from(content).unwrap().to_be_bytes();
        [vec![23, 3, 3, high, low], vec![7; content]].concat()
    }

    /// What single reads of at most `room` bytes bring.
    async fn reads(bytes: &[u8], room: usize) -> Vec<usize> {
        let mut records = Records::new(bytes, None);
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
        let mut records = Records::new(&bytes[..], None);
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

    fn some_places() -> Places {
        Places::new(Metrics::new(&Registry::new()).unwrap().shares())
    }

    /// Reads what there is; the bytes that came.
    fn read(records: &mut Records<impl AsyncRead + Unpin>, room: usize) -> Option<usize> {
        let mut buf = vec![0; room];
        let mut part = ReadBuf::new(&mut buf);
        match Pin::new(records).poll_read(&mut Context::from_waker(Waker::noop()), &mut part) {
            Poll::Ready(read) => read.map(|()| part.filled().len()).ok(),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn the_rest_of_a_record_needs_a_place_until_its_end() {
        let (places, bytes) = (some_places(), [record(10_000), record(10_000)].concat());
        let mut many: Vec<_> = (0..20).map(|_| Records::new(&bytes[..], Some(&places))).collect();
        for records in &mut many {
            records.heard();
            assert_eq!(read(records, 20_000), Some(4096), "a start needs none");
        }
        let half = many.iter_mut().filter_map(|records| read(records, 2000)).count();
        assert_eq!(half, 16, "places for records");
        // Those who wait get theirs when others have their records whole, or are gone.
        assert_eq!(read(&mut many[0], 20_000), Some(HEADER + 10_000 - 4096 - 2000));
        drop(many.remove(1));
        let more = many.iter_mut().skip(15).filter_map(|records| read(records, 2000)).count();
        assert_eq!(more, 2);
        many[0].heard();
        // The next record begins without a place, and goes on without one where it is for nobody's visitor.
        assert_eq!(read(&mut many[0], 20_000), Some(4096));
        assert_eq!(read(&mut many[0], 20_000), None);
        many[0].serve(None);
        assert_eq!(read(&mut many[0], 20_000), Some(HEADER + 10_000 - 4096));
    }

    #[tokio::test]
    async fn a_long_handshake_needs_a_place_until_it_is_done() {
        let (places, bytes) = (some_places(), record(16_000));
        let mut many: Vec<_> = (0..6).map(|_| Records::new(&bytes[..], Some(&places))).collect();
        for records in &mut many {
            assert_eq!([read(records, 1000), read(records, 4096)], [Some(1000), Some(3096)], "a start needs none");
        }
        let long = many.iter_mut().filter_map(|records| read(records, 20_000)).count();
        assert_eq!(long, 4, "places for handshakes");
        assert_eq!(read(&mut many[4], 20_000), None);
        // One that has nothing to do with them has places of its own.
        let mut other = Records::new(&bytes[..], Some(&some_places()));
        while read(&mut other, 20_000).unwrap() > 0 {}
        many[0].heard();
        assert_eq!(read(&mut many[4], 20_000), Some(4096));
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
