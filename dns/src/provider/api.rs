//! [`Api`]: one provider's interface as its adapter uses it: paths, fields and answers, nothing of connections.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use super::{
    error::{Problem, ProviderError},
    facts::Facts,
    http::Http,
    reply::{Reply, shorten},
    secret::{Redactor, Secret},
};

/// What a provider means by an answer where its status alone does not say it. `None`: the status says it.
pub(crate) type Dialect = fn(&Reply) -> Option<Problem>;
/// Adds a signature to a finished request.
pub(crate) type Signer = dyn Fn(&Method, &Url, &[u8], &mut HeaderMap) + Send + Sync;

/// A provider's interface with a credential.
pub(crate) struct Api {
    pub(crate) http: Http,
    facts: &'static Facts,
    base: Option<Url>,
    headers: HeaderMap,
    redactor: Redactor,
    dialect: Dialect,
    signer: Option<Box<Signer>>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Api({})", self.facts.key)
    }
}

impl Api {
    /// The interface at `base`, as its documentation writes it.
    pub(crate) fn new(http: &Http, facts: &'static Facts, base: &str, dialect: Dialect) -> Self {
        let base = http.base(base);
        let (headers, redactor) = (HeaderMap::new(), Redactor::default());
        Self { http: http.clone(), facts, base, headers, redactor, dialect, signer: None }
    }

    /// Sends the secret in a header of each request: `prefix` stands before it.
    pub(crate) fn header(mut self, name: &'static str, prefix: &str, secret: &Secret) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(&format!("{prefix}{}", secret.reveal())) {
            value.set_sensitive(true);
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self.hide(secret)
    }

    /// Signs each request.
    pub(crate) fn signed(mut self, signer: Box<Signer>) -> Self {
        self.signer = Some(signer);
        self
    }

    /// Hides a secret that the adapter sends itself.
    pub(crate) fn hide(mut self, secret: &Secret) -> Self {
        self.redactor.add(secret.reveal());
        self
    }

    /// Whose interface it is.
    pub(crate) fn facts(&self) -> &'static Facts {
        self.facts
    }

    pub(crate) fn get(&self, path: &[&str]) -> Call<'_> {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &[&str]) -> Call<'_> {
        self.call(Method::POST, path)
    }

    pub(crate) fn put(&self, path: &[&str]) -> Call<'_> {
        self.call(Method::PUT, path)
    }

    pub(crate) fn patch(&self, path: &[&str]) -> Call<'_> {
        self.call(Method::PATCH, path)
    }

    pub(crate) fn delete(&self, path: &[&str]) -> Call<'_> {
        self.call(Method::DELETE, path)
    }

    /// A call; each part of the path is one segment, whatever it holds.
    pub(crate) fn call(&self, method: Method, path: &[&str]) -> Call<'_> {
        let mut url = self.base.clone();
        // A part that means "here" or "above" would make another path of it.
        let odd = path.iter().any(|part| part.is_empty() && path.last() != Some(part) || [".", ".."].contains(part));
        if let Some(mut segments) = url.as_mut().and_then(|url| url.path_segments_mut().ok()) {
            segments.pop_if_empty().extend(path);
        }
        let reads = method == Method::GET;
        self.request(method, url.filter(|_| !odd), reads)
    }

    /// A call to an address that the provider gave, such as that of the next page; only at the same server.
    pub(crate) fn follow(&self, link: &str) -> Call<'_> {
        let url = Url::parse(link).ok().filter(|url| {
            self.base.as_ref().is_some_and(|base| base.origin() == url.origin() && url.path().starts_with(base.path()))
        });
        self.request(Method::GET, url, true)
    }

    fn request(&self, method: Method, url: Option<Url>, reads: bool) -> Call<'_> {
        Call { api: self, method, url, body: None, headers: HeaderMap::new(), own: Redactor::default(), reads }
    }

    pub(crate) fn error(&self, problem: Problem) -> ProviderError {
        ProviderError::new(self.facts.name, problem)
    }

    /// Counts pages and records of one listing.
    pub(crate) fn pages(&self) -> Pages<'_> {
        Pages { api: self, pages: 0 }
    }

    fn judge(&self, reply: &Reply, own: &Redactor) -> Option<ProviderError> {
        let mut problem = (self.dialect)(reply).or_else(|| reply.problem())?;
        if let Problem::RateLimited { retry_after } = &mut problem {
            *retry_after = reply.retry_after(self.http.clock.now()).or(*retry_after);
        }
        // Whole before it is cut: half a secret is no longer known as one.
        let said = reply.said().map(|text| shorten(&own.redact(&self.redactor.redact(&text))));
        Some(ProviderError { provider: self.facts.name, problem, said })
    }
}

/// Bounds a listing.
pub(crate) struct Pages<'a> {
    api: &'a Api,
    pages: usize,
}

