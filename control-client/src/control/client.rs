//! HTTP to the control plane: a token on every request, no redirect, no proxy, no endless wait or body.

use std::time::Duration;

use reqwest::{Client as Http, RequestBuilder, Response, StatusCode, header, redirect::Policy};
use url::Url;

use super::{ControlError, ControlSettings, error::CallError, token::Token};
use crate::tls;

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(5);
/// One for the feed, one for reports, one for a snapshot.
const IDLE_CONNECTIONS: usize = 3;

/// The control plane.
pub(super) struct Client {
    http: Http,
    base: Url,
    token: Token,
}

impl Client {
    pub(super) fn new(settings: &ControlSettings) -> Result<Self, ControlError> {
        let tls = match settings.url.scheme() {
            "http" => tls::none(),
            "https" => tls::platform(),
            other => return Err(ControlError::Scheme(other.to_owned())),
        };
        let http = Http::builder()
            .user_agent("namegate-edge")
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .tls_backend_preconfigured(tls.map_err(ControlError::Tls)?)
            .build()
            .map_err(ControlError::Client)?;
        let path = settings.token_file.clone();
        let token = Token::read(&path).map_err(|source| ControlError::Token { path, source })?;
        Ok(Self { http, base: settings.url.clone(), token })
    }

    /// `GET`; the head of the answer comes within `limit`.
    pub(super) async fn get(&self, path: &str, query: Option<&str>, limit: Duration) -> Result<Response, CallError> {
        let url = self.url(path, query);
        self.send(|| self.http.get(url.clone()), limit).await
    }

    /// `POST` of JSON; the head of the answer comes within `limit`.
    pub(super) async fn post(&self, path: &str, json: Vec<u8>, limit: Duration) -> Result<Response, CallError> {
        let url = self.url(path, None);
        let request =
            || self.http.post(url.clone()).header(header::CONTENT_TYPE, "application/json").body(json.clone());
        self.send(request, limit).await
    }

    /// A refused token is read from its file again and, if it is another one, tried once.
    async fn send(&self, request: impl Fn() -> RequestBuilder, limit: Duration) -> Result<Response, CallError> {
        match self.try_send(request(), limit).await {
            Err(CallError::Unauthorized) if self.token.renew() => self.try_send(request(), limit).await,
            outcome => outcome,
        }
    }

    async fn try_send(&self, request: RequestBuilder, limit: Duration) -> Result<Response, CallError> {
        let sent = request.header(header::AUTHORIZATION, self.token.header()).send();
        let response = tokio::time::timeout(limit, sent).await.map_err(|_| CallError::TimedOut)??;
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::UNAUTHORIZED => Err(CallError::Unauthorized),
            StatusCode::GONE => Err(CallError::Gone),
            status => Err(CallError::Status(status)),
        }
    }

    fn url(&self, path: &str, query: Option<&str>) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url.set_query(query);
        url
    }
}

/// The next piece of a body, within `limit`.
pub(super) async fn piece(
    response: &mut Response,
    limit: Duration,
) -> Result<Option<impl AsRef<[u8]> + use<>>, CallError> {
    Ok(tokio::time::timeout(limit, response.chunk()).await.map_err(|_| CallError::TimedOut)??)
}

/// A whole body of at most `most` bytes.
pub(super) async fn body(mut response: Response, most: usize, limit: Duration) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(piece) = piece(&mut response, limit).await? {
        if body.len() + piece.as_ref().len() > most {
            return Err(CallError::TooLong { limit: most });
        }
        body.extend_from_slice(piece.as_ref());
    }
    Ok(body)
}
