//! The HTTP server under [`FakeGate`](crate::FakeGate), [`Origin`](crate::Origin) and
//! [`AcmeProxy`](crate::AcmeProxy).
//!
//! Its connections belong to its task: when the server stops, every connection ends with it, as if the machine had
//! gone.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use crate::Body;

/// The handler's way to end a connection without an answer.
#[derive(Debug)]
pub(crate) struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is cut on purpose")
    }
}

impl std::error::Error for Cut {}

/// A listening server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `handler` on `address`; port 0 lets the system choose.
    pub(crate) async fn start<H, F>(address: SocketAddr, tls: Option<Arc<ServerConfig>>, handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Result<Response<Body>, Cut>> + Send + 'static,
    {
        Self::start_raw(address, move |tcp| {
            let (tls, handler) = (tls.clone(), handler.clone());
            async move {
                // A client that breaks off is no event here.
                let _ = connection(tcp, tls, handler).await;
            }
        })
        .await
    }

    /// Hands each accepted connection to `serve`.
    pub(crate) async fn start_raw<H, F>(address: SocketAddr, serve: H) -> Self
    where
        H: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener =
            TcpListener::bind(address).await.unwrap_or_else(|error| panic!("cannot listen on {address}: {error}"));
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(accept(listener, Arc::clone(&connections), serve));
        Self { address, connections, task: Some(task) }
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Stops listening and ends every connection.
    pub(crate) async fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn accept<H, F>(listener: TcpListener, connections: Arc<AtomicUsize>, serve: H)
where
    H: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((tcp, _)) = accepted else { continue };
                connections.fetch_add(1, Ordering::SeqCst);
                let _ = tcp.set_nodelay(true);
                // What the peer does not take is up to 4 MB otherwise, and many of these would be the memory of all tests.
                let _ = socket2::SockRef::from(&tcp).set_tcp_notsent_lowat(256 * 1024);
                open.spawn(serve(tcp));
            }
            Some(_) = open.join_next() => {}
        }
    }
}

async fn connection<H, F>(tcp: TcpStream, tls: Option<Arc<ServerConfig>>, handler: H) -> io::Result<()>
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<Body>, Cut>> + Send + 'static,
{
    let Some(tls) = tls else { return http(tcp, false, handler).await };
    let stream = TlsAcceptor::from(tls).accept(tcp).await?;
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    http(stream, h2, handler).await
}

/// Without ALPN there is no HTTP/2: prior knowledge is off, as at most origins.
async fn http<S, H, F>(stream: S, h2: bool, handler: H) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<Body>, Cut>> + Send + 'static,
{
    let (stream, service) = (TokioIo::new(stream), service_fn(handler));
    let served = match h2 {
        true => http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await,
        false => http1::Builder::new().serve_connection(stream, service).with_upgrades().await,
    };
    served.map_err(io::Error::other)
}
