//! [`Onward`]: a visitor's request as its origin gets it over HTTP/1.1.
//!
//! Nothing is copied to be changed: the changes stand beside the head that came, and are made while it is written.

use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use pingora_http::{HeaderNameVariant, RequestHeader};

use crate::{
    http::{Head, answer::Fault},
    origin::Sending,
};

/// Names in `Connection` that are looked at; more are nobody's honest wish.
const MAX_NAMED: usize = 9;
/// Names that `Connection` may not take away from a request: the edge's own word, and the host.
const PROTECTED: &[&str] = &["host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
/// Fields that are about the visitor's connection alone (RFC 9110 section 7.6.1).
const OF_THE_CONNECTION: &[&str] = &[
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A request head and what is different for the origin.
pub(super) struct Onward<'a> {
    request: &'a RequestHeader,
    dropped: Vec<HeaderName>,
    set: Vec<(HeaderName, HeaderValue)>,
}

impl Head for Onward<'_> {
    /// As the visitor sent them.
    fn fields(&self) -> &HeaderMap {
        &self.request.headers
    }

    fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.set.retain(|(known, _)| *known != name);
        self.set.push((name, value));
    }

    fn drop_field(&mut self, name: &HeaderName) {
        self.dropped.push(name.clone());
    }
}

impl<'a> Onward<'a> {
    /// The request without what `Connection` names.
    ///
    /// # Errors
    /// [`Fault::BadRequest`] when `Connection` names what it may not, or no field.
    pub(super) fn new(request: &'a RequestHeader) -> Result<Self, Fault> {
        let dropped = named_by_connection(&request.headers)?;
        Ok(Self { request, dropped, set: Vec::with_capacity(8) })
    }

    /// Writes the head; `has_body` is whether one follows. Says how the body is to be sent.
    pub(super) fn write(&self, out: &mut Vec<u8>, has_body: bool, tunnel: bool) -> Sending {
        out.extend_from_slice(self.request.method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(target(self.request));
        out.extend_from_slice(b" HTTP/1.1\r\n");
        self.write_fields(out);
        for (name, value) in &self.set {
            write_field(out, name.as_str().as_bytes(), value);
        }
        if tunnel {
            out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
        }
        let chunked = has_body && !self.request.headers.contains_key(header::CONTENT_LENGTH);
        if chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        out.extend_from_slice(b"\r\n");
        if chunked { Sending::Chunked } else { Sending::Plain }
    }

    fn write_fields(&self, out: &mut Vec<u8>) {
        // Over HTTP/2 a cookie may come in pieces (RFC 9113 section 8.2.3); HTTP/1.1 knows one field.
        let joins = self.request.version == Version::HTTP_2;
        let write = |name: HeaderNameVariant<'_>, value: &HeaderValue| {
            let name = match &name {
                HeaderNameVariant::Case(name) => name.as_slice(),
                HeaderNameVariant::Titled(name) => name.as_bytes(),
            };
            let joined = joins && name.eq_ignore_ascii_case(b"cookie");
            if !joined && !self.is_left_out(name) {
                write_field(out, name, value);
            }
            Ok(())
        };
        // Fails only when the closure does.
        let _ = self.request.map(write);
        if joins {
            self.write_cookie(out);
        }
    }

    fn write_cookie(&self, out: &mut Vec<u8>) {
        for (n, crumb) in self.request.headers.get_all(header::COOKIE).iter().enumerate() {
            out.extend_from_slice(if n == 0 { b"Cookie: " } else { b"; " });
            out.extend_from_slice(crumb.as_bytes());
        }
        if self.request.headers.contains_key(header::COOKIE) {
            out.extend_from_slice(b"\r\n");
        }
    }

    fn is_left_out(&self, name: &[u8]) -> bool {
        let is = |known: &str| known.len() == name.len() && known.as_bytes().eq_ignore_ascii_case(name);
        OF_THE_CONNECTION.iter().any(|known| is(known))
            || self.set.iter().any(|(known, _)| is(known.as_str()))
            || self.dropped.iter().any(|known| is(known.as_str()))
    }
}

/// Takes what stays behind off a head that goes on over HTTP/2. Of a visitor of HTTP/2 `te` goes on: it can only say
/// `trailers` there (RFC 9113 section 8.2.2), which gRPC asks for.
pub(super) fn leave_behind(head: &mut impl Head, request: &RequestHeader) {
    let over_h2 = request.version == Version::HTTP_2;
    // Refused before, when they cannot be read.
    let named = named_by_connection(&request.headers).unwrap_or_default();
    let of_the_connection = OF_THE_CONNECTION.iter().filter(|name| !(over_h2 && **name == "te"));
    for name in of_the_connection.map(|name| HeaderName::from_static(name)).chain(named) {
        head.drop_field(&name);
    }
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &HeaderValue) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The target in the form that an origin is asked in (RFC 9112 section 3.2).
fn target(request: &RequestHeader) -> &[u8] {
    let raw = request.raw_path();
    match raw {
        [b'/', ..] | b"*" => raw,
        _ => request.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).as_bytes(),
    }
}

