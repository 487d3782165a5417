//! [`Http`]: how we talk to a CA.
//!
//! One connection pool per issuer, Nagle off (with it every request waits 40 ms for a delayed ACK), no redirects (a
//! directory must not send us elsewhere), bounded bodies, one deadline per request. Error answers become a
//! [`CaError`] right here, where the whole problem document and `Retry-After` are still at hand; the ACME library
//! keeps only parts of the one and nothing of the other.

use std::{
    cell::Cell,
    future::Future,
    path::Path,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use parking_lot::RwLock;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem, pem::PemObject};
use rustls_platform_verifier::Verifier;

use super::skew::Skew;

/// Longest answer that is read. Directories and orders are a few KiB, chains below 20 KiB.
const MAX_BODY: usize = 1 << 20;
/// Time for one request with its answer.
const REQUEST: Duration = Duration::from_secs(30);
/// Time for a TCP and TLS connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Idle connections are kept this long: less than the 60 s after which common CAs close them.
const IDLE: Duration = Duration::from_secs(50);
/// Idle HTTP/1.1 connections that are kept; HTTP/2 needs one.
const IDLE_CONNECTIONS: usize = 32;
/// Names of a CA that are kept; CAs have one, those that others have merged into a handful.
const IDENTITIES: usize = 32;
/// Longest of them, as long as a domain name can be.
const LONGEST_IDENTITY: usize = 253;
/// A silent HTTP/2 connection is probed this often, so that a dead one is noticed before an order needs it.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

tokio::task_local! {
    /// The `Retry-After` of the last good answer to the call that is awaited in this scope.
    static RETRY_AFTER: Cell<Option<Duration>>;
}

/// The client cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The HTTP client refuses its settings.
    #[error("the HTTP client cannot be built")]
    Client(#[source] reqwest::Error),
    /// A file of root certificates cannot be read.
    #[error("the root certificates in {path} cannot be read")]
    Roots {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// The file holds no usable root certificate.
    #[error("there is no usable root certificate in {0}")]
    NoRoots(String),
    /// The TLS settings are refused.
    #[error("the TLS client cannot be built")]
    Tls(#[source] rustls::Error),
}

/// What a CA said instead of what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaError {
    /// A problem document (RFC 8555 section 6.7).
    #[error("{status}: {problem}")]
    Problem { status: StatusCode, problem: serde_json::Value, retry_after: Option<Duration> },
    /// An error without a problem document: a proxy, an HTML page, a redirect.
    #[error("the CA answered {status} without a problem document")]
    Status { status: StatusCode, retry_after: Option<Duration> },
    /// The answer is longer than any that we could use.
    #[error("the CA's answer is longer than {MAX_BODY} bytes")]
    TooLong,
    /// No answer came.
    #[error("the request to the CA failed")]
    Transport(#[source] reqwest::Error),
}

/// The HTTP client of one issuer; clones share the connections.
#[derive(Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    directory: Uri,
    /// `caaIdentities` of the directory (RFC 8555 section 7.1.1), which the ACME library does not keep.
    identities: Arc<RwLock<Arc<[String]>>>,
    /// What the answers say about our clock.
    skew: Arc<Skew>,
}

impl Http {
    /// A client for this directory that trusts the roots in the PEM file `roots`, or else those of the machine.
    pub(super) fn new(roots: Option<&Path>, directory: &str, skew: Arc<Skew>) -> Result<Self, HttpError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(roots)?)
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .timeout(REQUEST)
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .build()
            .map_err(HttpError::Client)?;
        // What is no URI is never asked for either.
        let directory = directory.parse().unwrap_or_default();
        Ok(Self { client, directory, identities: Arc::default(), skew })
    }

    /// What the CA calls itself in CAA records; empty before the directory was read, and where it does not say.
    pub(crate) fn identities(&self) -> Arc<[String]> {
        Arc::clone(&self.identities.read())
    }

    /// Sends a request. An answer that is no success is an error, but for a nonce that was called bad.
    pub(super) async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, CaError> {
        let is_directory = *request.uri() == self.directory;
        let request = request.try_into().map_err(CaError::Transport)?;
        let response = self.client.execute(request).await.map_err(CaError::Transport)?;
        let (status, headers) = (response.status(), response.headers().clone());
        self.skew.see(&headers);
        let retry_after = retry_after(&headers);
        let body = read(response).await?;
        match status.is_success() {
            true => {
                // Outside of a scope nobody wants to know.
                let _ = RETRY_AFTER.try_with(|cell| cell.set(retry_after));
                if is_directory {
                    *self.identities.write() = identities(&body);
                }
                Ok(answer(status, headers, body))
            }
            false => failure(status, headers, body, retry_after),
        }
    }
}

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let http = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let Ok(body) = body.collect().await;
            let answer = http.send(Request::from_parts(parts, body.to_bytes())).await;
            let answer = answer.map_err(|error| instant_acme::Error::Other(Box::new(error)))?;
            Ok(BytesResponse::from(answer.map(Full::new)))
        })
    }
}

