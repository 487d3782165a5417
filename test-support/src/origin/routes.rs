//! The paths of an [`Origin`](super::Origin).

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use futures::{SinkExt, StreamExt, stream};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody, channel::Channel};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};

use super::{Echo, State};
use crate::{Body, body, server::Cut};

/// Size of a piece of `/bytes/N`.
const PIECE: usize = 16 * 1024;

pub(super) async fn answer(state: Arc<State>, request: Request<Incoming>, tls: bool) -> Result<Response<Body>, Cut> {
    state.requests.fetch_add(1, Ordering::SeqCst);
    let path = request.uri().path().to_owned();
    let mut parts = path.split('/').skip(1);
    let (route, first, second) = (parts.next().unwrap_or_default(), number(parts.next()), number(parts.next()));
    match route {
        "bytes" => Ok(bytes(first)),
        "cut" => Err(Cut),
        "cut-body" => Ok(cut_body()),
        "drip" => Ok(drip(first, Duration::from_millis(second as u64))),
        "grpc" => Ok(grpc(request)),
        "hang" => std::future::pending().await,
        "headers" => Ok(headers(first)),
        "hold" => {
            state.latch.pass().await;
            Ok(bytes(first))
        }
        "refuse-body" => Ok(body::status(StatusCode::PAYLOAD_TOO_LARGE)),
        "sink" => sink(request).await,
        "status" => Ok(body::status(StatusCode::from_u16(first as u16).unwrap_or(StatusCode::BAD_REQUEST))),
        "ws" => Ok(websocket(request)),
        _ => echo(request, tls).await,
    }
}

fn number(part: Option<&str>) -> usize {
    part.and_then(|part| part.parse().ok()).unwrap_or(0)
}

async fn echo(request: Request<Incoming>, tls: bool) -> Result<Response<Body>, Cut> {
    let (head, body) = request.into_parts();
    let content = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(body::json(&Echo {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        version: format!("{:?}", head.version),
        tls,
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body_bytes: content.len(),
        body_sha256: sha256(&content),
    }))
}

async fn sink(request: Request<Incoming>) -> Result<Response<Body>, Cut> {
    let content = request.into_body().collect().await.map_err(|_| Cut)?.to_bytes();
    Ok(body::json(&json!({"bytes": content.len(), "sha256": sha256(&content)})))
}

fn sha256(content: &[u8]) -> String {
    digest(&SHA256, content).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(count: usize) -> Response<Body> {
    let piece = Bytes::from(vec![b'b'; PIECE.min(count)]);
    let pieces = (0..count.div_ceil(PIECE)).map(move |at| piece.slice(..PIECE.min(count - at * PIECE)));
    let frames = pieces.map(|piece| Ok(Frame::data(piece)));
    let mut response = Response::new(StreamBody::new(stream::iter(frames)).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(count));
    response
}

fn drip(count: usize, pause: Duration) -> Response<Body> {
    let frames = stream::iter(0..count).then(move |at| async move {
        if at > 0 {
            tokio::time::sleep(pause).await;
        }
        Ok(Frame::data(Bytes::from(format!("{at:07}\n"))))
    });
    Response::new(StreamBody::new(frames).boxed_unsync())
}

fn cut_body() -> Response<Body> {
    let start = stream::once(async { Ok(Frame::data(Bytes::from_static(b"0123456789"))) });
    let cut = stream::once(async {
        // Without a turn between them the piece and the error would meet in one write, and no byte would be sent.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(io::Error::other(Cut))
    });
    let mut response = Response::new(StreamBody::new(start.chain(cut)).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(100));
    response
}

fn headers(count: usize) -> Response<Body> {
    let mut response = body::status(StatusCode::OK);
    for at in 0..count {
        let name = header::HeaderName::from_bytes(format!("x-filler-{at}").as_bytes()).unwrap();
        response.headers_mut().insert(name, HeaderValue::from_static("filler"));
    }
    response
}

/// Echoes frame by frame, so that both directions stream at once. Trailers are not echoed, but counted.
fn grpc(request: Request<Incoming>) -> Response<Body> {
    let (mut sender, channel) = Channel::<Bytes, io::Error>::new(4);
    tokio::spawn(async move {
        let (mut incoming, mut came) = (request.into_body(), 0_usize);
        while let Some(Ok(frame)) = incoming.frame().await {
            let piece = match frame.into_data() {
                Ok(piece) => piece,
                Err(frame) => {
                    came += frame.trailers_ref().map_or(0, HeaderMap::len);
                    continue;
                }
            };
            if sender.send_data(piece).await.is_err() {
                return;
            }
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        trailers.insert("x-trailers", HeaderValue::from(came));
        let _ = sender.send_trailers(trailers).await;
    });
    let mut response = Response::new(channel.boxed_unsync());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn websocket(mut request: Request<Incoming>) -> Response<Body> {
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY).cloned() else {
        return body::status(StatusCode::UPGRADE_REQUIRED);
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        let (mut out, incoming) = socket.split();
        let mut messages = incoming.take_while(|message| std::future::ready(message.is_ok()));
        while let Some(Ok(message)) = messages.next().await {
            let echoed = message.is_text() || message.is_binary();
            if echoed && out.send(message).await.is_err() {
                return;
            }
        }
    });
    let mut response = body::status(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    let accept = derive_accept_key(key.as_bytes());
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&accept).unwrap());
    response
}
