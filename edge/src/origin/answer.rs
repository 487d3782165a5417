//! The head of an origin's answer (RFC 9112 section 4): read once it is whole.

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pingora_http::ResponseHeader;

use super::{
    body::{At, Framing},
    wire::WireError,
};

/// Bytes of a head. Servers in front of applications allow 8 to 16 KiB.
const MAX_HEAD: usize = 64 * 1024;
/// Fields of a head.
const MAX_FIELDS: usize = 256;

/// A head, and what it says of what follows.
#[derive(Debug)]
pub(super) struct Answer {
    /// Status and fields, without those that are about this connection alone (RFC 9110 section 7.6.1).
    pub(super) head: Box<ResponseHeader>,
    /// Bytes of the head.
    pub(super) length: usize,
    /// How the body ends, if the status and the request allow one.
    pub(super) framing: Framing,
    /// Whether the origin keeps the connection open behind it (RFC 9112 section 9.3).
    pub(super) keeps: bool,
}

/// Reads a head; `None` while it is not whole.
///
/// # Errors
/// [`WireError::Grammar`].
pub(super) fn parse(came: &BytesMut) -> Result<Option<Answer>, WireError> {
    if came.is_empty() {
        return Ok(None);
    }
    let mut fields = [const { std::mem::MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let mut rules = httparse::ParserConfig::default();
    // What a proxy has to bear and to repair (RFC 9112 sections 5.1 and 5.2).
    rules.allow_spaces_after_header_name_in_responses(true);
    rules.allow_obsolete_multiline_headers_in_responses(true);
    let length = match rules.parse_response_with_uninit_headers(&mut parsed, came, &mut fields) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(httparse::Status::Partial) if came.len() < MAX_HEAD => return Ok(None),
        Ok(_) => return Err(WireError::Grammar("a head without end")),
        Err(httparse::Error::TooManyHeaders) => return Err(WireError::Grammar("too many fields")),
        Err(_) => return Err(WireError::Grammar("a head against the grammar")),
    };
    let http11 = parsed.version == Some(1);
    let code = parsed.code.unwrap_or_default();
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.status = StatusCode::from_u16(code).map_err(|_| WireError::Grammar("a status that is none"))?;
    head.headers.reserve(parsed.headers.len());
    let mut facts = Facts::default();
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let name = name.map_err(|_| WireError::Grammar("a field's name that is none"))?;
        let value = value(field.value)?;
        if facts.note(&name, &value)? {
            head.headers.append(name, value);
        }
    }
    facts.drop_named(&mut head.headers);
    if head.status == StatusCode::SWITCHING_PROTOCOLS
        && let Some(upgrade) = facts.upgrade
    {
        // The one field about the connection that is meant for both of its ends.
        head.headers.insert(header::UPGRADE, upgrade);
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    let framing = match (facts.chunked, facts.length) {
        (true, Some(_)) => return Err(WireError::Grammar("a length beside chunks")),
        (true, None) if !http11 => return Err(WireError::Grammar("chunks in HTTP/1.0")),
        (true, None) => Framing::Chunked(At::Size),
        (false, Some(length)) => Framing::Length(length),
        (false, None) => Framing::UntilClose,
    };
    let keeps = if http11 { !facts.close } else { facts.keep_alive };
    let mut head = Box::new(ResponseHeader::from(head));
    head.set_reason_phrase(parsed.reason).map_err(|_| WireError::Grammar("a reason that is none"))?;
    Ok(Some(Answer { head, length, framing, keeps }))
}

/// A folded line is one line with spaces (RFC 9112 section 5.2).
fn value(bytes: &[u8]) -> Result<HeaderValue, WireError> {
    let folded = bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
    let value = match folded {
        false => HeaderValue::from_bytes(bytes),
        true => {
            let unfolded: Vec<u8> =
                bytes.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }).collect();
            HeaderValue::from_bytes(&unfolded)
        }
    };
    value.map_err(|_| WireError::Grammar("a control byte in a field"))
}

/// What the fields say of the connection and the body.
#[derive(Debug, Default)]
struct Facts {
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    upgrade: Option<HeaderValue>,
    /// Fields that `Connection` names.
    named: Vec<HeaderName>,
}

impl Facts {
    /// Notes a field; whether it is passed on.
    fn note(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<bool, WireError> {
        match *name {
            header::CONTENT_LENGTH => return self.note_length(value),
            header::TRANSFER_ENCODING => self.note_encoding(value)?,
            header::CONNECTION => self.note_connection(value),
            header::UPGRADE => self.upgrade = Some(value.clone()),
            header::TE | header::PROXY_AUTHENTICATE => {}
            _ => return Ok(!matches!(name.as_str(), "keep-alive" | "proxy-connection")),
        }
        Ok(false)
    }

    /// A list of equal lengths is one length (RFC 9110 section 8.6); it is passed on once.
    fn note_length(&mut self, value: &HeaderValue) -> Result<bool, WireError> {
        let first = self.length.is_none();
        for text in value.as_bytes().split(|byte| *byte == b',') {
            let text = text.trim_ascii();
            let length = text.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(text).ok()?.parse().ok());
            let length: u64 = length.flatten().ok_or(WireError::Grammar("a length that is none"))?;
            if *self.length.get_or_insert(length) != length {
                return Err(WireError::Grammar("two lengths"));
            }
        }
        Ok(first && !value.as_bytes().contains(&b','))
    }

