//! The access log's line: one JSON object per request, in the field names of Caddy's access log.
//!
//! Of the header fields only `User-Agent` and `Referer` are kept, so that no cookie, credential or token can reach a
//! log. A visitor's bytes are escaped by the JSON writer; a line never holds a raw line break.

use std::{net::IpAddr, time::Duration};

use clock::Timestamp;
use http::{HeaderMap, HeaderValue, Version, header};
use serde::{Serialize, Serializer};

/// One handled request.
#[derive(Debug, Serialize)]
pub struct Record<'a> {
    level: &'static str,
    #[serde(serialize_with = "unix_seconds")]
    ts: Timestamp,
    logger: &'static str,
    msg: &'static str,
    request: RequestFacts<'a>,
    bytes_read: u64,
    user_id: &'static str,
    #[serde(serialize_with = "seconds")]
    duration: Duration,
    size: u64,
    status: u16,
    resp_headers: ResponseFields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<UpstreamFacts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

/// What was asked.
#[derive(Debug, Serialize)]
pub struct RequestFacts<'a> {
    /// Address of the TCP peer.
    pub remote_ip: IpAddr,
    /// Port of the TCP peer, as text, as Caddy writes it.
    #[serde(serialize_with = "as_text")]
    pub remote_port: u16,
    /// Address of the visitor when a trusted proxy stands in between.
    pub client_ip: IpAddr,
    /// `HTTP/1.1`, `HTTP/2.0`.
    #[serde(serialize_with = "proto")]
    pub proto: Version,
    /// The method.
    pub method: &'a str,
    /// The authority as the visitor sent it.
    pub host: &'a str,
    /// Path and query.
    pub uri: &'a str,
    /// The request's kept fields.
    pub headers: RequestFields<'a>,
    /// The TLS connection.
    pub tls: TlsFacts<'a>,
}

/// The TLS connection of a request; numbers as in the IANA registries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TlsFacts<'a> {
    /// Whether the session was resumed.
    pub resumed: bool,
    /// 771 for TLS 1.2, 772 for TLS 1.3.
    pub version: u16,
    /// The cipher suite's number.
    pub cipher_suite: u16,
    /// The ALPN protocol, empty when none was agreed on.
    pub proto: &'a str,
    /// The name in the ClientHello, canonical.
    pub server_name: &'a str,
}

/// The fields of a request that are kept, each as a list, as Caddy writes them.
#[derive(Debug, Serialize)]
pub struct RequestFields<'a> {
    #[serde(rename = "User-Agent", skip_serializing_if = "Option::is_none")]
    user_agent: Option<[&'a str; 1]>,
    #[serde(rename = "Referer", skip_serializing_if = "Option::is_none")]
    referer: Option<[&'a str; 1]>,
}

impl<'a> RequestFields<'a> {
    /// Picks the kept fields.
    pub fn of(fields: &'a HeaderMap) -> Self {
        let text = |name| fields.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(|text| [text]);
        Self { user_agent: text(header::USER_AGENT), referer: text(header::REFERER) }
    }
}

/// The fields of a response that are kept.
#[derive(Debug, Default, Serialize)]
pub struct ResponseFields<'a> {
    #[serde(rename = "Content-Type", skip_serializing_if = "Option::is_none")]
    content_type: Option<[&'a str; 1]>,
}

impl<'a> ResponseFields<'a> {
    /// Picks the kept fields.
    pub fn of(fields: &'a HeaderMap) -> Self {
        let value = fields.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Self { content_type: value.map(|text| [text]) }
    }
}

/// Where the request went.
#[derive(Debug, Clone, Serialize)]
pub struct UpstreamFacts {
    /// The address that was dialled.
    pub addr: String,
    /// Whether the connection was one that stood already.
    pub reused: bool,
}

/// How it ended.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// When the answer was complete.
    pub at: Timestamp,
    /// From the request's head to the end of the response.
    pub duration: Duration,
    /// Bytes of the request's body that came in.
    pub bytes_read: u64,
    /// Bytes of the response's body that went out.
    pub size: u64,
    /// The status, 0 when no response was sent.
    pub status: u16,
    /// The response's kept fields.
    pub resp_headers: ResponseFields<'a>,
    /// Where the request went, if it was sent on.
    pub upstream: Option<UpstreamFacts>,
    /// The control plane's id of the connection.
    pub connection_id: Option<&'a str>,
    /// Why the edge answered itself, as a stable word.
    pub error: Option<&'static str>,
}

