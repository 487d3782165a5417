//! [`Frames`]: HTTP/2 frames of one's own (RFC 9113 section 4), and those that come back.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use super::Visit;

/// How long anything that must come may take; only a failing test reaches it.
const LIMIT: Duration = Duration::from_secs(60);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames (RFC 9113 section 6).
#[expect(missing_docs, reason = "named as the RFC names them")]
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// On DATA and HEADERS: nothing follows on the stream.
pub const END_STREAM: u8 = 0x1;
/// On SETTINGS and PING: an acknowledgement.
pub const ACK: u8 = 0x1;
/// On HEADERS and CONTINUATION: the block is whole.
pub const END_HEADERS: u8 = 0x4;
/// On DATA and HEADERS: the first byte of the payload says how much of its end is padding.
pub const PADDED: u8 = 0x8;

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// One of [`kind`], or any other byte.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0 is the connection.
    pub stream: u32,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame of any kind, right or wrong.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into() }
    }

    /// HEADERS with a whole block.
    pub fn headers(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Self {
        Self::new(kind::HEADERS, END_HEADERS | flags, stream, block(fields))
    }

    /// The four pseudo-fields of a request, as a whole HEADERS frame that ends its stream.
    pub fn get(stream: u32, authority: &str, path: &str) -> Self {
        Self::headers(stream, END_STREAM, &request("GET", authority, path))
    }

    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let [.., a, b, c] = self.payload.len().to_be_bytes();
        let mut bytes = vec![a, b, c, self.kind, self.flags];
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// The error code of GOAWAY or RST_STREAM.
    pub fn error_code(&self) -> Option<u32> {
        let at = match self.kind {
            kind::GOAWAY => 4,
            kind::RST_STREAM => 0,
            _ => return None,
        };
        let code = self.payload.get(at..at + 4)?;
        Some(u32::from_be_bytes(code.try_into().ok()?))
    }
}

/// The pseudo-fields of a request.
pub fn request<'a>(method: &'a str, authority: &'a str, path: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![(":method", method), (":scheme", "https"), (":authority", authority), (":path", path)]
}

/// A header block of literals without indexing and without Huffman coding (RFC 7541 section 6.2.2).
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        text(&mut bytes, name);
        text(&mut bytes, value);
    }
    bytes
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    // An integer with a prefix of 7 bits (RFC 7541 section 5.1).
    let mut rest = text.len();
    match rest {
        0..127 => bytes.push(rest as u8),
        _ => {
            bytes.push(127);
            rest -= 127;
            while rest >= 128 {
                bytes.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            bytes.push(rest as u8);
        }
    }
    bytes.extend(text.as_bytes());
}

/// How an HTTP/2 connection or stream was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The connection closed without a GOAWAY.
    Closed,
    /// GOAWAY with this error code.
    GoAway(u32),
    /// RST_STREAM with this error code.
    Reset(u32),
    /// A response with this status, as its HPACK index or literal said.
    Status(u16),
}

/// An HTTP/2 connection without a library.
#[derive(Debug)]
pub struct Frames {
    stream: TlsStream<TcpStream>,
    came: Vec<u8>,
}

impl Visit {
    /// Goes on with frames, after a preface and these settings.
    ///
    /// # Errors
    /// When the peer has closed.
    pub async fn frames(self, settings: &[(u16, u32)]) -> io::Result<Frames> {
        assert_eq!(self.alpn.as_deref(), Some("h2"), "frames go over HTTP/2");
        let mut frames = Frames { stream: self.stream, came: Vec::new() };
        // Without a table (SETTINGS_HEADER_TABLE_SIZE), so that a status can be read without keeping one.
        let settings = [&[(1, 0)], settings].concat();
        let payload: Vec<u8> =
            settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        frames.bytes(PREFACE).await?;
        frames.send(&Frame::new(kind::SETTINGS, 0, 0, payload)).await?;
        Ok(frames)
    }

    /// Goes on with nothing at all: not even a preface.
    pub fn silent_frames(self) -> Frames {
        Frames { stream: self.stream, came: Vec::new() }
    }
}

impl Frames {
    /// Sends a frame.
    ///
    /// # Errors
    /// When the peer has closed.
    pub async fn send(&mut self, frame: &Frame) -> io::Result<()> {
        self.bytes(&frame.encode()).await
    }

