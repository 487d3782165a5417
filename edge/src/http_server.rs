//! A small HTTP/1.1 server for the plain-text and admin listeners, with every wait and size bounded.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// From accept, or from the last response, to a whole request head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest request head.
const MAX_HEAD: usize = 16 * 1024;

/// A response with its body in memory.
pub(crate) type Reply = Response<Full<Bytes>>;

/// Serves one connection: `answer` is called for each request.
pub(crate) async fn serve<F, R>(tcp: TcpStream, from: SocketAddr, stop: CancellationToken, answer: F)
where
    F: Fn(Request<Incoming>, SocketAddr) -> R + Send + Sync,
    R: Future<Output = Reply> + Send,
{
    let service = service_fn(|request| {
        let reply = answer(request, from);
        async move { Ok::<_, Infallible>(reply.await) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD).half_close(true);
    let mut connection = std::pin::pin!(server.serve_connection(TokioIo::new(tcp), service));
    // A broken connection concerns its peer alone.
    let _ = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
}

/// A reply with a body of one kind.
pub(crate) fn reply(status: http::StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}

/// A one-line text reply.
pub(crate) fn text(status: http::StatusCode, line: impl std::fmt::Display) -> Reply {
    reply(status, "text/plain; charset=utf-8", format!("{line}\n"))
}
