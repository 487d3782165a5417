//! The edge's own answers: small, honest, and silent about the inside.
//!
//! A visitor of a customer's site learns whose turn it is to act and nothing of origins, addresses or gates. JSON is
//! sent when it is asked for.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};

/// Seconds after which a request that was turned away may be served (RFC 9110 section 10.2.3): whatever was short is
/// short for moments, and an origin that is left alone is tried again about then.
const RETRY_AFTER: &str = "5";

/// Why the edge answers instead of the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request's name is missing, malformed, or given twice.
    BadHost,
    /// The request is not HTTP, or its body broke off.
    BadRequest,
    /// The request expects what the edge does not do (RFC 9110 section 15.5.18).
    ExpectationFailed,
    /// The hostname has as many requests in flight as one may have.
    Busy,
    /// The name was served on this connection and is not any more; a new connection is refused.
    Gone,
    /// The request's head did not arrive in time (RFC 9110 section 15.5.9).
    HeadTimeout,
    /// The request's head is larger than the limit (RFC 6585 section 5).
    HeadTooLarge,
    /// Something broke inside the edge.
    Internal,
    /// The request has come through this edge before (RFC 8586 section 2).
    LoopDetected,
    /// The edge opens no tunnels for visitors (RFC 9110 section 9.3.6).
    MethodNotAllowed,
    /// The request is for another name than its connection (RFC 9110 section 15.5.20).
    Misdirected,
    /// The name is allowed but no origin is known for it.
    NoOrigin,
    /// The origin refused the connection, reset it, or answered what is not HTTP.
    OriginBroken,
    /// The origin's address is not one that the edge may dial.
    OriginForbidden,
    /// The origin's certificate does not prove its name.
    OriginNotTrusted,
    /// The origin has failed so often that it is left alone for a while.
    OriginPaused,
    /// The origin's port is not one that the edge may dial.
    OriginPort,
    /// The origin did not accept or did not answer in time.
    OriginSlow,
    /// The origin's name has no address.
    OriginUnknown,
    /// The edge itself is short of memory.
    Overloaded,
    /// The request's target is longer than the limit (RFC 9110 section 15.5.15).
    TargetTooLong,
    /// The request's version of HTTP is not one that is spoken here (RFC 9110 section 15.6.6).
    VersionNotSupported,
}

