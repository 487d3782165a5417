//! Field lines up to the empty line: of a head, and of the trailers of a chunked body (RFC 9112 sections 5 and 7.1.2).

use super::{
    Refusal,
    bytes::{rest, start, token_span, value_span},
    value::{Facts, Field, Value},
};

/// The longest name that means something here.
const LONGEST: usize = b"transfer-encoding".len();

#[derive(Debug, Clone, Copy)]
enum At {
    /// At the start of a line.
    Line,
    Name,
    Value,
    /// A value that means nothing here.
    Plain,
    /// After the CR of a field line.
    Lf,
    /// After the CR of the empty line.
    LastLf,
}

/// Where field lines stand, and so which names are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Head,
    Trailers,
}

/// The walk along field lines.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    at: At,
    value: Value,
    section: Section,
    /// The start of a name that was cut in two by the way its bytes arrived.
    name: [u8; LONGEST],
    name_len: usize,
    count: usize,
    pub(super) facts: Facts,
}

impl Fields {
    pub(super) fn new(section: Section) -> Self {
        Self {
            at: At::Line,
            value: Value::of(Field::Other),
            section,
            name: [0; LONGEST],
            name_len: 0,
            count: 0,
            facts: Facts::default(),
        }
    }

    /// Walks on; returns how many bytes belong to the fields and whether the empty line was the last of them.
    pub(super) fn advance(
        &mut self,
        bytes: &[u8],
        authority: Option<&[u8]>,
        max_fields: usize,
    ) -> Result<(usize, bool), Refusal> {
        let mut taken = 0;
        while let Some(byte) = bytes.get(taken).copied() {
            if matches!(self.at, At::Line) && byte != b'\r' {
                taken += self.whole_lines(rest(bytes, taken), authority, max_fields)?;
            }
            let Some(byte) = bytes.get(taken).copied() else { break };
            taken += match (self.at, byte) {
                (At::Name, _) => self.name(rest(bytes, taken))?,
                (At::Plain, _) => self.plain(rest(bytes, taken))?,
                (At::Value, _) => self.value(rest(bytes, taken), authority)?,
                (At::LastLf, b'\n') => return Ok((taken + 1, true)),
                (At::Line | At::Lf | At::LastLf, _) => self.edge(byte, max_fields)?,
            };
        }
        Ok((taken, false))
    }

    /// Lines that are there from end to end, as nearly all are. The first that is not, or that has anything wrong with
    /// its form, is left to the walk, which knows why.
    fn whole_lines(&mut self, bytes: &[u8], authority: Option<&[u8]>, max_fields: usize) -> Result<usize, Refusal> {
        let mut taken = 0;
        while self.count < max_fields {
            let line = rest(bytes, taken);
            let (name, colon) = line.split_at_checked(token_span(line)).unwrap_or_default();
            let ([b':', value @ ..], Ok(field)) = (colon, Field::named(name)) else { break };
            let length = value_span(value);
            let (value, [b'\r', b'\n', ..]) = value.split_at_checked(length).unwrap_or_default() else { break };
            if name.is_empty() || self.section == Section::Trailers {
                break;
            }
            self.count += 1;
            if field != Field::Other {
                self.whole_value(field, value, authority)?;
            }
            taken += name.len() + 1 + length + 2;
        }
        Ok(taken)
    }

    fn whole_value(&mut self, field: Field, value: &[u8], authority: Option<&[u8]>) -> Result<(), Refusal> {
        self.facts.begin(field)?;
        let mut walk = Value::of(field);
        walk.feed(value, authority)?;
        walk.end(&mut self.facts, authority)
    }

    /// Between two lines.
    fn edge(&mut self, byte: u8, max_fields: usize) -> Result<usize, Refusal> {
        match (self.at, byte) {
            (At::Lf, b'\n') => self.at = At::Line,
            (At::Line, b'\r') => self.at = At::LastLf,
            (At::Line, b'\n') => return Err(Refusal::BareLf),
            (At::Line, b' ' | b'\t') => return Err(Refusal::FoldedField),
            (At::Line, _) => {
                self.count += 1;
                if self.count > max_fields {
                    return Err(Refusal::TooManyFields);
                }
                (self.at, self.name_len) = (At::Name, 0);
                return Ok(0);
            }
            _ => return Err(Refusal::BareCr),
        }
        Ok(1)
    }

    fn name(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let part = start(bytes, token_span(bytes));
        let field = match bytes.get(part.len()) {
            None => {
                self.keep(part);
                return Ok(part.len());
            }
            Some(b':') if self.name_len + part.len() == 0 => return Err(Refusal::BadFieldName),
            Some(b':') if self.name_len == 0 => Field::named(part)?,
            Some(b':') => {
                self.keep(part);
                // A longer name than any known is none of them.
                self.name.get(..self.name_len).map_or(Ok(Field::Other), Field::named)?
            }
            Some(b' ' | b'\t') => return Err(Refusal::SpaceBeforeColon),
            Some(b'\n') => return Err(Refusal::BareLf),
            Some(_) => return Err(Refusal::BadFieldName),
        };
        self.begin(field)?;
        Ok(part.len() + 1)
    }

    fn keep(&mut self, part: &[u8]) {
        let free = self.name.get_mut(self.name_len..).unwrap_or_default();
        free.iter_mut().zip(part).for_each(|(slot, byte)| *slot = *byte);
        self.name_len += part.len();
    }

    fn begin(&mut self, field: Field) -> Result<(), Refusal> {
        if self.section == Section::Trailers && field != Field::Other {
            return Err(Refusal::BadTrailer);
        }
        self.facts.begin(field)?;
        self.at = match field {
            Field::Other => At::Plain,
            field => {
                self.value = Value::of(field);
                At::Value
            }
        };
        Ok(())
    }

    fn value(&mut self, bytes: &[u8], authority: Option<&[u8]>) -> Result<usize, Refusal> {
        let part = start(bytes, value_span(bytes));
        self.value.feed(part, authority)?;
        match bytes.get(part.len()) {
            None => return Ok(part.len()),
            Some(b'\r') => self.value.end(&mut self.facts, authority)?,
            Some(_) => {}
        }
        self.end_of_value(bytes, part.len())
    }

    fn plain(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let part = value_span(bytes);
        match part == bytes.len() {
            true => Ok(part),
            false => self.end_of_value(bytes, part),
        }
    }

    fn end_of_value(&mut self, bytes: &[u8], at: usize) -> Result<usize, Refusal> {
        match rest(bytes, at) {
            [b'\r', b'\n', ..] => {
                self.at = At::Line;
                Ok(at + 2)
            }
            [b'\r', ..] => {
                self.at = At::Lf;
                Ok(at + 1)
            }
            [b'\n', ..] => Err(Refusal::BareLf),
            _ => Err(Refusal::ControlByte),
        }
    }
}