    /// Sends bytes, frames or not.
    ///
    /// # Errors
    /// When the peer has closed.
    pub async fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Sends a frame this many times, at most as long as the peer takes them; returns when the peer has ended the
    /// connection or has everything. What comes back meanwhile is read and dropped, as a flooding client does.
    pub async fn flood(&mut self, bytes: &[u8], times: usize) -> Flooded {
        let batch = (16_384 / bytes.len().max(1)).clamp(1, times.max(1));
        let (mut reader, mut writer) = tokio::io::split(&mut self.stream);
        let mut sent = 0;
        let send = async {
            while sent < times {
                let now = batch.min(times - sent);
                if writer.write_all(&bytes.repeat(now)).await.is_err() || writer.flush().await.is_err() {
                    break;
                }
                sent += now;
            }
            // Whether it ended is known from the other direction.
            std::future::pending::<()>().await;
        };
        let mut came = Vec::new();
        let read = async { while reader.read_buf(&mut came).await.unwrap_or(0) > 0 {} };
        let ended = tokio::select! {
            () = send => false,
            ended = timeout(LIMIT, read) => ended.is_ok(),
        };
        self.came.extend(came);
        Flooded { sent, ended }
    }

    /// The next frame; `None` when the connection has ended.
    ///
    /// # Panics
    /// When nothing comes within a minute.
    pub async fn next(&mut self) -> Option<Frame> {
        let head: [u8; 9] = self.need(9).await?.try_into().ok()?;
        let [a, b, c, kind, flags, d, e, f, g] = head;
        let payload = self.need(usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)).await?;
        Some(Frame { kind, flags, stream: u32::from_be_bytes([d, e, f, g]), payload })
    }

    async fn need(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.came.len() < count {
            let read = timeout(LIMIT, self.stream.read_buf(&mut self.came)).await;
            if read.expect("the peer must answer or close within a minute").unwrap_or(0) == 0 {
                return None;
            }
        }
        let rest = self.came.split_off(count);
        Some(std::mem::replace(&mut self.came, rest))
    }

    /// Reads to the end of the connection; whether it was announced by close_notify.
    pub async fn ends_in_order(&mut self) -> bool {
        let read = timeout(LIMIT, self.stream.read_to_end(&mut self.came)).await;
        read.expect("the peer must close within a minute").is_ok()
    }

    /// How the connection, or this stream, ends or is answered.
    pub async fn outcome(&mut self, stream: u32) -> Ended {
        while let Some(frame) = self.next().await {
            match frame.kind {
                kind::GOAWAY if frame.error_code() != Some(0) => return Ended::GoAway(frame.error_code().unwrap_or(0)),
                kind::RST_STREAM if frame.stream == stream => return Ended::Reset(frame.error_code().unwrap_or(0)),
                kind::HEADERS if frame.stream == stream => return Ended::Status(status(&frame.payload)),
                _ => {}
            }
        }
        Ended::Closed
    }

    /// The next frame of this kind, if one comes before the connection ends.
    pub async fn until(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }
}

/// What became of a flood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flooded {
    /// Frames that could be written.
    pub sent: usize,
    /// Whether the peer ended the connection.
    pub ended: bool,
}

/// The status of a response block: a server puts it first (RFC 7541 appendix A; section 6.2 for the others).
fn status(block: &[u8]) -> u16 {
    match block {
        // A table's new size (RFC 7541 section 6.3).
        [0x20..0x40, rest @ ..] => status(rest),
        [0x88, ..] => 200,
        [0x89, ..] => 204,
        [0x8a, ..] => 206,
        [0x8b, ..] => 304,
        [0x8c, ..] => 400,
        [0x8d, ..] => 404,
        [0x8e, ..] => 500,
        // A literal with the indexed name `:status`, indexed or not: three digits, plain or in Huffman code.
        [0x08 | 0x48 | 0x18, 3, digits @ ..] => digits.iter().take(3).fold(0, |n, d| n * 10 + u16::from(d - b'0')),
        [0x08 | 0x48 | 0x18, length, coded @ ..] if length & 0x80 != 0 => huffman_digits(coded),
        other => panic!("no status: {:?}", other.iter().take(8).collect::<Vec<_>>()),
    }
}

/// Three digits in the code of RFC 7541 appendix B: 0, 1 and 2 have five bits, the others six.
fn huffman_digits(coded: &[u8]) -> u16 {
    let mut bytes = [0; 4];
    bytes.iter_mut().zip(coded).for_each(|(slot, byte)| *slot = *byte);
    let (mut bits, mut number) = (u32::from_be_bytes(bytes), 0);
    for _ in 0..3 {
        let (digit, length) = match bits >> 27 {
            five @ 0..=2 => (five, 5),
            _ => ((bits >> 26) - 0x19 + 3, 6),
        };
        number = number * 10 + digit as u16;
        bits <<= length;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_from_their_codings() {
        assert_eq!(status(&[0x88]), 200);
        assert_eq!(status(&[0x48, 3, b'4', b'2', b'1']), 421);
        // RFC 7541 appendix C.6.1: 302 as 0x6402.
        assert_eq!(status(&[0x48, 0x82, 0x64, 0x02]), 302);
        // Appendix C.6.2: 307 as 0x640eff.
        assert_eq!(status(&[0x48, 0x83, 0x64, 0x0e, 0xff]), 307);
    }
}
