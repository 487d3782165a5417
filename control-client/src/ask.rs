//! One question to the endpoint.
//!
//! The client follows no redirect, takes no proxy from the environment and reads no more of a body than it may: an
//! answer that is longer ends the connection it came on.

use std::time::Duration;

use control_api::AskAnswer;
use names::Hostname;
use reqwest::{Client, Response, StatusCode, header, redirect::Policy};
use rustls::ClientConfig;
use url::Url;

use crate::{GateError, GateSettings, answer, site::SiteError, tls};

/// Idle connections kept to the endpoint. Questions are short: more would only hold the endpoint's sockets.
const IDLE_CONNECTIONS: usize = 32;

/// What the endpoint said.
#[derive(Debug)]
pub(crate) enum Answer {
    /// 2xx.
    Allow(Box<AskAnswer>),
    /// 4xx.
    Deny(StatusCode),
}

/// Why a question has no usable answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AskError {
    /// No connection to the endpoint.
    #[error("the ask endpoint cannot be reached")]
    Connect(#[source] reqwest::Error),
    /// A body that claims to be JSON and is no answer.
    #[error("the ask endpoint answered garbage")]
    Garbage(#[source] serde_json::Error),
    /// The answer is older than one already known.
    #[error("the ask endpoint answered with generation {got}, {known} is known")]
    Outdated {
        /// The highest generation seen.
        known: u64,
        /// The one in the answer.
        got: u64,
    },
    /// 3xx.
    #[error("the ask endpoint answered with a redirect ({0}), which is not followed")]
    Redirected(StatusCode),
    /// The answer does not fit the question.
    #[error("the ask endpoint's answer cannot be used")]
    Site(#[source] SiteError),
    /// 5xx, or a status that no final answer has.
    #[error("the ask endpoint answered {0}")]
    Status(StatusCode),
    /// No complete answer in time.
    #[error("the ask endpoint did not answer within {} ms", limit.as_millis())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// A body over the limit.
    #[error("the ask endpoint's answer is longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// The connection broke, or what came was not HTTP.
    #[error("the connection to the ask endpoint failed")]
    Transport(#[source] reqwest::Error),
}

impl AskError {
    /// The label of the questions counter.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Garbage(_) => "garbage",
            Self::Outdated { .. } => "outdated",
            Self::Redirected(_) => "redirect",
            Self::Site(SiteError::OtherName(_)) => "other_name",
            Self::Site(SiteError::Origin(_) | SiteError::Redirect) => "bad_target",
            Self::Status(_) => "status",
            Self::TimedOut { .. } => "timeout",
            Self::TooLong { .. } => "too_long",
            Self::Transport(_) => "transport",
        }
    }

    /// Every [`kind`](Self::kind), so that all series exist from the start.
    pub(crate) const KINDS: [&str; 10] = [
        "bad_target",
        "connect",
        "garbage",
        "other_name",
        "outdated",
        "redirect",
        "status",
        "timeout",
        "too_long",
        "transport",
    ];
}

/// The URL may carry a token, so it never reaches an error text.
impl From<reqwest::Error> for AskError {
    fn from(error: reqwest::Error) -> Self {
        match error.is_connect() {
            true => Self::Connect(error.without_url()),
            false => Self::Transport(error.without_url()),
        }
    }
}

/// The endpoint and the connections to it.
pub(crate) struct Endpoint {
    client: Client,
    url: Url,
    /// The configured query without `domain`, ready for `domain=` to follow.
    query: String,
    timeout: Duration,
    answer_bytes: usize,
}

impl Endpoint {
    pub(crate) fn new(settings: &GateSettings) -> Result<Self, GateError> {
        let client = Client::builder()
            .user_agent("namegate-edge")
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .tcp_nodelay(true)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .tls_backend_preconfigured(tls_config(&settings.url)?)
            .build()
            .map_err(GateError::Client)?;
        Ok(Self {
            client,
            url: settings.url.clone(),
            query: query_before_domain(&settings.url),
            timeout: settings.timeout,
            answer_bytes: settings.limits.answer_bytes,
        })
    }

    /// Asks about `name`. Dropping the future closes the connection.
    pub(crate) async fn ask(&self, name: &Hostname) -> Result<Answer, AskError> {
        let timed_out = |_| Err(AskError::TimedOut { limit: self.timeout });
        tokio::time::timeout(self.timeout, self.exchange(name)).await.unwrap_or_else(timed_out)
    }

    async fn exchange(&self, name: &Hostname) -> Result<Answer, AskError> {
        let response = self.client.get(self.question(name)).send().await?;
        let status = response.status();
        match status.as_u16() {
            200..=299 => {}
            300..=399 => return Err(AskError::Redirected(status)),
            400..=499 => return self.denied(response).await,
            _ => return Err(AskError::Status(status)),
        }
        let content_type = response.headers().get(header::CONTENT_TYPE).cloned();
        let body = self.read(response).await?;
        let content_type = content_type.as_ref().and_then(|value| value.to_str().ok());
        let answer = answer::read(content_type, &body).map_err(AskError::Garbage)?;
        Ok(Answer::Allow(Box::new(answer)))
    }

    /// The body of a denial means nothing; it is read, up to the limit, so that the connection can be used again.
    async fn denied(&self, response: Response) -> Result<Answer, AskError> {
        let status = response.status();
        let _ = self.read(response).await;
        Ok(Answer::Deny(status))
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, AskError> {
        let limit = self.answer_bytes;
        let announced = response.content_length().unwrap_or(0);
        if usize::try_from(announced).is_ok_and(|length| length > limit) {
            return Err(AskError::TooLong { limit });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > limit {
                return Err(AskError::TooLong { limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn question(&self, name: &Hostname) -> Url {
        let mut url = self.url.clone();
        // A hostname is letters, digits, hyphens and dots: nothing in it needs escaping.
        url.set_query(Some(&format!("{}domain={name}", self.query)));
        url
    }
}

/// The configured query as it was written, `domain` left out: re-encoding could change somebody's token.
fn query_before_domain(url: &Url) -> String {
    let pairs = url.query().unwrap_or_default().split('&');
    let kept = pairs.filter(|pair| !pair.is_empty() && pair.split('=').next() != Some("domain"));
    kept.fold(String::new(), |query, pair| query + pair + "&")
}

/// A plain endpoint needs no trusted roots of the machine.
fn tls_config(url: &Url) -> Result<ClientConfig, GateError> {
    match url.scheme() {
        "http" => tls::none().map_err(GateError::Tls),
        "https" => tls::platform().map_err(GateError::Tls),
        other => Err(GateError::Scheme(other.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_keeps_the_configured_query_and_sets_the_name() {
        const CASES: &[(&str, &str)] = &[
            ("http://a.test/ask", "http://a.test/ask?domain=shop.example"),
            ("http://a.test/ask?", "http://a.test/ask?domain=shop.example"),
            ("http://a.test/ask?t=%2B+x&u", "http://a.test/ask?t=%2B+x&u&domain=shop.example"),
            ("http://a.test/ask?domain=x&t=1", "http://a.test/ask?t=1&domain=shop.example"),
            ("http://a.test/ask?domain&domains=1", "http://a.test/ask?domains=1&domain=shop.example"),
        ];
        for (url, question) in CASES {
            let endpoint = Endpoint::new(&settings(url)).unwrap();
            assert_eq!(endpoint.question(&"shop.example".parse().unwrap()).as_str(), *question);
        }
    }

    #[test]
    fn an_endpoint_is_http_or_https() {
        assert!(
            matches!(Endpoint::new(&settings("ftp://a.test/ask")), Err(GateError::Scheme(scheme)) if scheme == "ftp")
        );
    }

    #[tokio::test]
    async fn an_error_never_prints_the_url_with_its_token() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let endpoint = Endpoint::new(&settings(&format!("http://127.0.0.1:{port}/ask?key=secret"))).unwrap();
        let error = endpoint.ask(&"shop.example".parse().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), "connect");
        let (chain, debug) = (telemetry::chain(&error).to_string(), format!("{error:?}"));
        assert!(!chain.contains("secret") && !debug.contains("secret"), "{chain} {debug}");
    }

    fn settings(url: &str) -> GateSettings {
        GateSettings {
            url: url.parse().unwrap(),
            timeout: Duration::from_secs(1),
            default_origin: None,
            answers: "answers".into(),
            limits: crate::GateLimits::default(),
        }
    }
}
