//! HTTP/2 frames as a connection brings them, counted before they are worked on.
//!
//! The h2 library bounds streams, header lists, resets and empty DATA. It answers every PING and SETTINGS, and takes
//! any number of PRIORITY and WINDOW_UPDATE frames: work that costs the sender 9 bytes and a visitor never asks for in
//! such numbers. [`Frames`] reads frame headers (RFC 9113 section 4.1) as they pass and ends a connection that sends
//! more of them than its share; it looks at no payload and keeps none.

use std::time::Duration;

use tokio::time::Instant;

/// The client's connection preface, before the first frame (RFC 9113 section 3.4).
const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const FRAME_HEADER: usize = 9;
/// How long frames are counted together.
const WINDOW: Duration = Duration::from_secs(10);
/// What is written at once and is longer than a PING's or SETTINGS' acknowledgement carries an answer.
const LONGER_THAN_AN_ACK: usize = 24;
/// Response bytes that allow one more frame: clients open their windows, and measure the line, as data arrives.
const BYTES_A_FRAME: usize = 4096;
/// A request that is taken back has cost a request: it weighs more than a PING.
const RESET_WEIGHT: usize = 5;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// There were more frames than a visitor has use for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flood;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Preface(usize),
    Header { bytes: [u8; FRAME_HEADER], len: usize },
    Payload { left: usize },
}

/// The walk along the frames of a connection.
#[derive(Debug)]
pub struct Frames {
    at: At,
    /// Frames without a request or data that may come within [`WINDOW`].
    allowed: usize,
    spent: usize,
    since: Option<Instant>,
    in_head: bool,
}

impl Frames {
    /// At the start of a connection, with `allowed` frames in ten seconds.
    pub fn new(allowed: usize) -> Self {
        Self { at: At::Preface(0), allowed, spent: 0, since: None, in_head: false }
    }

    /// Whether the visitor owes the rest of its preface or of a head.
    pub fn owes_head(&self) -> bool {
        self.in_head || matches!(self.at, At::Preface(_))
    }

    /// These bytes came.
    ///
    /// # Errors
    /// [`Flood`] when the connection is not worth more work.
    pub fn advance(&mut self, mut bytes: &[u8]) -> Result<(), Flood> {
        while !bytes.is_empty() {
            let taken = match self.at {
                At::Preface(seen) => {
                    let taken = bytes.len().min(PREFACE - seen);
                    self.at = if seen + taken == PREFACE { Self::next_frame() } else { At::Preface(seen + taken) };
                    taken
                }
                At::Payload { left } => {
                    let taken = bytes.len().min(left);
                    self.at = if taken == left { Self::next_frame() } else { At::Payload { left: left - taken } };
                    taken
                }
                At::Header { bytes: head, len } => self.header(head, len, bytes)?,
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    fn next_frame() -> At {
        At::Header { bytes: [0; FRAME_HEADER], len: 0 }
    }

    fn header(&mut self, mut head: [u8; FRAME_HEADER], len: usize, bytes: &[u8]) -> Result<usize, Flood> {
        let free = head.get_mut(len..).unwrap_or_default();
        let taken = free.len().min(bytes.len());
        free.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
        if len + taken < FRAME_HEADER {
            self.at = At::Header { bytes: head, len: len + taken };
            return Ok(taken);
        }
        let [a, b, c, kind, flags, ..] = head;
        let left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.at = if left == 0 { Self::next_frame() } else { At::Payload { left } };
        match kind {
            HEADERS | CONTINUATION => self.in_head = flags & END_HEADERS == 0,
            _ => {}
        }
        self.spend(weight(kind, flags, left))?;
        Ok(taken)
    }

    fn spend(&mut self, weight: usize) -> Result<(), Flood> {
        self.spent += weight;
        if self.spent <= self.allowed {
            return Ok(());
        }
        // The clock is asked only once in so many frames.
        let now = Instant::now();
        let since = self.since.replace(now);
        self.spent = weight;
        match since {
            Some(since) if now.duration_since(since) < WINDOW => Err(Flood),
            _ => Ok(()),
        }
    }

    /// These many bytes were sent.
    pub fn sent(&mut self, bytes: usize) {
        if bytes > LONGER_THAN_AN_ACK {
            self.spent = self.spent.saturating_sub(1 + bytes / BYTES_A_FRAME);
        }
    }
}

/// What a frame counts. Requests and data are what a connection is for; others bound them.
fn weight(kind: u8, flags: u8, length: usize) -> usize {
    match kind {
        HEADERS => 0,
        DATA => usize::from(length == 0 && flags & END_STREAM == 0),
        RST_STREAM => RESET_WEIGHT,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let [.., a, b, c] = payload.len().to_be_bytes();
        [&[a, b, c, kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn begun(allowed: usize) -> Frames {
        let mut frames = Frames::new(allowed);
        frames.advance(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        frames
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_told_from_frames_over_time() {
        let mut frames = begun(100);
        let pings = frame(PING, 0, &[0; 8]).repeat(100);
        frames.advance(&pings).unwrap();
        // The window begins with the first frame beyond the number.
        frames.advance(&pings).unwrap();
        tokio::time::advance(WINDOW).await;
        frames.advance(&pings).unwrap();
        assert_eq!(frames.advance(&pings.repeat(2)), Err(Flood));
    }

    #[tokio::test(start_paused = true)]
    async fn responses_allow_the_frames_that_they_cause() {
        let mut frames = begun(100);
        for _ in 0..100_000 {
            frames.advance(&frame(8, 0, &[0; 4]).repeat(2)).unwrap();
            frames.sent(16 * 1024);
        }
        for _ in 0..300 {
            if frames.advance(&frame(PING, 0, &[0; 8])).is_err() {
                return;
            }
            frames.sent(17);
        }
        panic!("acknowledgements allow nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn how_the_bytes_arrive_makes_no_difference() {
        let mut stream = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        stream.extend(frame(HEADERS, END_HEADERS | END_STREAM, b"block"));
        stream.extend(frame(HEADERS, END_STREAM, b"block"));
        stream.extend(frame(CONTINUATION, 0, &[0; 70_000]));
        for piece in [1, 2, 7, 9, 10, 1000] {
            let mut frames = Frames::new(10);
            assert!(frames.owes_head(), "the preface is due");
            for bytes in stream.chunks(piece) {
                frames.advance(bytes).unwrap();
            }
            assert!(frames.owes_head(), "END_HEADERS is due");
            assert_eq!(frames.spent, 1);
            frames.advance(&frame(CONTINUATION, END_HEADERS, b"")).unwrap();
            assert!(!frames.owes_head());
        }
    }

    #[test]
    fn requests_and_data_are_free_and_resets_weigh_more() {
        assert_eq!(weight(DATA, 0, 1), 0);
        assert_eq!(weight(DATA, END_STREAM, 0), 0);
        assert_eq!(weight(DATA, 0, 0), 1);
        assert_eq!(weight(HEADERS, END_HEADERS, 20), 0);
        assert_eq!(weight(RST_STREAM, 0, 4), RESET_WEIGHT);
        assert_eq!(weight(0xee, 0, 4), 1);
    }
}