/// The fields that `Connection` takes away (RFC 9110 section 7.6.1).
fn named_by_connection(fields: &HeaderMap) -> Result<Vec<HeaderName>, Fault> {
    let values = fields.get_all(header::CONNECTION).iter();
    let words = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let mut named = Vec::new();
    for (n, word) in words.filter(|word| !word.is_empty()).enumerate() {
        let name = HeaderName::from_bytes(word).map_err(|_| Fault::BadRequest)?;
        if n == MAX_NAMED || PROTECTED.contains(&name.as_str()) {
            return Err(Fault::BadRequest);
        }
        // What frames the body, and what is left out anyway.
        let known = matches!(name.as_str(), "keep-alive" | "close" | "upgrade" | "content-length");
        named.extend(Some(name).filter(|_| !known));
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, target: &[u8], fields: &[(&'static str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build("GET", target, None).unwrap();
        request.set_version(version);
        for (name, value) in fields {
            request.append_header(*name, *value).unwrap();
        }
        request
    }

    fn wire(request: &RequestHeader, has_body: bool, change: impl FnOnce(&mut Onward<'_>)) -> String {
        let mut onward = Onward::new(request).unwrap();
        change(&mut onward);
        let mut out = Vec::new();
        onward.write(&mut out, has_body, false);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_head_goes_on_as_it_came_but_for_what_was_changed() {
        let fields = [("Host", "a.test"), ("X-Odd", "1"), ("x-odd", "2"), ("Accept", "*/*"), ("X-Real-IP", "1.2.3.4")];
        let request = request(Version::HTTP_11, b"/a?b=%2F..", &fields);
        let wire = wire(&request, false, |onward| {
            onward.set(header::HOST, HeaderValue::from_static("origin.test"));
            onward.set(header::FORWARDED, HeaderValue::from_static("for=1"));
            onward.set(header::FORWARDED, HeaderValue::from_static("for=2"));
            onward.drop_field(&HeaderName::from_static("x-real-ip"));
        });
        assert!(wire.starts_with("GET /a?b=%2F.. HTTP/1.1\r\n"), "{wire}");
        let mut lines: Vec<_> = wire.trim_end().split("\r\n").skip(1).collect();
        lines.sort_unstable();
        assert_eq!(lines, ["Accept: */*", "X-Odd: 1", "forwarded: for=2", "host: origin.test", "x-odd: 2"]);
    }

    #[test]
    fn fields_about_the_visitors_connection_stay_behind() {
        let fields = [
            ("Host", "a.test"),
            ("Connection", "close, X-Mine"),
            ("X-Mine", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("Proxy-Authorization", "Basic eA=="),
            ("TE", "trailers"),
            ("Trailer", "x"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "h2c"),
            ("HTTP2-Settings", "AA"),
        ];
        let request = request(Version::HTTP_11, b"/", &fields);
        assert_eq!(wire(&request, false, |_| {}), "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert!(wire(&request, true, |_| {}).ends_with("\r\nTransfer-Encoding: chunked\r\n\r\n"));
    }

    #[test]
    fn the_same_stays_behind_over_http2_but_for_the_wish_for_trailers() {
        let fields =
            [("te", "trailers"), ("proxy-authorization", "Basic eA=="), ("connection", "x-mine"), ("x-mine", "1")];
        for (version, left) in [(Version::HTTP_11, vec![]), (Version::HTTP_2, vec!["te"])] {
            let request = request(version, b"/", &fields);
            let mut head = request.clone();
            leave_behind(&mut head, &request);
            assert_eq!(head.headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), left);
        }
    }

    #[test]
    fn connection_takes_nothing_away_that_others_rely_on() {
        let many = ["a"; MAX_NAMED + 1].join(",");
        for named in ["host", "X-Forwarded-For", ":authority", "a b", "\"x\"", "é", &many] {
            let request = request(Version::HTTP_11, b"/", &[("Host", "a.test"), ("Connection", named)]);
            assert_eq!(Onward::new(&request).err(), Some(Fault::BadRequest), "{named}");
        }
        let request = request(Version::HTTP_11, b"/", &[("Connection", "content-length"), ("Content-Length", "5")]);
        assert!(wire(&request, true, |_| {}).contains("Content-Length: 5\r\n"));
    }

    #[test]
    fn cookies_in_pieces_are_joined_and_a_whole_target_is_shortened() {
        let crumbs = [("cookie", "a=1"), ("accept", "*/*"), ("cookie", "b=2")];
        let crumbs = request(Version::HTTP_2, b"/", &crumbs);
        assert_eq!(wire(&crumbs, false, |_| {}), "GET / HTTP/1.1\r\naccept: */*\r\nCookie: a=1; b=2\r\n\r\n");
        for (target, expected) in [("http://a.test/x?y", "/x?y"), ("http://a.test", "/"), ("*", "*")] {
            let request = request(Version::HTTP_11, target.as_bytes(), &[]);
            assert_eq!(wire(&request, false, |_| {}), format!("GET {expected} HTTP/1.1\r\n\r\n"));
        }
    }
}