impl Pages<'_> {
    /// Before each further page: `so_far` records have been read.
    pub(crate) fn turn(&mut self, so_far: usize) -> Result<(), ProviderError> {
        self.pages += 1;
        match (self.pages > self.api.http.limits.pages, so_far > self.api.http.limits.records) {
            (true, _) => Err(self.api.error(Problem::TooLarge("pages of one zone"))),
            (_, true) => Err(self.api.error(Problem::TooLarge("records of one zone"))),
            _ => Ok(()),
        }
    }
}

/// One request.
pub(crate) struct Call<'a> {
    api: &'a Api,
    method: Method,
    url: Option<Url>,
    body: Option<Bytes>,
    headers: HeaderMap,
    /// Secrets of this request alone.
    own: Redactor,
    /// Whether it changes nothing, so that it may be repeated.
    reads: bool,
}

impl Call<'_> {
    pub(crate) fn query(mut self, name: &str, value: impl ToString) -> Self {
        if let Some(url) = &mut self.url {
            url.query_pairs_mut().append_pair(name, &value.to_string());
        }
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// Sends a token that lives shorter than the credential.
    pub(crate) fn bearer(mut self, token: &Secret) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", token.reveal())) {
            value.set_sensitive(true);
            self.headers.insert(header::AUTHORIZATION, value);
        }
        self.hide(token)
    }

    /// Hides a secret that stands in this request.
    pub(crate) fn hide(mut self, secret: &Secret) -> Self {
        self.own.add(secret.reveal());
        self
    }

    pub(crate) fn body_json(mut self, body: &impl Serialize) -> Self {
        self.body = serde_json::to_vec(body).ok().map(Bytes::from);
        self.header("content-type", "application/json")
    }

    pub(crate) fn body(mut self, kind: &str, body: String) -> Self {
        self.body = Some(Bytes::from(body));
        self.header("content-type", kind)
    }

    /// A body as forms send it.
    pub(crate) fn form(self, pairs: &[(String, String)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.body("application/x-www-form-urlencoded", body)
    }

    /// A request that changes nothing though its method does not say so.
    pub(crate) fn reads(mut self) -> Self {
        self.reads = true;
        self
    }

    /// Sends it and reads the answer as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T, ProviderError> {
        let api = self.api;
        let reply = self.send().await?;
        reply.json().ok_or_else(|| api.error(Problem::Transient("an answer that is not of the documented form")))
    }

    /// Like [`json`](Self::json); `None` when the provider knows no such thing.
    pub(crate) async fn found<T: DeserializeOwned>(self) -> Result<Option<T>, ProviderError> {
        match self.json().await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.problem == Problem::ZoneNotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends it, for what it does alone.
    pub(crate) async fn done(self) -> Result<(), ProviderError> {
        self.send().await.map(drop)
    }

    /// Removes something; that it is gone already is as good.
    pub(crate) async fn gone(self) -> Result<(), ProviderError> {
        match self.send().await {
            Err(error) if error.problem != Problem::ZoneNotFound => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Sends it. What was refused for its rate has not happened and is sent again; a question without an answer as well.
    /// A change without an answer is never repeated here.
    pub(crate) async fn send(self) -> Result<Reply, ProviderError> {
        let limits = &self.api.http.limits;
        for attempt in 1.. {
            let error = match self.attempt().await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let usual = limits.pause * 2_u32.saturating_pow(attempt - 1);
            let wait = match &error.problem {
                Problem::RateLimited { retry_after } => retry_after.unwrap_or(usual),
                Problem::Transient(_) if self.reads => usual,
                _ => return Err(error),
            };
            if attempt >= limits.tries || wait > limits.longest_wait {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
        }
        Err(self.api.error(Problem::Transient("no try was made")))
    }

    async fn attempt(&self) -> Result<Reply, ProviderError> {
        let request = self.build().ok_or_else(|| self.api.error(Problem::Invalid))?;
        let response = self.api.http.client.execute(request).await.map_err(|error| self.transport(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = self.read(response).await?;
        let reply = Reply { status, headers, body };
        match self.api.judge(&reply, &self.own) {
            Some(error) => Err(error),
            None => Ok(reply),
        }
    }

    fn build(&self) -> Option<reqwest::Request> {
        let url = self.url.clone()?;
        let mut headers = self.api.headers.clone();
        headers.extend(self.headers.clone());
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        let body = self.body.clone().unwrap_or_default();
        if let Some(sign) = &self.api.signer {
            sign(&self.method, &url, &body, &mut headers);
        }
        let mut request = reqwest::Request::new(self.method.clone(), url);
        *request.headers_mut() = headers;
        if self.body.is_some() {
            *request.body_mut() = Some(body.into());
        }
        Some(request)
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Bytes, ProviderError> {
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.transport(&error))? {
            if body.len() + chunk.len() > self.api.http.limits.body {
                return Err(self.api.error(Problem::TooLarge("bytes of one answer")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// Named, never quoted: the library's texts hold the whole URL.
    fn transport(&self, error: &reqwest::Error) -> ProviderError {
        let what = match (error.is_timeout(), error.is_connect()) {
            (true, _) => "it took too long",
            (_, true) => "no connection could be made",
            _ => "the connection broke",
        };
        self.api.error(Problem::Transient(what))
    }
}