impl<'a> Record<'a> {
    /// Joins what was asked with how it ended.
    pub fn new(request: RequestFacts<'a>, outcome: Outcome<'a>) -> Self {
        let level = if outcome.status >= 500 { "error" } else { "info" };
        Self {
            level,
            ts: outcome.at,
            logger: "http.log.access",
            msg: "handled request",
            request,
            bytes_read: outcome.bytes_read,
            user_id: "",
            duration: outcome.duration,
            size: outcome.size,
            status: outcome.status,
            resp_headers: outcome.resp_headers,
            upstream: outcome.upstream,
            connection_id: outcome.connection_id,
            error: outcome.error,
        }
    }

    /// The line, with its line feed.
    pub fn line(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(640);
        // Writing to memory fails only if a value refuses to serialize, and none of these can.
        if serde_json::to_writer(&mut line, self).is_ok() {
            line.push(b'\n');
        }
        line
    }
}

fn unix_seconds<S: Serializer>(moment: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this century fit in 53 bits")]
    serializer.serialize_f64(moment.as_millis() as f64 / 1000.0)
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

fn as_text<S: Serializer>(port: &u16, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(port)
}

fn proto<S: Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match *version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_by_a_pipeline_made_for_caddy() {
        let mut fields = HeaderMap::new();
        fields.insert(header::USER_AGENT, HeaderValue::from_static("curl/8"));
        fields.insert(header::COOKIE, HeaderValue::from_static("session=secret"));
        fields.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer secret"));
        let request = RequestFacts {
            remote_ip: "203.0.113.7".parse().unwrap(),
            remote_port: 4711,
            client_ip: "203.0.113.7".parse().unwrap(),
            proto: Version::HTTP_2,
            method: "GET",
            host: "shop.customer.test",
            uri: "/a?b\n\"",
            headers: RequestFields::of(&fields),
            tls: TlsFacts {
                resumed: false,
                version: 772,
                cipher_suite: 4865,
                proto: "h2",
                server_name: "shop.customer.test",
            },
        };
        let outcome = Outcome {
            at: Timestamp::from_millis(1_646_861_401_524),
            duration: Duration::from_micros(930),
            bytes_read: 0,
            size: 10_900,
            status: 200,
            resp_headers: ResponseFields::default(),
            upstream: Some(UpstreamFacts { addr: "127.0.0.1:3000".to_owned(), reused: true }),
            connection_id: Some("con_1"),
            error: None,
        };
        let line = Record::new(request, outcome).line();
        assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1);
        assert!(!String::from_utf8_lossy(&line).contains("secret"));
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        let expected = serde_json::json!({
            "level": "info", "ts": 1_646_861_401.524, "logger": "http.log.access", "msg": "handled request",
            "request": {
                "remote_ip": "203.0.113.7", "remote_port": "4711", "client_ip": "203.0.113.7", "proto": "HTTP/2.0",
                "method": "GET", "host": "shop.customer.test", "uri": "/a?b\n\"",
                "headers": {"User-Agent": ["curl/8"]},
                "tls": {"resumed": false, "version": 772, "cipher_suite": 4865, "proto": "h2",
                        "server_name": "shop.customer.test"}
            },
            "bytes_read": 0, "user_id": "", "duration": 0.00093, "size": 10_900, "status": 200, "resp_headers": {},
            "upstream": {"addr": "127.0.0.1:3000", "reused": true}, "connection_id": "con_1"
        });
        assert_eq!(line, expected);
    }
}
