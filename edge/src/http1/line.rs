//! The request line: `method SP target SP version CRLF` (RFC 9112 section 3).

use super::{
    Refusal,
    bytes::{AUTHORITY, rest, span, start, target_span, token_span},
};

/// Methods that are registered are at most 16 letters (`UPDATEREDIRECTREF` has 17); none needs more.
const MAX_METHOD: usize = 32;
const USUAL_END: &[u8] = b"HTTP/1.1\r\n";
/// `host:port` at its longest.
const MAX_AUTHORITY: usize = 261;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before the first byte. One empty line is allowed here, and only once (RFC 9112 section 2.2).
    Start,
    StartLf,
    Method,
    Target(Form),
    /// This many bytes of `HTTP/1.x` were there.
    Version(usize),
    Cr,
    Lf,
}

/// The four forms of RFC 9112 section 3.2, without that of CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Unknown,
    /// `/path?query`, or what follows the authority of an absolute one.
    Path,
    /// `*`, of OPTIONS.
    Asterisk,
    /// This many bytes of `http` were there.
    Scheme(usize),
    /// `https` or not, this many bytes of `://` were there.
    Slashes(usize),
    Authority,
}

/// The walk along a request line.
#[derive(Debug, Clone)]
pub(super) struct Line {
    at: At,
    method: [u8; 8],
    method_len: usize,
    target_len: usize,
    empty_line: bool,
    pub(super) http11: bool,
    /// The authority of an absolute target; nearly no request has one.
    pub(super) authority: Option<Vec<u8>>,
}

impl Line {
    pub(super) fn new() -> Self {
        Self {
            at: At::Start,
            method: [0; 8],
            method_len: 0,
            target_len: 0,
            empty_line: false,
            http11: true,
            authority: None,
        }
    }

    /// Whether not a single byte of this request was seen.
    pub(super) fn is_untouched(&self) -> bool {
        self.at == At::Start && !self.empty_line
    }

    /// Walks on; returns how many bytes belong to the line and whether it ended.
    pub(super) fn advance(&mut self, bytes: &[u8], max_target: usize) -> Result<(usize, bool), Refusal> {
        let mut taken = 0;
        while let Some(byte) = bytes.get(taken).copied() {
            taken += match self.at {
                At::Method => self.method(rest(bytes, taken))?,
                At::Target(form) => self.target(form, rest(bytes, taken), max_target)?,
                // What nearly every request says, and says at once.
                At::Version(0) if rest(bytes, taken).starts_with(USUAL_END) => {
                    return Ok((taken + USUAL_END.len(), true));
                }
                At::Lf if byte == b'\n' => return Ok((taken + 1, true)),
                _ => self.single(byte)?,
            };
        }
        Ok((taken, false))
    }

    fn single(&mut self, byte: u8) -> Result<usize, Refusal> {
        self.at = match (self.at, byte) {
            (At::Start, b'\r') if !self.empty_line => {
                self.empty_line = true;
                At::StartLf
            }
            (At::Start, b'\n') => return Err(Refusal::BareLf),
            (At::Start, _) => {
                self.at = At::Method;
                return Ok(0);
            }
            (At::StartLf, b'\n') => At::Start,
            (At::StartLf | At::Lf, _) => return Err(Refusal::BareCr),
            (At::Version(index), byte) => self.version(index, byte)?,
            (At::Cr, b'\r') => At::Lf,
            (At::Cr, b'\n') => return Err(Refusal::BareLf),
            _ => return Err(Refusal::BadRequestLine),
        };
        Ok(1)
    }

    fn method(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let word = start(bytes, token_span(bytes));
        let free = self.method.get_mut(self.method_len..).unwrap_or_default();
        free.iter_mut().zip(word).for_each(|(slot, byte)| *slot = *byte);
        self.method_len += word.len();
        let ended = bytes.get(word.len()).copied();
        match ended {
            _ if self.method_len > MAX_METHOD => Err(Refusal::BadMethod),
            None => Ok(word.len()),
            Some(b' ') if self.is_method(b"CONNECT") => Err(Refusal::Connect),
            Some(b' ') if self.method_len > 0 => {
                self.at = At::Target(Form::Unknown);
                Ok(word.len() + 1)
            }
            Some(b'\n') => Err(Refusal::BareLf),
            Some(_) => Err(Refusal::BadMethod),
        }
    }

