//! Pingora's request head as a [`Head`].

use http::{HeaderMap, HeaderName, HeaderValue};
use pingora_http::RequestHeader;

use crate::{
    http::{Head, answer::Fault},
    http1::HeadLimits,
};

impl Head for RequestHeader {
    fn fields(&self) -> &HeaderMap {
        &self.headers
    }

    fn set(&mut self, name: HeaderName, value: HeaderValue) {
        // Fails only for names and values that cannot be parsed; these are parsed already.
        let _ = self.insert_header(name, value);
    }

    fn drop_field(&mut self, name: &HeaderName) {
        self.remove_header(name);
    }
}

/// The authority of a request: `Host`, or `:authority` where an HTTP/2 client sent only that.
pub(crate) fn authority(head: &RequestHeader) -> Option<&str> {
    match head.headers.get(http::header::HOST) {
        Some(host) => host.to_str().ok(),
        None => head.uri.authority().map(http::uri::Authority::as_str),
    }
}

/// Path and query as they came, for redirects and the log.
pub(crate) fn path_and_query(head: &RequestHeader) -> &str {
    head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str)
}

/// What the guard of an HTTP/1 connection would have refused of a request that came over HTTP/2.
///
/// # Errors
/// The fault to answer with.
pub(crate) fn check_h2(head: &RequestHeader, limits: &HeadLimits) -> Result<(), Fault> {
    let target = head.raw_path();
    if target.len() > limits.target {
        return Err(Fault::TargetTooLong);
    }
    // Counted with repetition: every piece of a cookie is a field (RFC 9113 section 8.2.3).
    if head.headers.len() > limits.fields {
        return Err(Fault::HeadTooLarge);
    }
    let lookalike = head.headers.keys().any(|name| LOOKALIKES.contains(&name.as_str()));
    let path = target.starts_with(b"/") || (target == b"*" && head.method == http::Method::OPTIONS);
    let bad_target = !path || target.iter().any(|byte| !byte.is_ascii_graphic() || *byte == b'#');
    let bad_expect = head.headers.get(http::header::EXPECT).is_some_and(|value| !is_100_continue(value.as_bytes()));
    match (lookalike || bad_target, bad_expect) {
        (true, _) => Err(Fault::BadRequest),
        (false, true) => Err(Fault::ExpectationFailed),
        (false, false) => Ok(()),
    }
}

/// Names that a server behind a gateway of variables reads as the field with `-`.
const LOOKALIKES: &[&str] = &["content_length", "transfer_encoding"];

fn is_100_continue(value: &[u8]) -> bool {
    value.eq_ignore_ascii_case(b"100-continue")
}

/// Whether a request is a WebSocket's opening handshake (RFC 6455 section 4.1).
pub(crate) fn is_websocket(head: &RequestHeader) -> bool {
    let fields = &head.headers;
    let one = |name: HeaderName| {
        let mut values = fields.get_all(name).iter();
        values.next().filter(|_| values.next().is_none())
    };
    let is = |name: HeaderName, text: &str| {
        one(name).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(text.as_bytes()))
    };
    let connection = fields.get_all(http::header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    head.version == http::Version::HTTP_11
        && head.method == http::Method::GET
        && is(http::header::UPGRADE, "websocket")
        && is(http::header::SEC_WEBSOCKET_VERSION, "13")
        && one(http::header::SEC_WEBSOCKET_KEY).is_some()
        && connection.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case("upgrade"))
}

/// Takes away an upgrade that is not passed on: the request is served without it (RFC 9110 section 7.8).
pub(crate) fn drop_upgrade(head: &mut RequestHeader) {
    head.remove_header(&http::header::UPGRADE);
    head.remove_header("http2-settings");
}
