//! HTTP over a connection that the caller has made: no pool, no redirect, no retry, so a test sees each exchange.

use std::{io, net::SocketAddr};

use bytes::Bytes;
use http::{Request, Response, Uri, header};
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
};

use crate::{
    Body, body,
    client::{Refused, TlsClient},
};

/// An exchange that did not come to an answer.
#[derive(Debug)]
pub enum HttpError {
    /// There is no connection.
    Connect(io::Error),
    /// The connection ended or the peer broke the protocol.
    Http(hyper::Error),
    /// The handshake was refused.
    Tls(Refused),
}

impl From<hyper::Error> for HttpError {
    fn from(error: hyper::Error) -> Self {
        Self::Http(error)
    }
}

impl From<Refused> for HttpError {
    fn from(refused: Refused) -> Self {
        Self::Tls(refused)
    }
}

impl HttpError {
    /// The TLS alert, if the handshake ended with one.
    pub fn alert(&self) -> Option<rustls::AlertDescription> {
        match self {
            Self::Tls(refused) => refused.alert(),
            Self::Connect(_) | Self::Http(_) => None,
        }
    }
}

enum Sender {
    H1(http1::SendRequest<Body>),
    H2(http2::SendRequest<Body>),
}

/// One HTTP connection.
pub struct Http {
    sender: Sender,
    driver: JoinHandle<()>,
}

impl Http {
    /// Speaks HTTP over any stream.
    ///
    /// # Errors
    /// [`HttpError::Http`] when the connection breaks.
    pub async fn over<S>(stream: S, h2: bool) -> Result<Self, HttpError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(stream);
        if h2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            let driver = tokio::spawn(async move { connection.await.unwrap_or_default() });
            return Ok(Self { sender: Sender::H2(sender), driver });
        }
        let (sender, connection) = http1::handshake(io).await?;
        let driver = tokio::spawn(async move { connection.with_upgrades().await.unwrap_or_default() });
        Ok(Self { sender: Sender::H1(sender), driver })
    }

    /// Connects in plain text, for HTTP/1.1.
    ///
    /// # Errors
    /// [`HttpError`] when there is no connection.
    pub async fn connect(address: SocketAddr) -> Result<Self, HttpError> {
        let tcp = TcpStream::connect(address).await.map_err(HttpError::Connect)?;
        tcp.set_nodelay(true).map_err(HttpError::Connect)?;
        Self::over(tcp, false).await
    }

    /// Whether this is HTTP/2.
    pub fn is_h2(&self) -> bool {
        matches!(self.sender, Sender::H2(_))
    }

    /// Sends a request; the body of the answer is still to be read.
    ///
    /// # Errors
    /// [`HttpError::Http`] when no answer comes.
    pub async fn stream(&mut self, request: Request<Body>) -> Result<Response<Incoming>, HttpError> {
        Ok(match &mut self.sender {
            Sender::H1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Sender::H2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        })
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// [`HttpError::Http`] when the answer does not come or breaks off.
    pub async fn send(&mut self, request: Request<Body>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = self.stream(request).await?.into_parts();
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }

    /// `GET path`, for this authority.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn get(&mut self, authority: &str, path: &str) -> Result<Response<Bytes>, HttpError> {
        let request = self.request("GET", authority, path, body::empty());
        self.send(request).await
    }

    /// A request in this connection's form: `Host` for HTTP/1.1, `:authority` for HTTP/2.
    pub fn request(&self, method: &str, authority: &str, path: &str, body: Body) -> Request<Body> {
        let builder = Request::builder().method(method);
        let builder = match self.sender {
            Sender::H1(_) => builder.uri(path).header(header::HOST, authority),
            Sender::H2(_) => builder.uri(format!("https://{authority}{path}")),
        };
        builder.body(body).unwrap()
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A body of these bytes.
pub fn body(bytes: impl Into<Bytes>) -> Body {
    body::full(bytes)
}

/// No body.
pub fn no_body() -> Body {
    body::empty()
}

/// `GET` of an `http://address:port/…` URL.
///
/// # Errors
/// [`HttpError`] when there is no connection or no answer.
pub async fn get(url: &str) -> Result<Response<Bytes>, HttpError> {
    let (mut http, authority, path) = open(url).await?;
    http.get(&authority, &path).await
}

/// `POST` to an `http://address:port/…` URL.
///
/// # Errors
/// [`HttpError`] when there is no connection or no answer.
pub async fn post(url: &str, content: impl Into<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let (mut http, authority, path) = open(url).await?;
    let request = http.request("POST", &authority, &path, body::full(content));
    http.send(request).await
}

/// Any method to an `http://address:port/…` URL, with a bearer token; an empty body is sent as none.
///
/// # Errors
/// [`HttpError`] when there is no connection or no answer.
pub async fn send_with_key(
    method: &str,
    url: &str,
    key: &str,
    content: impl Into<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let (mut http, authority, path) = open(url).await?;
    let mut request = http.request(method, &authority, &path, body::full(content));
    let token = format!("Bearer {key}").parse().expect("a key must fit into a header");
    request.headers_mut().insert(header::AUTHORIZATION, token);
    http.send(request).await
}

/// `GET` of an `https://address:port/…` URL whose server shows a certificate of this root.
///
/// # Errors
/// [`HttpError`] when there is no connection or no answer.
pub async fn get_trusting(url: &str, root_pem: &str) -> Result<Response<Bytes>, HttpError> {
    let url: Uri = url.parse().unwrap();
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    TlsClient::trusting(root_pem).get(address(&url), url.host().unwrap(), path).await
}

async fn open(url: &str) -> Result<(Http, String, String), HttpError> {
    let url: Uri = url.parse().unwrap();
    let http = Http::connect(address(&url)).await?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    Ok((http, url.authority().unwrap().to_string(), path.to_owned()))
}

fn address(url: &Uri) -> SocketAddr {
    let authority = url.authority().unwrap().as_str();
    authority.parse().unwrap_or_else(|_| panic!("{authority} is no address with a port"))
}
