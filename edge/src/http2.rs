//! HTTP/2 frames as a connection brings them, counted before they are worked on.
//!
//! The h2 library bounds streams, header lists, resets and empty DATA. It answers every PING and SETTINGS, and takes
//! any number of PRIORITY and WINDOW_UPDATE frames: work that costs the sender 9 bytes and a visitor never asks for in
//! such numbers. [`Frames`] reads frame headers (RFC 9113 section 4.1) as they pass and ends a connection that sends
//! more of them than its share; it looks at no payload and keeps none.
//!
//! What passes is left as it came, but for trailers: they get one more field (`trailers.rs`). So a frame's header is
//! passed on when it is whole.

mod head;
mod trailers;

use std::time::Duration;

use tokio::time::Instant;

use self::{head::Head, trailers::Requests};

/// The client's connection preface, before the first frame (RFC 9113 section 3.4).
const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
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
    Head(Head),
    /// What is `left` is passed on, the padding behind it is not.
    Payload {
        left: usize,
        padding: usize,
    },
}

/// What becomes of a piece.
enum Passed {
    AsItCame,
    /// It is dropped, held back, or something else is passed on for it.
    Otherwise,
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
    requests: Requests,
    /// What is to be passed on and is not as it came: see [`Self::altered`].
    altered: Vec<u8>,
}

impl Frames {
    /// At the start of a connection, with `allowed` frames in ten seconds.
    pub fn new(allowed: usize) -> Self {
        let (requests, altered) = (Requests::default(), Vec::new());
        Self { at: At::Preface(0), allowed, spent: 0, since: None, in_head: false, requests, altered }
    }

    /// Whether the visitor owes the rest of its preface or of a head.
    pub fn owes_head(&self) -> bool {
        self.in_head || matches!(self.at, At::Preface(_))
    }

    /// These bytes came. So many of them as this returns are to be passed on as they are; after them comes what is
    /// [`Self::altered`], and nothing of the others.
    ///
    /// # Errors
    /// [`Flood`] when the connection is not worth more work.
    pub fn advance(&mut self, came: &[u8]) -> Result<usize, Flood> {
        let (mut walked, mut same) = (0, 0);
        while let Some(rest @ [_, ..]) = came.get(walked..) {
            let (taken, passed) = self.step(rest)?;
            match passed {
                Passed::AsItCame if same == walked => same += taken,
                Passed::AsItCame => self.altered.extend(rest.get(..taken).unwrap_or_default()),
                Passed::Otherwise => {}
            }
            walked += taken;
        }
        Ok(same)
    }

    /// What is to be passed on before anything else is read: nothing but for trailers and for headers that come in pieces.
    /// Then it is all that came behind these in one read of the library above, and ten bytes for each of the trailers.
    pub fn altered(&mut self) -> &mut Vec<u8> {
        &mut self.altered
    }

    /// Nothing more will come: what waits for the rest of its header is passed on without it.
    pub fn end(&mut self) {
        if let At::Head(head) = self.at {
            self.altered.extend(head.bytes());
            self.at = At::Head(Head::default());
        }
    }

    /// Walks to the end of what stands there, or of `bytes`; returns how many of them that was.
    fn step(&mut self, bytes: &[u8]) -> Result<(usize, Passed), Flood> {
        match self.at {
            At::Preface(seen) => {
                let taken = bytes.len().min(PREFACE - seen);
                self.at = if seen + taken == PREFACE { At::Head(Head::default()) } else { At::Preface(seen + taken) };
                Ok((taken, Passed::AsItCame))
            }
            At::Head(head) => self.head(head, bytes),
            At::Payload { left: 0, padding } => {
                let taken = bytes.len().min(padding);
                self.at = At::payload(0, padding - taken);
                Ok((taken, Passed::Otherwise))
            }
            At::Payload { left, padding } => {
                let taken = bytes.len().min(left);
                self.at = At::payload(left - taken, padding);
                Ok((taken, Passed::AsItCame))
            }
        }
    }

    fn head(&mut self, mut head: Head, bytes: &[u8]) -> Result<(usize, Passed), Flood> {
        let in_one_piece = head.is_empty();
        let taken = head.take(bytes);
        if !head.is_whole() {
            self.at = At::Head(head);
            return Ok((taken, Passed::Otherwise));
        }
        if matches!(head.kind(), HEADERS | CONTINUATION) {
            self.in_head = !head.has(END_HEADERS);
        }
        self.spend(weight(head.kind(), head.flags(), head.length()))?;
        if self.requests.pass(&head)
            && let Some((block, padding)) = trailers::mark(&head, &mut self.altered)
        {
            self.at = At::payload(block, padding);
            return Ok((taken, Passed::Otherwise));
        }
        self.at = At::payload(head.follows(), 0);
        if in_one_piece {
            return Ok((taken, Passed::AsItCame));
        }
        self.altered.extend(head.bytes());
        Ok((taken, Passed::Otherwise))
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

impl At {
    fn payload(left: usize, padding: usize) -> Self {
        match left + padding {
            0 => Self::Head(Head::default()),
            _ => Self::Payload { left, padding },
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
