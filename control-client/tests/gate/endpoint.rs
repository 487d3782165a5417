//! An ask endpoint that says what the test tells it to, and counts.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Body, Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{RwLock, watch},
    task::JoinSet,
};

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// What the endpoint says to every question from now on.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    /// A status without a body.
    Status(u16),
    /// 200 with a body and, unless empty, a content type.
    Body(&'static str, String),
    /// 302 to a place on the same endpoint.
    Redirect,
    /// 200 and so many bytes in pieces, then the end.
    Stream(usize),
    /// 200, so many bytes, and then nothing more, the connection open.
    StreamThenHang(usize),
    /// Nothing, the connection open.
    Hang,
    /// Nothing, the connection closed.
    Close,
}

pub(crate) fn json(body: &str) -> Say {
    Say::Body("application/json", body.to_owned())
}

/// What the endpoint has seen and what it says.
pub(crate) struct Script {
    say: Mutex<Say>,
    asked: watch::Sender<Vec<String>>,
    /// Bytes of streamed bodies that the connection took.
    pub(crate) streamed: AtomicUsize,
    /// Taken for writing while answers are held back.
    door: RwLock<()>,
}

/// A running endpoint; it ends with its value.
pub(crate) struct Endpoint {
    pub(crate) addr: SocketAddr,
    pub(crate) script: Arc<Script>,
    listening: Option<JoinSet<()>>,
}

impl Endpoint {
    pub(crate) async fn start(say: Say) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let script = Arc::new(Script {
            say: Mutex::new(say),
            asked: watch::Sender::new(Vec::new()),
            streamed: AtomicUsize::new(0),
            door: RwLock::new(()),
        });
        let mut listening = JoinSet::new();
        listening.spawn(accept(listener, Arc::clone(&script)));
        Self { addr, script, listening: Some(listening) }
    }

    pub(crate) fn say(&self, say: Say) {
        *self.script.say.lock() = say;
    }

    /// Closes the port and every connection: the next question is refused.
    pub(crate) async fn stop(&mut self) {
        if let Some(mut listening) = self.listening.take() {
            listening.shutdown().await;
        }
    }

    /// Every question so far, as path and query.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.script.asked.borrow().clone()
    }

    /// Waits until so many questions have come.
    pub(crate) async fn until_asked(&self, count: usize) {
        self.script.asked.subscribe().wait_for(|asked| asked.len() >= count).await.unwrap();
    }

    /// Holds all answers back until the guard is dropped.
    pub(crate) async fn hold(&self) -> impl Sized + '_ {
        self.script.door.write().await
    }
}

async fn accept(listener: TcpListener, script: Arc<Script>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(serve(stream, Arc::clone(&script)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, script: Arc<Script>) {
    let service = service_fn(|request| answer(request, Arc::clone(&script)));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, script: Arc<Script>) -> Result<Answer, &'static str> {
    assert_eq!(request.headers().get("user-agent").unwrap(), "namegate-edge");
    let question = request.uri().path_and_query().unwrap().to_string();
    let say = script.say.lock().clone();
    script.asked.send_modify(|asked| asked.push(question));
    drop(script.door.read().await);
    let response = Response::builder();
    let response = match say {
        Say::Status(status) => response.status(status).body(Empty::new().boxed_unsync()),
        Say::Body("", body) => response.body(Full::from(body).boxed_unsync()),
        Say::Body(kind, body) => response.header("content-type", kind).body(Full::from(body).boxed_unsync()),
        Say::Redirect => response.status(302).header("location", "/elsewhere").body(Empty::new().boxed_unsync()),
        Say::Stream(bytes) => response.body(Pieces { left: bytes, hang: false, script }.boxed_unsync()),
        Say::StreamThenHang(bytes) => response.body(Pieces { left: bytes, hang: true, script }.boxed_unsync()),
        Say::Hang => std::future::pending().await,
        Say::Close => return Err("on purpose"),
    };
    Ok(response.unwrap())
}

/// A body of spaces in pieces, without a length.
struct Pieces {
    left: usize,
    hang: bool,
    script: Arc<Script>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.left.min(8192) {
            0 if self.hang => Poll::Pending,
            0 => Poll::Ready(None),
            piece => {
                self.left -= piece;
                self.script.streamed.fetch_add(piece, Ordering::Relaxed);
                Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b' '; piece])))))
            }
        }
    }
}