    fn is_method(&self, name: &[u8]) -> bool {
        self.method_len == name.len() && self.method.starts_with(name)
    }

    fn target(&mut self, form: Form, bytes: &[u8], max: usize) -> Result<usize, Refusal> {
        let taken = match form {
            Form::Path => target_span(bytes),
            Form::Authority => self.read_authority(bytes)?,
            Form::Asterisk => 0,
            Form::Unknown | Form::Scheme(_) | Form::Slashes(_) => {
                self.at = At::Target(self.begin(form, bytes.first().copied().unwrap_or_default())?);
                1
            }
        };
        self.target_len += taken;
        if self.target_len > max {
            return Err(Refusal::TargetTooLong);
        }
        match (form, bytes.get(taken)) {
            (Form::Unknown | Form::Scheme(_) | Form::Slashes(_), _) | (_, None) => return Ok(taken),
            (Form::Authority, _) if self.authority.as_ref().is_none_or(Vec::is_empty) => {
                return Err(Refusal::AuthorityMismatch);
            }
            (_, Some(b' ')) => self.at = At::Version(0),
            (Form::Authority, Some(b'/' | b'?')) => self.at = At::Target(Form::Path),
            (_, Some(b'\n')) => return Err(Refusal::BareLf),
            (Form::Authority, Some(_)) => return Err(Refusal::AuthorityMismatch),
            (Form::Path | Form::Asterisk, Some(_)) => return Err(Refusal::BadTarget),
        }
        // The space is done with; a slash belongs to the path.
        Ok(taken + usize::from(self.at == At::Version(0)))
    }

    /// The bytes that decide which form a target has, one by one.
    fn begin(&mut self, form: Form, byte: u8) -> Result<Form, Refusal> {
        let lower = byte.to_ascii_lowercase();
        match (form, byte) {
            (Form::Unknown, b'/') => Ok(Form::Path),
            (Form::Unknown, b'*') if self.is_method(b"OPTIONS") => Ok(Form::Asterisk),
            (Form::Unknown, b'h' | b'H') => Ok(Form::Scheme(1)),
            (Form::Scheme(4), b's' | b'S') => Ok(Form::Slashes(0)),
            (Form::Scheme(4), b':') => Ok(Form::Slashes(1)),
            (Form::Scheme(index), _) if b"http".get(index) == Some(&lower) => Ok(Form::Scheme(index + 1)),
            (Form::Slashes(2), b'/') => {
                self.authority = Some(Vec::new());
                Ok(Form::Authority)
            }
            (Form::Slashes(index), _) if b"://".get(index) == Some(&byte) => Ok(Form::Slashes(index + 1)),
            (_, b'\n') => Err(Refusal::BareLf),
            _ => Err(Refusal::BadTarget),
        }
    }

    fn read_authority(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let part = start(bytes, span(bytes, &AUTHORITY));
        let authority = self.authority.get_or_insert_default();
        if authority.len() + part.len() > MAX_AUTHORITY {
            return Err(Refusal::AuthorityMismatch);
        }
        authority.extend_from_slice(part);
        Ok(part.len())
    }

    fn version(&mut self, index: usize, byte: u8) -> Result<At, Refusal> {
        match (index, byte) {
            (7, b'0' | b'1') => {
                self.http11 = byte == b'1';
                Ok(At::Cr)
            }
            // `HTTP/2.0`, `HTTP/1.2`: understood, and not spoken here (RFC 9110 section 15.6.6).
            (5 | 7, b'0'..=b'9') if byte != b'1' => Err(Refusal::Version),
            _ if b"HTTP/1.".get(index) == Some(&byte) => Ok(At::Version(index + 1)),
            (_, b'\n') => Err(Refusal::BareLf),
            _ => Err(Refusal::BadRequestLine),
        }
    }
}
