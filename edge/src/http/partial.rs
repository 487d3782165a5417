//! What can be read of a head that was refused: for its line in the access log and for the form of its answer.
//!
//! Nothing is decided by it. What is not plain text is left out, since whoever sent it may want it in somebody's terminal.

use http::{HeaderMap, HeaderName, HeaderValue, Version, header};

/// The readable part of a head, empty where there is none.
#[derive(Debug, PartialEq, Eq)]
pub struct PartialHead<'a> {
    /// The method.
    pub method: &'a str,
    /// The target as it came.
    pub target: &'a str,
    /// HTTP/1.0 if it says so.
    pub version: Version,
    /// The first `Host`.
    pub host: &'a str,
    /// The first of each field that the log keeps or the answer looks at.
    pub fields: HeaderMap,
}

const KEPT: [HeaderName; 3] = [header::ACCEPT, header::REFERER, header::USER_AGENT];

impl<'a> PartialHead<'a> {
    /// Reads what there is.
    pub fn read(bytes: &'a [u8]) -> Self {
        let mut lines = bytes.split(|byte| *byte == b'\n').map(|line| text(line.strip_suffix(b"\r").unwrap_or(line)));
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let version = if words.next() == Some("HTTP/1.0") { Version::HTTP_10 } else { Version::HTTP_11 };
        let mut head = Self { method, target, version, host: "", fields: HeaderMap::new() };
        for (name, value) in lines.take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':')) {
            head.take(name, value.trim());
        }
        head
    }

    fn take(&mut self, name: &str, value: &'a str) {
        if self.host.is_empty() && name.eq_ignore_ascii_case("host") {
            self.host = value;
        }
        let Some(kept) = KEPT.into_iter().find(|kept| name.eq_ignore_ascii_case(kept.as_str())) else { return };
        if let Ok(value) = HeaderValue::from_str(value) {
            self.fields.entry(kept).or_insert(value);
        }
    }
}

/// A line if it is one that can be shown.
fn text(line: &[u8]) -> &str {
    let plain = line.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    std::str::from_utf8(line).ok().filter(|_| plain).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_readable_is_read_and_nothing_else() {
        let head = PartialHead::read(
            b"GET /a?b HTTP/1.0\r\nHOST: a.test\nUser-Agent : no\r\nUser-Agent: x/1\r\nCookie: secret\r\nAccept:application/json\r\nAcc",
        );
        assert_eq!((head.method, head.target, head.version, head.host), ("GET", "/a?b", Version::HTTP_10, "a.test"));
        assert_eq!(head.fields.len(), 2);
        assert_eq!(
            (&head.fields["user-agent"], &head.fields["accept"]),
            (&"x/1".parse().unwrap(), &"application/json".parse().unwrap())
        );
        for bytes in [&b""[..], b"\x16\x03\x01\x02\x00", b"\r\n\r\n", b"G\x1b[2JT / HTTP/1.1\r\n\r\nHost: b"] {
            let head = PartialHead::read(bytes);
            assert_eq!((head.method, head.target, head.host, head.fields.len()), ("", "", "", 0), "{bytes:?}");
        }
    }
}
