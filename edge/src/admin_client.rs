//! Asking a running edge over its admin listener.

use std::{io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// For the whole exchange; an explanation may take a question to the gate and a look at the resolver.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Largest answer that is read.
const MAX_ANSWER: usize = 1024 * 1024;

/// Why the edge could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// It is not there.
    #[error("nothing answers there")]
    Connect(#[source] io::Error),
    /// What answers does not speak HTTP, or broke off.
    #[error("what answers there is not an edge")]
    Exchange(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer took too long.
    #[error("no answer within {} s", limit.as_secs())]
    TimedOut {
        /// The time that it had.
        limit: Duration,
    },
}

/// Sends one request to the admin listener and reads its JSON answer.
///
/// # Errors
/// [`AskError`].
pub async fn ask(admin: SocketAddr, method: Method, path: &str) -> Result<(StatusCode, serde_json::Value), AskError> {
    ask_within(TIMEOUT, admin, method, path).await
}

/// The same with another limit on the whole exchange.
///
/// # Errors
/// [`AskError`].
pub async fn ask_within(
    limit: Duration,
    admin: SocketAddr,
    method: Method,
    path: &str,
) -> Result<(StatusCode, serde_json::Value), AskError> {
    let exchange = exchange(reachable(admin), method, path);
    timeout(limit, exchange).await.map_err(|_| AskError::TimedOut { limit })?
}

/// A wildcard address is listened on, not connected to.
fn reachable(admin: SocketAddr) -> SocketAddr {
    let mut address = admin;
    if admin.ip().is_unspecified() {
        let loopback = if admin.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        address.set_ip(loopback);
    }
    address
}

async fn exchange(admin: SocketAddr, method: Method, path: &str) -> Result<(StatusCode, serde_json::Value), AskError> {
    let tcp = TcpStream::connect(admin).await.map_err(AskError::Connect)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await.map_err(|e| AskError::Exchange(e.into()))?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, admin.to_string())
        .body(Empty::<Bytes>::new())
        .map_err(|e| AskError::Exchange(e.into()))?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|e| AskError::Exchange(e.into()))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(AskError::Exchange)?;
        let body = serde_json::from_slice(&body.to_bytes()).map_err(|e| AskError::Exchange(e.into()))?;
        Ok((status, body))
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = answer.as_mut() => answer,
        // The connection drives the exchange; when it ends first, the answer is as complete as it gets.
        _ = connection => answer.await,
    }
}
