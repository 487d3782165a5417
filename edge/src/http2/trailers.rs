//! The field that trailers are given.
//!
//! Trailers with a pseudo-field are malformed (RFC 9113 section 8.1). The h2 library does not say so: it drops the field
//! before anybody sees it. But it does refuse a pseudo-field that stands behind another field, so trailers are passed on
//! to it with [`FIELD`] in front. What else is in them is for the library to read, which alone knows the table of fields
//! that they may refer to (RFC 7541 section 2.3.2): there is no second opinion here.
//!
//! HEADERS become two frames: HEADERS with that field, and CONTINUATION with the block as it came, without its padding.
//! So no frame grows beyond what it may have, and a block that begins with a new size of the table (RFC 7541 section
//! 6.3) still does: the library takes one at the start of every frame.
//!
//! Only a stream whose request goes on has trailers. Other HEADERS are a request, or an error for which the library has a
//! word of its own (STREAM_CLOSED) as long as it finds nothing else wrong with them.

use super::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM,
    head::{Head, PADDED},
};

/// `accept-charset` without a value, by its index in the static table (RFC 7541 appendix A). It means nothing in trailers,
/// and those of requests are passed on to no origin.
const FIELD: u8 = 0x80 | 15;
/// A longer frame is an error: the edge leaves SETTINGS_MAX_FRAME_SIZE as it is (RFC 9113 section 6.5.2).
const LONGEST_FRAME: usize = 1 << 14;

/// Which streams are in the middle of a request, by what their visitor sends. Of the latest of them it is known when its
/// request ends; of others it is not, so that two numbers are enough.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// The latest stream whose request goes on; 0 is none.
    latest: u32,
    /// Requests may go on up to this stream.
    others: u32,
}

impl Requests {
    /// A frame passes; whether it is one of trailers.
    pub(super) fn pass(&mut self, head: &Head) -> bool {
        let (kind, stream) = (head.kind(), head.stream());
        let ends = kind == RST_STREAM || matches!(kind, DATA | HEADERS) && head.has(END_STREAM);
        let goes_on = stream != 0 && (stream == self.latest || stream <= self.others);
        if ends && stream == self.latest {
            self.latest = 0;
        } else if kind == HEADERS && !ends && !goes_on {
            self.others = self.others.max(self.latest);
            self.latest = stream;
        }
        kind == HEADERS && goes_on
    }
}

/// Writes what trailers are passed on as, up to the block; returns the length of the block and that of the padding behind
/// it. None for HEADERS that the library ends the connection for.
pub(super) fn mark(head: &Head, out: &mut Vec<u8>) -> Option<(usize, usize)> {
    let parts = head.parts().filter(|_| head.length() <= LONGEST_FRAME)?;
    out.extend(frame(parts.rank.len() + 1, HEADERS, head.flags() & !(END_HEADERS | PADDED)));
    out.extend(head.stream_bytes());
    out.extend(parts.rank);
    out.push(FIELD);
    out.extend(frame(parts.block, CONTINUATION, head.flags() & END_HEADERS));
    out.extend(head.stream_bytes());
    Some((parts.block, parts.padding))
}

/// A frame's header up to its stream.
fn frame(length: usize, kind: u8, flags: u8) -> [u8; 5] {
    let [.., a, b, c] = length.to_be_bytes();
    [a, b, c, kind, flags]
}

#[cfg(test)]
mod tests;
