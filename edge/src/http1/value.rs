//! Values of the fields that frame, route or upgrade a request, read byte by byte.

use super::{
    Refusal,
    bytes::{AUTHORITY, rest, span},
};

/// More digits than any body has bytes.
const MAX_DIGITS: usize = 18;

/// What a field means to the framer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    ContentLength,
    Expect,
    Host,
    TransferEncoding,
    Upgrade,
    /// Anything else: its bytes are checked and its meaning is the origin's.
    Other,
}

impl Field {
    /// By name, in any case. A `_` in place of `-` is no other spelling but an attack: CGI and WSGI read both as one.
    #[inline]
    pub(super) fn named(name: &[u8]) -> Result<Self, Refusal> {
        // Nearly all names differ in their length already.
        match matches!(name.len(), 4 | 6 | 7 | 14 | 17) {
            true => Self::of_known_length(name),
            false => Ok(Self::Other),
        }
    }

    fn of_known_length(name: &[u8]) -> Result<Self, Refusal> {
        let (known, field): (&[u8], Self) = match name.len() {
            4 => (b"host", Self::Host),
            6 => (b"expect", Self::Expect),
            7 => (b"upgrade", Self::Upgrade),
            14 => (b"content-length", Self::ContentLength),
            17 => (b"transfer-encoding", Self::TransferEncoding),
            _ => return Ok(Self::Other),
        };
        // And of those that do not, nearly all in their first letter.
        if name.first().map(u8::to_ascii_lowercase) != known.first().copied() {
            return Ok(Self::Other);
        }
        if name.eq_ignore_ascii_case(known) {
            return Ok(field);
        }
        let dashed = name.iter().map(|byte| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() });
        match dashed.eq(known.iter().copied()) {
            true => Err(Refusal::LookalikeField),
            false => Ok(Self::Other),
        }
    }
}

/// What the fields of a head say about its framing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) content_length: Option<u64>,
    pub(super) chunked: bool,
    pub(super) host: bool,
    pub(super) websocket: bool,
    expect: bool,
}

impl Facts {
    /// A field begins: once is enough for those that frame or route.
    pub(super) fn begin(&self, field: Field) -> Result<(), Refusal> {
        match field {
            Field::ContentLength if self.content_length.is_some() => Err(Refusal::DuplicateContentLength),
            Field::TransferEncoding if self.chunked => Err(Refusal::DuplicateTransferEncoding),
            Field::Host if self.host => Err(Refusal::DuplicateHost),
            Field::Expect if self.expect => Err(Refusal::Expectation),
            _ => Ok(()),
        }
    }
}

/// The walk along one value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    field: Field,
    /// Bytes of the value itself so far, without the white space around it.
    length: usize,
    /// White space came after them.
    spaced: bool,
    /// Everything so far is as it should be.
    matches: bool,
    number: u64,
}

impl Value {
    pub(super) fn of(field: Field) -> Self {
        Self { field, length: 0, spaced: false, matches: true, number: 0 }
    }

    /// Takes the next bytes. `authority` is that of an absolute target, which `Host` has to repeat.
    pub(super) fn feed(&mut self, bytes: &[u8], authority: Option<&[u8]>) -> Result<(), Refusal> {
        let host = self.field == Field::Host && authority.is_none() && self.length == 0;
        let usual = if host { span(bytes.trim_ascii_start(), &AUTHORITY) } else { 0 };
        if usual > 0 {
            self.length += usual;
            return self.walk(rest(bytes.trim_ascii_start(), usual), authority);
        }
        self.walk(bytes, authority)
    }

    fn walk(&mut self, bytes: &[u8], authority: Option<&[u8]>) -> Result<(), Refusal> {
        for byte in bytes {
            match byte {
                b' ' | b'\t' => self.spaced = self.length > 0,
                _ if self.spaced => self.mismatch()?,
                byte => self.take(*byte, authority)?,
            }
        }
        Ok(())
    }

    fn take(&mut self, byte: u8, authority: Option<&[u8]>) -> Result<(), Refusal> {
        let lower = byte.to_ascii_lowercase();
        let as_expected = |word: &[u8], at: usize| word.get(at) == Some(&lower);
        let good = match self.field {
            Field::ContentLength => byte.is_ascii_digit() && self.length < MAX_DIGITS,
            Field::Expect => as_expected(b"100-continue", self.length),
            Field::TransferEncoding => as_expected(b"chunked", self.length),
            Field::Upgrade => as_expected(b"websocket", self.length),
            #[expect(clippy::indexing_slicing, reason = "a byte is within 256")]
            Field::Host => AUTHORITY[usize::from(byte)] && self.repeats(byte, authority)?,
            Field::Other => true,
        };
        if !good {
            return self.mismatch();
        }
        if self.field == Field::ContentLength {
            self.number = self.number * 10 + u64::from(byte - b'0');
        }
        self.length += 1;
        Ok(())
    }

    fn repeats(&self, byte: u8, authority: Option<&[u8]>) -> Result<bool, Refusal> {
        match authority {
            Some(expected) if !expected.get(self.length).is_some_and(|other| other.eq_ignore_ascii_case(&byte)) => {
                Err(Refusal::AuthorityMismatch)
            }
            _ => Ok(true),
        }
    }

    /// Another upgrade than to WebSocket is passed over, not refused: clients offer h2c and go on without it.
    fn mismatch(&mut self) -> Result<(), Refusal> {
        match self.field {
            Field::ContentLength => Err(Refusal::BadContentLength),
            Field::Expect => Err(Refusal::Expectation),
            Field::Host => Err(Refusal::BadHost),
            Field::TransferEncoding => Err(Refusal::BadTransferEncoding),
            Field::Upgrade | Field::Other => {
                self.matches = false;
                self.length += 1;
                Ok(())
            }
        }
    }

    /// The line ended.
    pub(super) fn end(&self, facts: &mut Facts, authority: Option<&[u8]>) -> Result<(), Refusal> {
        match self.field {
            Field::ContentLength if self.length == 0 => return Err(Refusal::BadContentLength),
            Field::ContentLength => facts.content_length = Some(self.number),
            Field::Expect if self.length != b"100-continue".len() => return Err(Refusal::Expectation),
            Field::Expect => facts.expect = true,
            Field::Host if self.length == 0 => return Err(Refusal::BadHost),
            Field::Host if authority.is_some_and(|expected| expected.len() != self.length) => {
                return Err(Refusal::AuthorityMismatch);
            }
            Field::Host => facts.host = true,
            Field::TransferEncoding if self.length != b"chunked".len() => return Err(Refusal::BadTransferEncoding),
            Field::TransferEncoding => facts.chunked = true,
            Field::Upgrade => facts.websocket |= self.matches && self.length == b"websocket".len(),
            Field::Other => {}
        }
        Ok(())
    }
}