impl Fault {
    /// The status that a visitor sees.
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadHost | Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::ExpectationFailed => StatusCode::EXPECTATION_FAILED,
            Self::HeadTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::LoopDetected => StatusCode::LOOP_DETECTED,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Gone | Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::NoOrigin => StatusCode::NOT_FOUND,
            Self::OriginBroken
            | Self::OriginForbidden
            | Self::OriginNotTrusted
            | Self::OriginPort
            | Self::OriginUnknown => StatusCode::BAD_GATEWAY,
            Self::OriginSlow => StatusCode::GATEWAY_TIMEOUT,
            Self::Busy | Self::OriginPaused | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::VersionNotSupported => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        }
    }

    /// A stable word for logs and metrics. Visitors see [`public_code`](Self::public_code).
    pub fn code(self) -> &'static str {
        match self {
            Self::BadHost => "bad_host",
            Self::BadRequest => "bad_request",
            Self::Busy => "hostname_busy",
            Self::ExpectationFailed => "expectation_failed",
            Self::Gone => "name_gone",
            Self::HeadTimeout => "head_timeout",
            Self::HeadTooLarge => "head_too_large",
            Self::Internal => "internal",
            Self::LoopDetected => "loop_detected",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Misdirected => "misdirected",
            Self::NoOrigin => "no_origin",
            Self::OriginBroken => "origin_broken",
            Self::OriginForbidden => "ssrf_blocked",
            Self::OriginNotTrusted => "origin_not_trusted",
            Self::OriginPaused => "origin_paused",
            Self::OriginPort => "origin_port_refused",
            Self::OriginSlow => "origin_slow",
            Self::OriginUnknown => "origin_unknown",
            Self::Overloaded => "overloaded",
            Self::TargetTooLong => "target_too_long",
            Self::VersionNotSupported => "version_not_supported",
        }
    }

    /// The word that a visitor's program sees: one for each status, so that it tells nothing of the inside.
    pub fn public_code(self) -> &'static str {
        match self.status() {
            StatusCode::BAD_REQUEST => "bad_request",
            StatusCode::MISDIRECTED_REQUEST => "misdirected_request",
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "head_too_large",
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            StatusCode::REQUEST_TIMEOUT => "request_timeout",
            StatusCode::URI_TOO_LONG => "target_too_long",
            StatusCode::EXPECTATION_FAILED => "expectation_failed",
            StatusCode::HTTP_VERSION_NOT_SUPPORTED => "version_not_supported",
            StatusCode::BAD_GATEWAY => "bad_gateway",
            StatusCode::LOOP_DETECTED => "loop_detected",
            StatusCode::GATEWAY_TIMEOUT => "gateway_timeout",
            StatusCode::SERVICE_UNAVAILABLE => "service_unavailable",
            _ => "internal_error",
        }
    }

    /// One sentence for the visitor.
    fn sentence(self) -> &'static str {
        match self.status() {
            StatusCode::BAD_REQUEST => "The request could not be understood.",
            StatusCode::MISDIRECTED_REQUEST => "This connection was opened for another site. Please try again.",
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "The request's header fields are too large.",
            StatusCode::NOT_FOUND => "Nothing is set up at this address yet.",
            StatusCode::METHOD_NOT_ALLOWED => "The request's method is not served here.",
            StatusCode::REQUEST_TIMEOUT => "The request did not arrive in time.",
            StatusCode::URI_TOO_LONG => "The request's target is too long.",
            StatusCode::EXPECTATION_FAILED => "The request expects something that is not offered here.",
            StatusCode::HTTP_VERSION_NOT_SUPPORTED => "The request's version of HTTP is not spoken here.",
            StatusCode::LOOP_DETECTED => "The site behind this address leads back to itself.",
            StatusCode::BAD_GATEWAY => {
                "The site behind this address is not answering properly. Please try again later."
            }
            StatusCode::GATEWAY_TIMEOUT => {
                "The site behind this address takes too long to answer. Please try again later."
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                "The site behind this address cannot take more requests right now. Please try again in a moment."
            }
            _ => "The request could not be served. Please try again later.",
        }
    }

    /// Every fault, for metrics that exist from the start.
    pub const ALL: [Self; 22] = [
        Self::BadHost,
        Self::BadRequest,
        Self::Busy,
        Self::ExpectationFailed,
        Self::Gone,
        Self::HeadTimeout,
        Self::HeadTooLarge,
        Self::Internal,
        Self::LoopDetected,
        Self::MethodNotAllowed,
        Self::Misdirected,
        Self::NoOrigin,
        Self::OriginBroken,
        Self::OriginForbidden,
        Self::OriginNotTrusted,
        Self::OriginPaused,
        Self::OriginPort,
        Self::OriginSlow,
        Self::OriginUnknown,
        Self::Overloaded,
        Self::TargetTooLong,
        Self::VersionNotSupported,
    ];
}

/// A whole response of the edge's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// All the fields, `Content-Length` included.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// The body; for a HEAD request it is not to be sent.
    pub body: Bytes,
}

