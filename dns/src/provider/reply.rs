//! [`Reply`]: a provider's answer, and what its status says when nothing else does.

use std::time::Duration;

use bytes::Bytes;
use clock::Timestamp;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::Problem;

/// Characters of a provider's own words that are kept.
const MAX_SAID: usize = 300;
/// Fields in which interfaces put a sentence for people, in the order in which they are looked at.
const SENTENCES: [&str; 10] = [
    "message",
    "error_description",
    "description",
    "detail",
    "reason",
    "error",
    "errors",
    "Message",
    "non_field_errors",
    "0",
];
/// A number above this is a moment in seconds, below it a span.
const EPOCH: i64 = 1_000_000_000;

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// The body as JSON of the expected shape. Fields that are not expected are passed over.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The body as any JSON; null when it is none.
    pub(crate) fn value(&self) -> Value {
        self.json().unwrap_or(Value::Null)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// What the status means by itself.
    pub(crate) fn problem(&self) -> Option<Problem> {
        Some(match self.status.as_u16() {
            200..=299 => return None,
            300..=399 => Problem::Transient("a redirect, which is not followed"),
            401 => Problem::Auth,
            402 | 403 => Problem::Forbidden,
            404 | 410 => Problem::ZoneNotFound,
            405 | 501 => Problem::Unsupported("a call that it does not know"),
            408 => Problem::Transient("the provider waited too long"),
            409 => Problem::Conflict,
            429 => Problem::RateLimited { retry_after: None },
            500..=599 => Problem::Transient("the provider has a fault"),
            _ if self.says_taken() => Problem::Conflict,
            _ => Problem::Invalid,
        })
    }

    /// The provider's own sentence, if the body is JSON or XML and has one. Pages are not quoted. It may repeat what it was
    /// sent, and is as long as the provider likes.
    pub(crate) fn said(&self) -> Option<String> {
        let said = sentence(&self.value(), 4).or_else(|| element(&self.text(), "Message"));
        said.or_else(|| element(&self.text(), "Error"))
    }

    /// Whether the sentence of a refusal speaks of another record. Few interfaces have a code for that.
    fn says_taken(&self) -> bool {
        let said = self.said().unwrap_or_default().to_ascii_lowercase();
        ["already exist", "cannot share", "conflict", "duplicate", "identical"].iter().any(|word| said.contains(word))
    }

    /// When requests are taken again: `Retry-After` (RFC 9110 section 10.2.3) or one of the reset fields.
    pub(crate) fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        let text = |name: &str| self.headers.get(name)?.to_str().ok().map(|text| text.trim().to_owned());
        if let Some(value) = text(header::RETRY_AFTER.as_str()) {
            return match value.parse::<f64>() {
                Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
                Err(_) => {
                    let date = httpdate::parse_http_date(&value).ok()?;
                    Some(Timestamp::from(date).checked_since(now).unwrap_or_default())
                }
            };
        }
        let reset = text("ratelimit-reset").or_else(|| text("x-ratelimit-reset"))?.parse::<i64>().ok()?;
        match reset > EPOCH {
            true => Some(Timestamp::from_secs(reset).checked_since(now).unwrap_or_default()),
            false => Some(Duration::from_secs(u64::try_from(reset).ok()?)),
        }
    }
}

fn sentence(value: &Value, depth: u8) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Array(all) if depth > 0 => all.iter().find_map(|one| sentence(one, depth - 1)),
        Value::Object(fields) if depth > 0 => {
            let known = SENTENCES.iter().find_map(|name| sentence(fields.get(*name)?, depth - 1));
            // deSEC names the field that is wrong: {"subname": ["..."]}.
            known.or_else(|| {
                fields.values().filter(|value| value.is_array()).find_map(|value| sentence(value, depth - 1))
            })
        }
        _ => None,
    }
}

/// The text of the first element of this name, in an XML document.
fn element(document: &str, name: &str) -> Option<String> {
    let document = document.starts_with("<?xml").then_some(document)?;
    let (_, rest) = [" ", ">"].iter().find_map(|end| document.split_once(&format!("<{name}{end}")))?;
    let (before, _) = rest.split_once(&format!("</{name}>"))?;
    let text = before.rsplit_once('>').map_or(before, |(_, text)| text);
    quick_xml::escape::unescape(text).ok().map(std::borrow::Cow::into_owned)
}

/// One line of bounded length without control characters.
pub(crate) fn shorten(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_SAID).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, headers: &[(&'static str, &str)], body: &str) -> Reply {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Reply { status: StatusCode::from_u16(status).unwrap(), headers, body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    #[test]
    fn the_wait_is_read_in_all_its_forms() {
        let now = Timestamp::from_secs(1_700_000_000);
        let wait = |name, value: &str| reply(429, &[(name, value)], "").retry_after(now);
        assert_eq!(wait("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("retry-after", "0.5"), Some(Duration::from_millis(500)));
        assert_eq!(wait("retry-after", "Tue, 14 Nov 2023 22:13:50 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(wait("retry-after", "soon"), None);
        assert_eq!(wait("retry-after", "-1"), None);
        assert_eq!(wait("x-ratelimit-reset", "1700000060"), Some(Duration::from_secs(60)));
        assert_eq!(wait("ratelimit-reset", "12"), Some(Duration::from_secs(12)));
    }

    #[test]
    fn the_providers_sentence_is_found_and_pages_are_not_quoted() {
        const CASES: &[(&str, Option<&str>)] = &[
            (r#"{"message":"no such zone"}"#, Some("no such zone")),
            (r#"{"errors":[{"code":81053,"message":"taken"}]}"#, Some("taken")),
            (r#"{"errors":[{"field":"name","reason":"bad"}]}"#, Some("bad")),
            (r#"{"error":{"code":"x","message":"y"}}"#, Some("y")),
            (r#"{"subname":["too long"]}"#, Some("too long")),
            ("<html><h1>Bad gateway", None),
            ("", None),
        ];
        for (body, expected) in CASES {
            assert_eq!(reply(400, &[], body).said().as_deref(), *expected, "{body}");
        }
        assert_eq!(shorten(&"x\n".repeat(1000)).len(), MAX_SAID - 1);
    }
}
