//! One try: a POST and what came of it.

use std::time::Duration;

use dns::outward::{TargetError, refusal};
use http::{HeaderName, HeaderValue, StatusCode, header};
use reqwest::Response;
use tokio::time::{Instant, timeout_at};

use super::Http;
use crate::core::Moment;

/// A try with everything in it: resolving, connecting, TLS, request, answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How much of an answer is read. The rest is not waited for.
const MAX_ANSWER: usize = 4 * 1024;
/// How much of it is kept, in characters, for whoever looks for the reason.
const KEPT_ANSWER: usize = 1024;
/// How much of an error's text is kept, in characters.
const KEPT_ERROR: usize = 300;

/// What is sent.
pub(crate) struct Attempt<'a, H> {
    pub(crate) url: &'a str,
    pub(crate) headers: H,
    pub(crate) body: Vec<u8>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Any 2xx.
    Delivered { status: StatusCode, answer: String },
    /// The target is none that may be told.
    Forbidden(TargetError),
    /// 410: the receiver wants nothing any more.
    Gone { answer: String },
    /// Any other status, redirects among them.
    Refused { status: StatusCode, answer: String, retry_after: Option<HeaderValue> },
    /// No answer within five seconds.
    TimedOut,
    /// No connection, or one that ended.
    Unreachable(String),
    /// Its secret could not be used; the receiver has no part in that.
    Unsigned,
}

impl Outcome {
    /// The label in metrics.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Delivered { .. } => "delivered",
            Self::Forbidden(_) => "forbidden",
            Self::Gone { .. } => "gone",
            Self::Refused { .. } => "refused",
            Self::TimedOut => "timed_out",
            Self::Unreachable(_) => "unreachable",
            Self::Unsigned => "unsigned",
        }
    }

    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Delivered { status, .. } | Self::Refused { status, .. } => Some(status.as_u16()),
            Self::Gone { .. } => Some(StatusCode::GONE.as_u16()),
            Self::Forbidden(_) | Self::TimedOut | Self::Unreachable(_) | Self::Unsigned => None,
        }
    }

    /// What went wrong, for the owner of the endpoint.
    pub(crate) fn error(&self) -> Option<String> {
        match self {
            Self::Delivered { .. } | Self::Gone { .. } | Self::Refused { .. } => None,
            Self::Forbidden(error) => Some(error.to_string()),
            Self::TimedOut => Some(format!("no answer within {} seconds", TIMEOUT.as_secs())),
            Self::Unreachable(error) => Some(error.clone()),
            Self::Unsigned => Some("the message could not be signed; the operator has been told".to_owned()),
        }
    }

    /// The start of the answer.
    pub(crate) fn answer(&self) -> Option<String> {
        match self {
            Self::Delivered { answer, .. } | Self::Gone { answer } | Self::Refused { answer, .. } => {
                Some(answer.clone()).filter(|answer| !answer.is_empty())
            }
            Self::Forbidden(_) | Self::TimedOut | Self::Unreachable(_) | Self::Unsigned => None,
        }
    }

    /// How long the receiver asks to be left alone: `Retry-After` of 429 and 503 (RFC 9110 section 10.2.3).
    pub(crate) fn retry_after(&self, now: Moment) -> Option<Duration> {
        let Self::Refused {
            status: StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, retry_after, ..
        } = self
        else {
            return None;
        };
        let text = retry_after.as_ref()?.to_str().ok()?;
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let at = httpdate::parse_http_date(text).ok()?;
        Some(Moment::from(clock::Timestamp::from(at)).since(now))
    }
}

impl<H: Iterator<Item = (HeaderName, HeaderValue)>> Attempt<'_, H> {
    /// Sends it. Ends within five seconds.
    pub(crate) async fn send(self, http: &Http) -> Outcome {
        let deadline = Instant::now() + TIMEOUT;
        let url = match http.targets.check(self.url) {
            Ok(url) => url,
            Err(error) => return Outcome::Forbidden(error),
        };
        let request = http.client.post(url).header(header::CONTENT_TYPE, "application/json").body(self.body);
        let request = self.headers.fold(request, |request, (name, value)| request.header(name, value));
        match timeout_at(deadline, request.send()).await {
            Err(_) => Outcome::TimedOut,
            Ok(Err(error)) => failed(error),
            Ok(Ok(response)) => answered(response, deadline).await,
        }
    }
}

/// The status is the answer: a body that does not come changes nothing about it.
async fn answered(mut response: Response, deadline: Instant) -> Outcome {
    let status = response.status();
    let retry_after = response.headers().get(header::RETRY_AFTER).cloned();
    let mut body = Vec::new();
    while body.len() < MAX_ANSWER
        && let Ok(Ok(Some(piece))) = timeout_at(deadline, response.chunk()).await
    {
        body.extend(piece.iter().take(MAX_ANSWER - body.len()));
    }
    let answer = printable(&body);
    match status {
        StatusCode::GONE => Outcome::Gone { answer },
        status if status.is_success() => Outcome::Delivered { status, answer },
        status => Outcome::Refused { status, answer, retry_after },
    }
}

/// Text that every database keeps and every terminal shows.
fn printable(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let keep = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().filter(|c| *c != '\r').take(KEPT_ANSWER).map(keep).collect()
}

fn failed(error: reqwest::Error) -> Outcome {
    match refusal(&error) {
        Some(refused) if refused.is_refusal() => Outcome::Forbidden(refused.clone()),
        Some(unresolved) => Outcome::Unreachable(unresolved.to_string()),
        // The URL may hold what is a secret of its owner, and they know it.
        None => {
            let text = telemetry::chain(&error.without_url()).to_string();
            Outcome::Unreachable(text.chars().take(KEPT_ERROR).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_short_and_without_what_a_database_refuses() {
        assert_eq!(printable(b"no\0 such\r\n\x1b[31mhook\xff"), "no\u{fffd} such\n\u{fffd}[31mhook\u{fffd}");
        assert_eq!(printable(&[b'a'; MAX_ANSWER]).len(), KEPT_ANSWER);
    }

    #[test]
    fn a_receiver_says_how_long_it_wants_to_be_left_alone() {
        let now = Moment::from_millis(784_111_777_000);
        let asked = |status: u16, value: &str| {
            let retry_after = Some(HeaderValue::from_str(value).unwrap());
            let status = StatusCode::from_u16(status).unwrap();
            Outcome::Refused { status, answer: String::new(), retry_after }.retry_after(now)
        };
        assert_eq!(asked(503, "120"), Some(Duration::from_secs(120)));
        assert_eq!(asked(429, "Sun, 06 Nov 1994 08:50:37 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(asked(503, "Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO));
        assert_eq!((asked(500, "120"), asked(503, "soon"), asked(503, "-1")), (None, None, None));
    }
}
