//! Where a body ends: by its length, or chunk by chunk (RFC 9112 sections 6 and 7.1).

use super::{
    Refusal,
    bytes::{rest, value_span},
    fields::{Fields, Section},
};

/// Digits of a chunk's size: 15 are 2^60 bytes, and nothing overflows.
const MAX_SIZE_DIGITS: usize = 15;
/// Bytes of extensions in all chunks of a body. Nothing uses them, and they are never passed on.
const MAX_EXTENSIONS: usize = 1024;
/// Bytes of trailers.
const MAX_TRAILERS: usize = 8 * 1024;

/// The walk along a body.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// This many bytes are left.
    Length(u64),
    Chunked(Box<Chunks>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailers,
}

/// The walk along chunks. Boxed: few requests have them, and every connection has room for a body.
#[derive(Debug, Clone)]
pub(super) struct Chunks {
    at: At,
    digits: usize,
    /// Of the chunk whose line is read, then what is left of its data.
    size: u64,
    extensions: usize,
    trailers: Fields,
    trailer_bytes: usize,
}

impl Body {
    pub(super) fn chunked() -> Self {
        let trailers = Fields::new(Section::Trailers);
        Self::Chunked(Box::new(Chunks { at: At::Size, digits: 0, size: 0, extensions: 0, trailers, trailer_bytes: 0 }))
    }

    /// Walks on; returns how many bytes belong to the body and whether it ended.
    pub(super) fn advance(&mut self, bytes: &[u8], max_fields: usize) -> Result<(usize, bool), Refusal> {
        match self {
            Self::Length(left) => Ok((skip(left, bytes), *left == 0)),
            Self::Chunked(chunks) => chunks.advance(bytes, max_fields),
        }
    }
}

/// Counts as many bytes as there are, down from what is left.
fn skip(left: &mut u64, bytes: &[u8]) -> usize {
    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left -= taken as u64;
    taken
}

impl Chunks {
    fn advance(&mut self, bytes: &[u8], max_fields: usize) -> Result<(usize, bool), Refusal> {
        let mut taken = 0;
        while let Some(byte) = bytes.get(taken).copied() {
            taken += match self.at {
                At::Data => self.data(rest(bytes, taken)),
                At::Extension => self.extension(rest(bytes, taken))?,
                At::Trailers => {
                    let (part, ended) = self.trailers(rest(bytes, taken), max_fields)?;
                    if ended {
                        return Ok((taken + part, true));
                    }
                    part
                }
                At::Size | At::SizeLf | At::DataCr | At::DataLf => self.single(byte)?,
            };
        }
        Ok((taken, false))
    }

    fn single(&mut self, byte: u8) -> Result<usize, Refusal> {
        self.at = match (self.at, byte) {
            (At::Size, b'\r') if self.digits > 0 => At::SizeLf,
            (At::Size, b';') if self.digits > 0 => At::Extension,
            (At::Size, b'\n') => return Err(Refusal::BareLf),
            (At::Size, _) => self.digit(byte)?,
            (At::SizeLf, b'\n') if self.size == 0 => At::Trailers,
            (At::SizeLf, b'\n') => At::Data,
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => {
                (self.digits, self.size) = (0, 0);
                At::Size
            }
            (At::SizeLf, _) => return Err(Refusal::BareCr),
            _ => return Err(Refusal::BadChunkEnd),
        };
        Ok(1)
    }

    fn digit(&mut self, byte: u8) -> Result<At, Refusal> {
        let digit = char::from(byte).to_digit(16).ok_or(Refusal::BadChunkSize)?;
        self.digits += 1;
        if self.digits > MAX_SIZE_DIGITS {
            return Err(Refusal::BadChunkSize);
        }
        self.size = self.size << 4 | u64::from(digit);
        Ok(At::Size)
    }

    fn extension(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let part = value_span(bytes);
        self.extensions += part;
        if self.extensions > MAX_EXTENSIONS {
            return Err(Refusal::ChunkExtensionsTooLarge);
        }
        match bytes.get(part) {
            None => Ok(part),
            Some(b'\r') => {
                self.at = At::SizeLf;
                Ok(part + 1)
            }
            Some(b'\n') => Err(Refusal::BareLf),
            Some(_) => Err(Refusal::BadChunkExtension),
        }
    }

    fn data(&mut self, bytes: &[u8]) -> usize {
        let taken = skip(&mut self.size, bytes);
        if self.size == 0 {
            self.at = At::DataCr;
        }
        taken
    }

    fn trailers(&mut self, bytes: &[u8], max_fields: usize) -> Result<(usize, bool), Refusal> {
        // No byte beyond the limit is looked at, so that the answer does not depend on how the bytes arrived.
        let allowed = bytes.get(..MAX_TRAILERS - self.trailer_bytes).unwrap_or(bytes);
        let (taken, ended) = self.trailers.advance(allowed, None, max_fields)?;
        self.trailer_bytes += taken;
        match !ended && self.trailer_bytes == MAX_TRAILERS {
            true => Err(Refusal::HeadTooLarge),
            false => Ok((taken, ended)),
        }
    }
}