/// Runs an ACME call and tells the `Retry-After` of its last good answer too.
pub(crate) async fn with_retry_after<T>(call: impl Future<Output = T>) -> (T, Option<Duration>) {
    RETRY_AFTER
        .scope(Cell::new(None), async move {
            let output = call.await;
            (output, RETRY_AFTER.with(Cell::get))
        })
        .await
}

/// The names in a directory by which CAA records allow its CA.
fn identities(directory: &[u8]) -> Arc<[String]> {
    let directory: serde_json::Value = serde_json::from_slice(directory).unwrap_or_default();
    let named = directory.pointer("/meta/caaIdentities").and_then(serde_json::Value::as_array);
    let named = named.into_iter().flatten().filter_map(serde_json::Value::as_str);
    named.filter(|name| name.len() <= LONGEST_IDENTITY).take(IDENTITIES).map(str::to_owned).collect()
}

/// Reads a body as far as it may go.
async fn read(mut response: reqwest::Response) -> Result<Bytes, CaError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(CaError::Transport)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(CaError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn answer(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// An answer that is no success. `badNonce` goes to the library, which signs anew with the nonce that came with it.
fn failure(
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    retry_after: Option<Duration>,
) -> Result<Response<Bytes>, CaError> {
    match serde_json::from_slice::<serde_json::Value>(&body) {
        Ok(problem) if kind_of(&problem) == "badNonce" => Ok(answer(status, headers, body)),
        Ok(problem) if problem.is_object() && !status.is_redirection() => {
            Err(CaError::Problem { status, problem, retry_after })
        }
        Ok(_) | Err(_) => Err(CaError::Status { status, retry_after }),
    }
}

/// The problem's type without its prefix.
pub(crate) fn kind_of(problem: &serde_json::Value) -> &str {
    let kind = problem.get("type").and_then(serde_json::Value::as_str).unwrap_or_default();
    kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or(kind)
}

/// `Retry-After` in seconds or as a date (RFC 9110 section 10.2.3).
#[expect(clippy::disallowed_methods, reason = "a date in a header is on the wall clock of the CA, not on ours")]
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match value.parse() {
        Ok(secs) => Some(Duration::from_secs(secs)),
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now()).ok(),
    }
}

fn tls(roots: Option<&Path>) -> Result<ClientConfig, HttpError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(HttpError::Tls)?;
    Ok(match roots {
        Some(path) => builder.with_root_certificates(read_roots(path)?).with_no_client_auth(),
        None => {
            let verifier = Verifier::new(provider).map_err(HttpError::Tls)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
    })
}

fn read_roots(path: &Path) -> Result<RootCertStore, HttpError> {
    let error = |source| HttpError::Roots { path: path.display().to_string(), source };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(error)? {
        // Broken certificates beside good ones are common in bundles; with no good one left we say so below.
        let _ = roots.add(certificate.map_err(error)?);
    }
    match roots.is_empty() {
        true => Err(HttpError::NoRoots(path.display().to_string())),
        false => Ok(roots),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_the_whole_problem_and_the_wait() {
        let body = r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"d","subproblems":[{"type":"x"}]}"#;
        let wait = Some(Duration::from_secs(7));
        let error = failure(StatusCode::TOO_MANY_REQUESTS, HeaderMap::new(), body.into(), wait).err().unwrap();
        let CaError::Problem { problem, retry_after, .. } = error else { panic!("{error}") };
        assert_eq!(kind_of(&problem), "rateLimited");
        assert_eq!(problem["subproblems"][0]["type"], "x");
        assert_eq!(retry_after, wait);
    }

    #[test]
    fn pages_and_redirects_are_no_problem_documents() {
        for (status, body) in [(503, "<html>"), (404, ""), (301, "{}"), (500, "[1]")] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = failure(status, HeaderMap::new(), body.into(), None).err().unwrap();
            assert!(matches!(error, CaError::Status { .. }), "{status} {body}: {error}");
        }
    }

    #[test]
    fn a_directory_says_what_its_ca_is_called_or_nothing() {
        let named = identities(br#"{"newOrder":"x","meta":{"caaIdentities":["letsencrypt.org",7,"other.example"]}}"#);
        assert_eq!(*named, ["letsencrypt.org", "other.example"]);
        for directory in ["{}", "[]", "", r#"{"meta":{"caaIdentities":"letsencrypt.org"}}"#] {
            assert!(identities(directory.as_bytes()).is_empty(), "{directory}");
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("Fri, 31 Dec 1999 23:59:59 GMT"), None);
        assert!(read("Tue, 31 Dec 2999 23:59:59 GMT").unwrap() > Duration::from_secs(3600));
        assert_eq!(read("soon"), None);
    }
}
