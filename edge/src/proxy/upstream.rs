//! [`Upstream`]: the origin's side of one exchange.
//!
//! HTTP/1.1 is what origins are spoken to in: a connection carries one visitor's exchange at a time, so nobody waits for
//! another visitor, and nothing is read that its visitor has no room for. HTTP/2 is for those who need it, which is gRPC:
//! it has trailers, and both directions at once (see `docs/decisions/0006`). What its origins may send unasked is in
//! windows, so they are each visitor's own.

use std::{
    future::Future as _,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use pingora_core::{
    Error, ErrorType, Result,
    connectors::{ConnectorOptions, http::Connector},
    protocols::{
        ALPN,
        http::{client::HttpSession, v2::client::Http2Session},
    },
    upstreams::peer::HttpPeer,
};
use pingora_http::{RequestHeader, ResponseHeader};
use rustls::pki_types::ServerName;
use tokio::time::timeout;

use crate::{
    connection::Visit,
    origin::{OriginSettings, Place, Sending, Wire, WireError},
};

/// HTTP/2 streams on one connection to an origin.
const STREAMS: usize = 100;
/// What an origin may send on one HTTP/2 stream before its visitor has taken it. Messages of gRPC are small.
const STREAM_WINDOW: u32 = 32 * 1024;
/// The same for a whole connection: that much is held for a visitor that takes nothing.
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// An origin that was reached, with one exchange.
pub(super) enum Upstream {
    H1 { wire: Wire, sending: Sending },
    H2 { stream: Box<Http2Session>, place: Arc<Place> },
}

/// Connections of HTTP/2 to origins. The streams of one visitor's connection share one of them, and no other visitor has a
/// part in it: who takes nothing fills windows of its own.
pub(super) struct Streams(Connector);

impl Streams {
    pub(super) fn new(roots: Option<&std::path::Path>, pool: usize) -> Self {
        let mut options = ConnectorOptions::new(pool);
        options.ca_file = roots.map(|path| path.display().to_string());
        Self(Connector::new(Some(options)))
    }

    /// A stream to this place for a visitor; none when its origin does not speak HTTP/2.
    ///
    /// # Errors
    /// The origin is the source; no byte of a request has been sent.
    pub(super) async fn open(
        &self,
        place: &Arc<Place>,
        visit: &Visit,
        settings: &OriginSettings,
    ) -> Result<Option<(Upstream, bool)>> {
        let Some(name) = &place.tls else { return Ok(None) };
        let peer = peer(place, name, visit, settings);
        let (session, reused) = self.0.get_http_session(&peer).await.map_err(|error| error.into_up())?;
        match session {
            HttpSession::H2(stream) => {
                Ok(Some((Upstream::H2 { stream: Box::new(stream), place: place.clone() }, reused)))
            }
            _ => Ok(None),
        }
    }

    /// Takes a stream's connection back.
    pub(super) async fn give_back(
        &self,
        stream: Box<Http2Session>,
        place: &Place,
        visit: &Visit,
        settings: &OriginSettings,
    ) {
        let Some(name) = &place.tls else { return };
        let peer = peer(place, name, visit, settings);
        self.0.release_http_session(HttpSession::H2(*stream), &peer, Some(settings.idle_timeout)).await;
    }
}

/// A place as Pingora knows it, for one visitor.
fn peer(place: &Place, name: &ServerName<'_>, visit: &Visit, settings: &OriginSettings) -> HttpPeer {
    let mut peer = HttpPeer::new(place.address, true, name.to_str().into_owned());
    // Where it lies in memory is a visit's own, as long as it lasts.
    peer.group_key = std::ptr::from_ref(visit) as u64;
    let options = &mut peer.options;
    options.alpn = ALPN::H2H1;
    options.connection_timeout = Some(settings.connect_timeout);
    options.total_connection_timeout = Some(settings.connect_timeout.saturating_mul(2));
    options.idle_timeout = Some(settings.idle_timeout);
    options.max_h2_streams = STREAMS;
    options.h2_stream_window_size = Some(STREAM_WINDOW);
    options.h2_connection_window_size = Some(CONNECTION_WINDOW);
    peer
}

impl Upstream {
    /// Sends a request head over HTTP/2.
    ///
    /// # Errors
    /// The origin is the source.
    pub(super) fn send_h2_head(stream: &mut Http2Session, head: RequestHeader, end: bool) -> Result<()> {
        stream.write_request_header(Box::new(head), end).map_err(|error| error.into_up())
    }

    /// Sends a piece of the request's body; `last` with its end.
    ///
    /// # Errors
    /// The origin is gone, or has taken nothing for `limit`.
    pub(super) async fn send_body(&mut self, piece: Bytes, last: bool, limit: Duration) -> Result<()> {
        let sent = async {
            match self {
                Self::H1 { wire, sending } => {
                    wire.send_body(&piece, *sending).await.map_err(broken)?;
                    if last {
                        wire.end_body(*sending).await.map_err(broken)?;
                    }
                    Ok(())
                }
                Self::H2 { stream, .. } => {
                    stream.write_request_body(piece, last).await.map_err(|error| error.into_up())
                }
            }
        };
        match timeout(limit, sent).await {
            Ok(sent) => sent,
            Err(_) => Error::e_explain(ErrorType::WriteTimedout, "a request is not taken").map_err(Error::into_up),
        }
    }

    /// Whether it can only be read a whole record at a time.
    pub(super) fn has_records(&self) -> bool {
        matches!(self, Self::H1 { wire, .. } if wire.has_records())
    }

    /// Whether something was read that nobody has taken yet. Over HTTP/2 the windows say how much may come unasked.
    pub(super) fn holds(&self) -> bool {
        matches!(self, Self::H1 { wire, .. } if wire.holds())
    }

    /// Whether a part of a record was read that is of no use before it is whole.
    pub(super) fn has_begun(&self) -> bool {
        matches!(self, Self::H1 { wire, .. } if wire.has_begun())
    }

    /// Gives back the room for what is read, while nothing is.
    pub(super) fn settle(&mut self) {
        if let Self::H1 { wire, .. } = self {
            wire.settle();
        }
    }

    /// Ready when reading may bring something.
    ///
    /// # Errors
    /// The origin is the source.
    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match self {
            Self::H1 { wire, .. } => wire.poll_ready(cx).map_err(broken),
            Self::H2 { .. } => Poll::Ready(Ok(())),
        }
    }

    /// The next head, interim ones too.
    ///
    /// # Errors
    /// The origin is the source.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>, method: &Method) -> Poll<Result<Box<ResponseHeader>>> {
        match self {
            Self::H1 { wire, .. } => wire.poll_head(cx, *method == Method::HEAD).map_err(broken),
            Self::H2 { stream, .. } => pin!(h2_answer(stream, method)).poll(cx),
        }
    }

    /// Whether the answer has been read whole.
    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::H1 { wire, .. } => wire.is_done(),
            Self::H2 { stream, .. } => stream.response_finished(),
        }
    }

    /// The next piece of the answer's body, at most `most` bytes over HTTP/1.1; none at its end.
    ///
    /// # Errors
    /// The origin is the source: the body broke off.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Option<Bytes>>> {
        match self {
            Self::H1 { wire, .. } => wire.poll_body(cx, most).map_err(broken),
            Self::H2 { stream, .. } => pin!(h2_piece(stream)).poll(cx),
        }
    }

    /// The trailers behind a body that has been read.
    ///
    /// # Errors
    /// The origin is the source.
    pub(super) async fn read_trailers(&mut self) -> Result<Option<HeaderMap>> {
        match self {
            Self::H1 { .. } => Ok(None),
            Self::H2 { stream, .. } => stream.read_trailers().await.map_err(|error| error.into_up()),
        }
    }
}