    fn note_encoding(&mut self, value: &HeaderValue) -> Result<(), WireError> {
        if self.chunked || !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") {
            return Err(WireError::Grammar("an encoding other than chunked"));
        }
        self.chunked = true;
        Ok(())
    }

    fn note_connection(&mut self, value: &HeaderValue) {
        for word in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            match word {
                word if word.eq_ignore_ascii_case(b"close") => self.close = true,
                word if word.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
                word => self.named.extend(HeaderName::from_bytes(word)),
            }
        }
    }

    /// `Connection: content-length` would take the framing away; what frames stays.
    fn drop_named(&self, fields: &mut HeaderMap) {
        for name in self.named.iter().filter(|name| **name != header::CONTENT_LENGTH) {
            fields.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Answer>, WireError> {
        parse(&BytesMut::from(text))
    }

    fn fields(text: &str) -> Vec<String> {
        let head = read(text).unwrap().unwrap().head;
        let fields = head.headers.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap()));
        let mut fields: Vec<_> = fields.collect();
        fields.sort();
        fields
    }

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let text = "HTTP/1.1 404 Gone Fishing\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 3\r\n\r\nabc";
        for cut in 0..text.len() - 4 {
            assert!(read(&text[..cut]).unwrap().is_none(), "{cut}");
        }
        let answer = read(text).unwrap().unwrap();
        assert_eq!((answer.head.status.as_u16(), answer.length), (404, text.len() - 3));
        assert_eq!(answer.head.get_reason_phrase(), Some("Gone Fishing"));
        assert_eq!((answer.framing, answer.keeps), (Framing::Length(3), true));
        assert_eq!(fields(text), ["content-length=3", "x-a=1", "x-a=2"]);
    }

    #[test]
    fn the_fields_say_how_the_body_ends_and_whether_the_connection_stays() {
        let cases = [
            ("1.1", "", Framing::UntilClose, true),
            ("1.1", "Content-Length: 7\r\n", Framing::Length(7), true),
            ("1.1", "Content-Length: 7, 7\r\nContent-Length: 7\r\n", Framing::Length(7), true),
            ("1.1", "Transfer-Encoding: Chunked\r\n", Framing::Chunked(At::Size), true),
            ("1.1", "Content-Length: 7\r\nConnection: x, Close\r\n", Framing::Length(7), false),
            ("1.0", "Content-Length: 7\r\n", Framing::Length(7), false),
            ("1.0", "Content-Length: 7\r\nConnection: keep-alive\r\n", Framing::Length(7), true),
        ];
        for (version, fields, framing, keeps) in cases {
            let answer = read(&format!("HTTP/{version} 200 OK\r\n{fields}\r\n")).unwrap().unwrap();
            assert_eq!((answer.framing, answer.keeps), (framing, keeps), "{version} {fields}");
        }
    }

    #[test]
    fn what_is_about_the_connection_is_not_passed_on() {
        let text = "HTTP/1.1 200 OK\r\nConnection: X-Mine, keep-alive, content-length\r\nX-Mine: 1\r\nKeep-Alive: \
            timeout=5\r\nProxy-Connection: a\r\nUpgrade: h2c\r\nTE: x\r\nContent-Length: 0\r\nServer : y\r\n\r\n";
        assert_eq!(fields(text), ["content-length=0", "server=y"]);
        let text = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        assert_eq!(fields(text), ["connection=Upgrade", "upgrade=websocket"]);
        assert_eq!(
            fields("HTTP/1.1 200 OK\r\nX: a\r\n  b\r\nContent-Length: 0\r\n\r\n"),
            ["content-length=0", "x=a    b"]
        );
    }

    #[test]
    fn a_head_against_the_grammar_is_refused() {
        let long = format!("X: {}\r\n", "a".repeat(MAX_HEAD));
        let many = "X: a\r\n".repeat(MAX_FIELDS + 1);
        for fields in [
            "Content-Length: +5\r\n",
            "Content-Length: \r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "X: a\0b\r\n",
            ": a\r\n",
            &long,
            &many,
        ] {
            assert!(read(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).is_err(), "{}", fields.escape_debug());
        }
        assert!(read("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        for line in ["HTTP/2 200 OK", "HTTP/1.1 20 OK", "200 OK", "\0"] {
            assert!(read(&format!("{line}\r\n\r\n")).is_err(), "{line}");
        }
    }
}