impl Answer {
    /// The bytes of this answer on an HTTP/1.1 connection that closes after it.
    pub fn last_on_http1(&self) -> Bytes {
        let reason = self.status.canonical_reason().unwrap_or_default();
        let mut bytes = format!("HTTP/1.1 {} {reason}\r\nconnection: close\r\n", self.status.as_u16()).into_bytes();
        for (name, value) in &self.fields {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes.into()
    }
}

/// Renders a fault as HTML, or as JSON when `accept` asks for it.
pub fn answer(fault: Fault, accept: Option<&HeaderValue>) -> Answer {
    let (kind, body) = match wants_json(accept) {
        true => ("application/json", json_body(fault)),
        false => ("text/html; charset=utf-8", html_body(fault)),
    };
    let mut fields = vec![
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_LENGTH, HeaderValue::from(body.len())),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    if fault.status() == StatusCode::SERVICE_UNAVAILABLE {
        fields.push((header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER)));
    }
    if fault == Fault::MethodNotAllowed {
        // RFC 9110 section 15.5.6 wants the list: of what the edge passes on, since the origin is not asked.
        fields.push((header::ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")));
    }
    Answer { status: fault.status(), fields, body: body.into() }
}

/// A permanent redirect that keeps method and body (RFC 9110 section 15.4.9).
pub fn redirect(location: HeaderValue) -> Answer {
    let fields = vec![(header::LOCATION, location), (header::CONTENT_LENGTH, HeaderValue::from_static("0"))];
    Answer { status: StatusCode::PERMANENT_REDIRECT, fields, body: Bytes::new() }
}

/// The file of HTTP-01 (RFC 8555 section 8.3).
pub fn key_authorization(text: &str) -> Answer {
    let body = Bytes::copy_from_slice(text.as_bytes());
    let fields = vec![
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain")),
        (header::CONTENT_LENGTH, HeaderValue::from(body.len())),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Answer { status: StatusCode::OK, fields, body }
}

/// JSON is meant when a JSON type stands in `Accept` and comes before any HTML.
fn wants_json(accept: Option<&HeaderValue>) -> bool {
    let Some(accept) = accept.and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let kinds = accept.split(',').map(|range| range.split(';').next().unwrap_or_default().trim());
    for kind in kinds {
        if kind.eq_ignore_ascii_case("text/html") {
            return false;
        }
        if kind.eq_ignore_ascii_case("application/json") || kind.to_ascii_lowercase().ends_with("+json") {
            return true;
        }
    }
    false
}

fn json_body(fault: Fault) -> String {
    let (code, sentence) = (fault.public_code(), fault.sentence());
    let status = fault.status().as_u16();
    format!("{{\"status\":{status},\"error\":{{\"code\":\"{code}\",\"message\":\"{sentence}\"}}}}\n")
}

fn html_body(fault: Fault) -> String {
    let status = fault.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let sentence = fault.sentence();
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{code} {reason}</title>\
         <body style=\"font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:20vh auto;padding:0 1rem\">\
         <h1 style=\"font-size:1.4rem\">{code} {reason}</h1><p>{sentence}</p></body></html>\n",
        code = status.as_u16()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_sent_only_when_it_is_asked_for_before_html() {
        const CASES: &[(&str, bool)] = &[
            ("application/json", true),
            ("application/problem+json;q=0.9", true),
            ("Application/JSON, text/plain", true),
            ("text/html,application/xhtml+xml,application/json", false),
            ("application/json,text/html", true),
            ("*/*", false),
            ("text/plain", false),
        ];
        for (accept, json) in CASES {
            let rendered = answer(Fault::OriginBroken, Some(&HeaderValue::from_str(accept).unwrap()));
            assert_eq!(rendered.body.starts_with(b"{"), *json, "{accept}");
        }
        assert!(answer(Fault::OriginBroken, None).body.starts_with(b"<!doctype"));
    }

    #[test]
    fn an_answer_tells_nothing_of_the_inside() {
        for fault in Fault::ALL {
            let body = answer(fault, Some(&HeaderValue::from_static("application/json"))).body;
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["status"], fault.status().as_u16());
            assert_eq!(body["error"]["code"], fault.public_code());
            let text = body.to_string().to_lowercase();
            for word in ["origin", "certificate", "upstream", "gate\"", "address resol"] {
                assert!(!text.contains(word), "{fault:?} tells of `{word}`: {text}");
            }
        }
    }

    #[test]
    fn the_length_is_that_of_the_body() {
        for fault in Fault::ALL {
            let rendered = answer(fault, None);
            let length = rendered.fields.iter().find(|(name, _)| name == header::CONTENT_LENGTH).unwrap();
            assert_eq!(length.1, HeaderValue::from(rendered.body.len()));
        }
    }
}