/// Can be given up and begun again.
async fn h2_answer(stream: &mut Http2Session, method: &Method) -> Result<Box<ResponseHeader>> {
    stream.read_response_header().await.map_err(|error| error.into_up())?;
    let ended = stream.check_response_end_or_error().map_err(|error| error.into_up())?;
    let head = stream.response_header().cloned();
    let head = head.ok_or_else(|| Error::new_up(ErrorType::InternalError))?;
    match ended && promises_a_body(&head, method) {
        true => Error::e_explain(ErrorType::H2Error, "a length and no body").map_err(Error::into_up),
        false => Ok(Box::new(head)),
    }
}

/// Can be given up and begun again.
async fn h2_piece(stream: &mut Http2Session) -> Result<Option<Bytes>> {
    let piece = stream.read_response_body().await.map_err(|error| error.into_up())?;
    stream.check_response_end_or_error().map_err(|error| error.into_up())?;
    Ok(piece)
}

fn promises_a_body(head: &ResponseHeader, method: &Method) -> bool {
    let length = head.headers.get(header::CONTENT_LENGTH);
    *method != Method::HEAD
        && !matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        && length.is_some_and(|length| length.as_bytes().iter().any(|byte| *byte != b'0'))
}

/// What broke, with the origin as the source.
pub(super) fn broken(error: WireError) -> Box<Error> {
    let kind = match error {
        WireError::Io(_) => ErrorType::ReadError,
        WireError::Grammar(_) => ErrorType::InvalidHTTPHeader,
    };
    Error::because(kind, "an exchange with an origin", error).into_up()
}
