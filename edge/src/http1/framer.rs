//! The walk along a connection: head, body, head, body.

use super::{
    Refusal,
    body::Body,
    bytes::rest,
    fields::{Fields, Section},
    line::Line,
};

/// How large a head may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the whole head, line ends included (RFC 6585 section 5).
    pub bytes: usize,
    /// Fields.
    pub fields: usize,
    /// Bytes of the target (RFC 9110 section 15.5.15).
    pub target: usize,
}

/// How far the bytes carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// How many of them belong to the request.
    pub taken: usize,
    /// Whether the request ended with them; the rest belongs to the next.
    pub ended: bool,
}

/// Knows where each request of a connection begins and ends.
#[derive(Debug, Clone)]
pub struct Framer {
    limits: HeadLimits,
    part: Part,
    size: usize,
    line: Line,
    fields: Fields,
    asks_for_websocket: bool,
}

#[derive(Debug, Clone)]
enum Part {
    Line,
    Fields,
    Body(Body),
}

impl Framer {
    /// At the start of a connection.
    pub fn new(limits: HeadLimits) -> Self {
        let fields = Fields::new(Section::Head);
        Self { limits, part: Part::Line, size: 0, line: Line::new(), fields, asks_for_websocket: false }
    }

    /// Whether the last request ended and no byte of another was seen.
    pub fn is_between(&self) -> bool {
        matches!(self.part, Part::Line) && self.line.is_untouched()
    }

    /// Whether a head has begun and is not whole.
    pub fn is_in_head(&self) -> bool {
        !self.is_between() && !self.is_in_body()
    }

    /// Whether a head is whole and its body is not.
    pub fn is_in_body(&self) -> bool {
        matches!(self.part, Part::Body(_))
    }

    /// Whether the request that was read last asks for a WebSocket: after its 101 the bytes are no HTTP (RFC 6455).
    pub fn asks_for_websocket(&self) -> bool {
        self.asks_for_websocket
    }

    /// Walks along the bytes until they or the request end.
    ///
    /// # Errors
    /// [`Refusal`] at the first byte that cannot belong to an accepted request. Nothing after it has a meaning.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<Step, Refusal> {
        let mut taken = 0;
        if !self.is_in_body() {
            taken = self.head(bytes)?;
        }
        let Part::Body(body) = &mut self.part else {
            return Ok(Step { taken, ended: taken > 0 && self.is_between() });
        };
        let (part, ended) = body.advance(rest(bytes, taken), self.limits.fields)?;
        if ended {
            self.part = Part::Line;
        }
        Ok(Step { taken: taken + part, ended })
    }

    fn head(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        // No byte beyond the limit is looked at, so that the answer does not depend on how the bytes arrived.
        let bytes = bytes.get(..self.limits.bytes.saturating_sub(self.size)).unwrap_or(bytes);
        let (mut taken, mut ended) = (0, false);
        if matches!(self.part, Part::Line) {
            (taken, ended) = self.line.advance(bytes, self.limits.target)?;
            if ended {
                self.part = Part::Fields;
            }
        }
        if matches!(self.part, Part::Fields) {
            let authority = self.line.authority.as_deref();
            let (part, whole) = self.fields.advance(rest(bytes, taken), authority, self.limits.fields)?;
            (taken, ended) = (taken + part, whole);
        }
        self.size += taken;
        match ended && matches!(self.part, Part::Fields) {
            true => self.head_is_whole()?,
            false if self.size >= self.limits.bytes => return Err(Refusal::HeadTooLarge),
            false => {}
        }
        Ok(taken)
    }

    /// Looks at the fields together, and makes ready for the next head.
    fn head_is_whole(&mut self) -> Result<(), Refusal> {
        let facts = self.fields.facts;
        let body = match (facts.content_length, facts.chunked) {
            (Some(_), true) => return Err(Refusal::LengthAndEncoding),
            (_, true) if !self.line.http11 => return Err(Refusal::TransferEncodingOnHttp10),
            (_, true) => Some(Body::chunked()),
            (Some(0) | None, false) => None,
            (Some(length), false) => Some(Body::Length(length)),
        };
        if !facts.host {
            return Err(Refusal::MissingHost);
        }
        if facts.websocket && body.is_some() {
            return Err(Refusal::UpgradeWithBody);
        }
        self.asks_for_websocket = facts.websocket && self.line.http11;
        (self.size, self.line, self.fields) = (0, Line::new(), Fields::new(Section::Head));
        self.part = body.map_or(Part::Line, Part::Body);
        Ok(())
    }
}
