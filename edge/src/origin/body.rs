//! Where the body of an origin's answer ends, and what of it is content (RFC 9112 sections 6.3 and 7.1).

use bytes::{Buf, Bytes, BytesMut};

use super::wire::WireError;

/// Longest line of a chunk's size, extensions included.
const MAX_SIZE_LINE: usize = 1024;
/// Digits of a chunk's size: 15 are 2^60 bytes, and nothing overflows.
const MAX_SIZE_DIGITS: usize = 15;
/// Bytes of trailers. They are not passed on.
const MAX_TRAILERS: usize = 16 * 1024;
/// What is read for a line that is not there yet.
const LINE_ROOM: usize = 4 * 1024;
/// What is read for content whose size is not known.
const CONTENT_ROOM: usize = 64 * 1024;

/// How far the body has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is no more.
    Done,
    /// This many bytes are left.
    Length(u64),
    /// Until the origin closes.
    UntilClose,
    /// In chunks.
    Chunked(At),
}

/// Where among chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// At the line of a size.
    Size,
    /// Within a chunk; this much of it is left.
    Data(u64),
    /// At the line end behind a chunk.
    DataEnd,
    /// Behind the last chunk, with this many bytes of trailers seen.
    Trailers(usize),
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Content.
    Data(Bytes),
    /// The body is over.
    End,
    /// Nothing before more has come; up to this many bytes are of use.
    More(usize),
}

impl Framing {
    /// Takes the next piece, at most `most` bytes of it.
    ///
    /// # Errors
    /// [`WireError::Grammar`].
    pub(super) fn take(&mut self, came: &mut BytesMut, most: usize) -> Result<Piece, WireError> {
        loop {
            match self {
                Self::Done => return Ok(Piece::End),
                Self::UntilClose if came.is_empty() => return Ok(Piece::More(CONTENT_ROOM)),
                Self::UntilClose => return Ok(Piece::Data(cut(came, most))),
                Self::Length(0) => *self = Self::Done,
                Self::Length(left) => return Ok(content(left, came, most)),
                Self::Chunked(at) => match at.take(came, most)? {
                    Walk::Found(piece) => return Ok(piece),
                    Walk::On => {}
                    Walk::End => *self = Self::Done,
                },
            }
            // A body whose last byte was handed out is over at once, so that nobody waits for its end.
        }
    }

    /// Notices an end that needs no more bytes.
    pub(super) fn settle(&mut self, came: &mut BytesMut) -> Result<(), WireError> {
        if *self == Self::Length(0) {
            *self = Self::Done;
        }
        while let Self::Chunked(at @ (At::Size | At::DataEnd | At::Trailers(_))) = self {
            match at.take(came, 0)? {
                Walk::On => {}
                Walk::End => *self = Self::Done,
                Walk::Found(_) => break,
            }
        }
        Ok(())
    }
}

enum Walk {
    Found(Piece),
    /// A step was made.
    On,
    End,
}

impl At {
    fn take(&mut self, came: &mut BytesMut, most: usize) -> Result<Walk, WireError> {
        match self {
            Self::Size => {
                let Some(line) = line(came, MAX_SIZE_LINE)? else { return Ok(Walk::Found(Piece::More(LINE_ROOM))) };
                *self = match size(&line)? {
                    0 => Self::Trailers(0),
                    size => Self::Data(size),
                };
                Ok(Walk::On)
            }
            Self::Data(left) => {
                let piece = content(left, came, most);
                if *left == 0 {
                    *self = Self::DataEnd;
                }
                Ok(Walk::Found(piece))
            }
            Self::DataEnd => match came.get(..2) {
                Some(b"\r\n") => {
                    came.advance(2);
                    *self = Self::Size;
                    Ok(Walk::On)
                }
                Some(_) => Err(WireError::Grammar("no line end behind a chunk")),
                None if came.first().is_some_and(|byte| *byte != b'\r') => {
                    Err(WireError::Grammar("no line end behind a chunk"))
                }
                None => Ok(Walk::Found(Piece::More(LINE_ROOM))),
            },
            Self::Trailers(seen) => {
                let Some(line) = line(came, MAX_TRAILERS)? else { return Ok(Walk::Found(Piece::More(LINE_ROOM))) };
                *seen += line.len();
                match line.is_empty() {
                    true => Ok(Walk::End),
                    false if *seen > MAX_TRAILERS => Err(WireError::Grammar("trailers without end")),
                    false => Ok(Walk::On),
                }
            }
        }
    }
}

/// The next content of a known length.
fn content(left: &mut u64, came: &mut BytesMut, most: usize) -> Piece {
    let wanted = usize::try_from(*left).unwrap_or(usize::MAX);
    if came.is_empty() {
        return Piece::More(wanted.min(CONTENT_ROOM));
    }
    let bytes = cut(came, most.min(wanted));
    *left -= bytes.len() as u64;
    Piece::Data(bytes)
}

fn cut(came: &mut BytesMut, most: usize) -> Bytes {
    let count = came.len().min(most);
    came.split_to(count).freeze()
}

