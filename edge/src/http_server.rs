//! A small HTTP/1.1 server for the plain-text and admin listeners, with every wait and size bounded.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// From accept, or from the last response, to a whole request head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest request head.
const MAX_HEAD: usize = 16 * 1024;

/// A response with its body in memory.
pub(crate) type Reply = Response<Full<Bytes>>;

/// When a connection ends because the process does.
pub(crate) struct Stop {
    /// Says that the process ends.
    pub(crate) token: CancellationToken,
    /// How long a connection may bring one more request then; it is answered with `Connection: close`.
    pub(crate) wait: Duration,
}

/// Serves one connection: `answer` is called for each request.
pub(crate) async fn serve<S, F, R>(stream: S, from: SocketAddr, stop: Stop, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Fn(Request<Incoming>, SocketAddr) -> R + Send + Sync,
    R: Future<Output = Reply> + Send,
{
    let service = service_fn(|request| {
        let (reply, stop) = (answer(request, from), &stop.token);
        async move {
            let mut reply = reply.await;
            if stop.is_cancelled() {
                reply.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(reply)
        }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD).half_close(true);
    let mut connection = std::pin::pin!(server.serve_connection(TokioIo::new(stream), service));
    let no_more = async {
        stop.token.cancelled().await;
        tokio::time::sleep(stop.wait).await;
    };
    // A broken connection concerns its peer alone.
    let _ = tokio::select! {
        biased;
        result = connection.as_mut() => result,
        () = no_more => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
}

/// A reply with a body of one kind.
pub(crate) fn reply(status: http::StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A one-line text reply.
pub(crate) fn text(status: http::StatusCode, line: impl std::fmt::Display) -> Reply {
    reply(status, "text/plain; charset=utf-8", format!("{line}\n"))
}