/// The next line without its end, if it is whole.
fn line(came: &mut BytesMut, most: usize) -> Result<Option<Bytes>, WireError> {
    let Some(end) = came.iter().take(most).position(|byte| *byte == b'\n') else {
        return match came.len() >= most {
            true => Err(WireError::Grammar("a line without end among chunks")),
            false => Ok(None),
        };
    };
    let line = came.split_to(end + 1).freeze();
    match line.strip_suffix(b"\r\n") {
        Some(text) => Ok(Some(line.slice(..text.len()))),
        None => Err(WireError::Grammar("a bare LF among chunks")),
    }
}

fn size(line: &[u8]) -> Result<u64, WireError> {
    let end = line.iter().position(|byte| matches!(byte, b';' | b' ' | b'\t')).unwrap_or(line.len());
    let digits = line.get(..end).unwrap_or_default();
    if digits.is_empty() || digits.len() > MAX_SIZE_DIGITS {
        return Err(WireError::Grammar("a chunk's size is none"));
    }
    digits.iter().try_fold(0, |size, byte| {
        let digit = char::from(*byte).to_digit(16).ok_or(WireError::Grammar("a chunk's size is none"))?;
        Ok(size << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: Framing = Framing::Chunked(At::Size);

    /// What comes out when the bytes arrive `step` at a time and `most` are taken at once.
    fn walk(mut framing: Framing, bytes: &[u8], step: usize, most: usize) -> Result<(Vec<u8>, bool, usize), WireError> {
        let (mut came, mut content, mut rest) = (BytesMut::new(), Vec::new(), bytes);
        loop {
            match framing.take(&mut came, most)? {
                Piece::Data(piece) => {
                    assert!(piece.len() <= most && !piece.is_empty());
                    content.extend_from_slice(&piece);
                }
                Piece::End => return Ok((content, true, came.len() + rest.len())),
                Piece::More(wanted) => {
                    assert!(wanted > 0);
                    if rest.is_empty() {
                        return Ok((content, false, came.len()));
                    }
                    let (now, later) = rest.split_at(step.min(rest.len()));
                    came.extend_from_slice(now);
                    rest = later;
                }
            }
        }
    }

    #[test]
    fn bodies_come_out_whole_however_they_arrive() {
        let cases: &[(Framing, &[u8], &[u8], usize)] = &[
            (Framing::Length(5), b"hello", b"hello", 0),
            (Framing::Length(5), b"hello, more", b"hello", 6),
            (Framing::Length(0), b"next", b"", 4),
            (CHUNKED, b"5\r\nhello\r\n0\r\n\r\n", b"hello", 0),
            (CHUNKED, b"2;x=y\r\nhe\r\n00003 \r\nllo\r\n0\r\nA: b\r\nC: d\r\n\r\nnext", b"hello", 4),
            (CHUNKED, b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", 0),
        ];
        for (framing, bytes, content, behind) in cases {
            for step in 1..=bytes.len() {
                for most in [1, 3, 100] {
                    let walked = walk(*framing, bytes, step, most).unwrap();
                    assert_eq!(walked, (content.to_vec(), true, *behind), "{framing:?} {step} {most}");
                }
            }
        }
        assert_eq!(walk(Framing::UntilClose, b"all of it", 2, 100).unwrap(), (b"all of it".to_vec(), false, 0));
    }

    #[test]
    fn what_is_cut_off_does_not_end() {
        for (framing, bytes) in [
            (Framing::Length(5), &b"hell"[..]),
            (CHUNKED, b"5\r\nhello\r\n"),
            (CHUNKED, b"5\r\nhel"),
            (CHUNKED, b"5\r\nhello\r\n0\r\n"),
            (CHUNKED, b"5"),
        ] {
            assert!(!walk(framing, bytes, 1, 100).unwrap().1, "{framing:?}");
        }
    }

    #[test]
    fn chunks_against_the_grammar_are_refused_however_they_arrive() {
        let long = [b"1;".to_vec(), vec![b'x'; MAX_SIZE_LINE]].concat();
        let trailers = [b"0\r\n".to_vec(), b"a: b\r\n".repeat(MAX_TRAILERS)].concat();
        for bytes in [
            &b"zz\r\nhello\r\n"[..],
            b"\r\n",
            b"-1\r\n",
            b"0x5\r\nhello\r\n",
            b"5\nhello\r\n",
            b"2\r\nhello\r\n",
            b"2\r\nhe\nx",
            b"fffffffffffffffff\r\n",
            &long,
            &trailers,
        ] {
            for step in [1, 7, bytes.len()] {
                assert!(walk(CHUNKED, bytes, step, 100).is_err(), "{}", bytes.escape_ascii());
            }
        }
    }

    #[test]
    fn an_end_that_is_there_is_noticed_with_the_last_content() {
        let mut came = BytesMut::from(&b"2\r\nhe\r\n0\r\n\r\n"[..]);
        let mut framing = CHUNKED;
        assert_eq!(framing.take(&mut came, 100).unwrap(), Piece::Data(Bytes::from_static(b"he")));
        framing.settle(&mut came).unwrap();
        assert_eq!((framing, came.len()), (Framing::Done, 0));
        let mut framing = Framing::Length(2);
        framing.take(&mut BytesMut::from(&b"he"[..]), 100).unwrap();
        framing.settle(&mut came).unwrap();
        assert_eq!(framing, Framing::Done);
    }
}
