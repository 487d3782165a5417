//! One exchange with an origin: the request goes there, the answer comes back, both at once where both want to.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Version, header};
use pingora_core::{Error, ErrorType, Result, protocols::http::ServerSession};
use pingora_http::{RequestHeader, ResponseHeader};
use tokio::time::{Instant, timeout};

use super::{
    MAX_ATTEMPTS,
    fault::NO_TURN,
    head,
    intake::Intake,
    onward::{self, Onward},
    requests::{Context as Known, Requests, silence},
    route,
    toll::Toll,
    upstream::{Upstream, broken},
    visitor::{self, H2Out, In},
};
use crate::{
    connection::Visit,
    http::{Head, answer::Fault, forward::OriginHost, websocket},
    origin::{Exchange as Kind, Place, Sending, Target},
};

/// Heads of status 1xx before the answer: one 100, one 103 or two are honest.
const MAX_INTERIM: usize = 8;

/// What an exchange came to that did not fail.
pub(super) enum Ended {
    /// The answer was passed on.
    Whole,
    /// Nothing was sent to the origin.
    Refused(Fault),
}

/// Passes a request on to its origin and the answer back.
///
/// # Errors
/// With the visitor or the origin as the source. What was sent of the request is never sent again: whether the origin
/// acted on it cannot be known.
pub(super) async fn run(requests: &Requests, session: &mut ServerSession, ctx: &mut Known) -> Result<Ended> {
    let Some(target) = ctx.target.clone() else { return Err(Error::new_in(ErrorType::InternalError)) };
    // Refused before anybody is dialled for it.
    let mut wire = Vec::with_capacity(1024);
    let has_body = !session.is_body_empty();
    let sending = match changed(session.req_header(), ctx, &target) {
        Ok(onward) => onward.write(&mut wire, has_body, ctx.exchange == Kind::Tunnel),
        Err(fault) => return Ok(Ended::Refused(fault)),
    };
    let mut origin = reach(requests, session.req_header(), ctx, &target).await?;
    ask(&mut origin, session.req_header(), ctx, &target, &wire, sending, has_body).await?;
    drop(wire);
    let silence = silence(&ctx.visit, ctx.exchange);
    let visitor = In::new(session, silence, Toll::of(requests, ctx));
    let intake = Intake::new(ctx.visit.clone(), Toll::of(requests, ctx));
    let mut relay = Relay { requests, ctx, visitor, intake, out: None, origin, upload_broke: None, interim: 0 };
    let ended = relay.run().await;
    relay.end(ended).await
}

/// The changes to a request's head.
fn changed<'a>(request: &'a RequestHeader, ctx: &Known, target: &Target) -> Result<Onward<'a>, Fault> {
    let mut onward = Onward::new(request)?;
    rewrite(&mut onward, request, ctx, target);
    Ok(onward)
}

fn rewrite(head: &mut impl Head, request: &RequestHeader, ctx: &Known, target: &Target) {
    let host = match request.headers.get(header::HOST) {
        Some(host) => host.clone(),
        None => HeaderValue::from_str(head::authority(request).unwrap_or_default())
            .unwrap_or_else(|_| target.authority.clone()),
    };
    let to = match ctx.site.as_ref().is_some_and(|site| site.keep_host) {
        true => OriginHost::Keep,
        false => OriginHost::Replace(target.authority.clone()),
    };
    ctx.visit.forwarding.apply(head, &host, &to);
    if to == OriginHost::Keep && !request.headers.contains_key(header::HOST) {
        head.set(header::HOST, host);
    }
    ctx.visit.policy.loops.put_on(head);
}

/// A connection to the origin. An address that cannot be dialled makes way for the next: no byte was sent yet.
async fn reach(requests: &Requests, request: &RequestHeader, ctx: &mut Known, target: &Target) -> Result<Upstream> {
    let needs_h2 = route::needs_h2(request);
    let mut last = None;
    for attempt in 0..MAX_ATTEMPTS {
        let Some(place) = target.place(attempt) else { break };
        match open(requests, place, needs_h2, &ctx.visit).await {
            Ok((origin, reused)) => {
                ctx.upstream = Some((place.address, reused));
                return Ok(origin);
            }
            // Another address would not bring it any sooner.
            Err(error) if error.etype() == &NO_TURN => return Err(error),
            Err(error) => {
                ctx.upstream = Some((place.address, false));
                requests.metrics.origin_connect_failed();
                last = Some(error);
            }
        }
    }
    Err(last.unwrap_or_else(|| Error::new_in(ErrorType::InternalError)))
}

async fn open(requests: &Requests, place: &Arc<Place>, needs_h2: bool, visit: &Visit) -> Result<(Upstream, bool)> {
    let settings = visit.policy.origins.settings();
    if needs_h2 {
        // One after the other: those who come at once would dial at once, a connection each.
        let turn = timeout(settings.connect_timeout.saturating_mul(2), visit.dials.lock()).await;
        let _turn = turn.map_err(|_| Error::new_in(NO_TURN))?;
        if let Some(found) = Box::pin(requests.streams.open(place, visit, settings)).await? {
            return Ok(found);
        }
    }
    // In plain text there is nothing that is of no use before it is whole.
    let places = place.tls.as_ref().and_then(|_| visit.places());
    let wire = requests.dialler.open(place, settings.connect_timeout, places).await?;
    let reused = wire.is_reused();
    Ok((Upstream::H1 { wire, sending: Sending::Plain }, reused))
}

/// Sends the request's head.
async fn ask(
    origin: &mut Upstream,
    request: &RequestHeader,
    ctx: &Known,
    target: &Target,
    bytes: &[u8],
    framing: Sending,
    has_body: bool,
) -> Result<()> {
    match origin {
        Upstream::H1 { wire, sending } => {
            *sending = framing;
            let limit = ctx.visit.policy.origins.settings().response_timeout;
            match timeout(limit, wire.send(bytes)).await {
                Ok(sent) => sent.map_err(broken),
                Err(_) => Err(Error::new_up(ErrorType::WriteTimedout)),
            }
        }
        Upstream::H2 { stream, .. } => {
            let mut head = request.clone();
            onward::leave_behind(&mut head, request);
            rewrite(&mut head, request, ctx, target);
            Upstream::send_h2_head(stream, h2_head(head)?, !has_body)
        }
    }
}

/// A head as HTTP/2 has it: the authority instead of `Host` (RFC 9113 section 8.3.1).
fn h2_head(mut head: RequestHeader) -> Result<RequestHeader> {
    let host = head.remove_header(&header::HOST);
    let path = head.uri.path_and_query().cloned().unwrap_or_else(|| http::uri::PathAndQuery::from_static("/"));
    let authority = host.as_ref().map(|host| host.as_bytes()).unwrap_or_default();
    let uri = http::Uri::builder().scheme("https").authority(authority).path_and_query(path).build();
    head.set_uri(uri.map_err(|_| Error::new_down(ErrorType::InvalidHTTPHeader))?);
    head.set_version(Version::HTTP_2);
    Ok(head)
}

/// Both directions of an exchange.
struct Relay<'a> {
    requests: &'a Requests,
    ctx: &'a mut Known,
    visitor: In<'a>,
    intake: Intake,
    /// Where an answer's body goes over HTTP/2.
    out: Option<H2Out>,
    origin: Upstream,
    /// Why the request's body could not be sent on; the answer may come all the same.
    upload_broke: Option<Box<Error>>,
    interim: usize,
}

/// What happened first.
enum Event {
    Head(Box<ResponseHeader>),
    Piece(Option<Bytes>),
    Upload(Option<Bytes>),
}

impl Relay<'_> {
    async fn run(&mut self) -> Result<()> {
        let tunnel = self.until_head().await?;
        match tunnel {
            true => self.through_tunnel().await,
            false => self.body().await,
        }
    }

    fn limit(&self) -> Duration {
        self.ctx.visit.policy.origins.settings().silence(self.ctx.exchange)
    }

    /// Sends the request's body until the answer's head has been passed on. The origin's time for it runs from the last
    /// byte of the request, whatever it sends meanwhile. Whether it has become a tunnel.
    async fn until_head(&mut self) -> Result<bool> {
        let limit = self.limit();
        let mut deadline = Instant::now() + limit;
        loop {
            match self.before_head(deadline).await? {
                Event::Head(head) => {
                    if let Some(tunnel) = self.head(head).await? {
                        return Ok(tunnel);
                    }
                }
                Event::Upload(piece) => {
                    self.upload(piece).await?;
                    deadline = Instant::now() + limit;
                }
                Event::Piece(_) => {}
            }
        }
    }

    async fn before_head(&mut self, deadline: Instant) -> Result<Event> {
        let Self { visitor, origin, intake, .. } = self;
        let method = visitor.session().req_header().method.clone();
        if !visitor.is_done() {
            return tokio::select! {
                biased;
                head = intake.head(origin, &method, None) => head.map(Event::Head),
                piece = visitor.body() => piece.map(Event::Upload),
            };
        }
        let head = tokio::select! {
            biased;
            head = intake.head(origin, &method, Some(deadline)) => head,
            gone = visitor.gone() => return Err(gone),
        };
        head.map(Event::Head).map_err(|error| self.upload_broke.take().unwrap_or(error))
    }

    /// A piece of the request's body goes on. An origin that takes no more of it may have answered already.
    async fn upload(&mut self, piece: Option<Bytes>) -> Result<()> {
        let last = self.visitor.is_done();
        let limit = self.limit();
        if piece.as_ref().is_none_or(Bytes::is_empty) && !last {
            return Ok(());
        }
        if let Err(error) = self.origin.send_body(piece.unwrap_or_default(), last, limit).await {
            self.visitor.give_up();
            self.upload_broke = Some(error);
        }
        Ok(())
    }

    /// Passes a head on; `None` when another is to come, else whether it opened a tunnel.
    async fn head(&mut self, mut head: Box<ResponseHeader>) -> Result<Option<bool>> {
        let session = self.visitor.session();
        let (version, method) = (session.req_header().version, session.req_header().method.clone());
        self.requests.announce_end(session, &self.ctx.visit);
        if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
            self.interim += 1;
            if self.interim > MAX_INTERIM {
                return Err(Error::new_up(ErrorType::InvalidHTTPHeader));
            }
            if version == Version::HTTP_11 {
                visitor::write_head(self.visitor.session(), head, false, &self.ctx.visit).await?;
            }
            return Ok(None);
        }
        if let Some(pass) = self.ctx.pass.take() {
            pass.answered(&*self.requests.clock);
        }
        let tunnel = head.status == StatusCode::SWITCHING_PROTOCOLS;
        if tunnel {
            self.open_tunnel(&head)?;
        } else {
            frame(&mut head, version, &method, self.origin.is_done(), self.visitor.session())?;
        }
        let end = !tunnel && self.origin.is_done();
        self.out = visitor::write_head(self.visitor.session(), head, end, &self.ctx.visit).await?;
        Ok(Some(tunnel))
    }

    /// A tunnel is opened by an origin that proves it understood (RFC 6455 section 4.1): bytes that a visitor sends
    /// after a 101 from one that did not are a request of the visitor's making.
    fn open_tunnel(&mut self, head: &ResponseHeader) -> Result<()> {
        let asked = &self.visitor.session().req_header().headers;
        if self.ctx.exchange != Kind::Tunnel || !websocket::is_accepted(asked, &head.headers) {
            return Err(Error::new_up(ErrorType::InvalidHTTPHeader));
        }
        let name = self.ctx.site.as_ref().map_or(&self.ctx.visit.name, |site| &site.hostname);
        self.ctx.visit.becomes_tunnel(name);
        self.visitor.becomes_tunnel();
        Ok(())
    }

    /// Passes the answer's body on, and what still comes of the request's.
    async fn body(&mut self) -> Result<()> {
        while !self.origin.is_done() || self.intake.holds() {
            match self.next().await? {
                Event::Piece(Some(piece)) => self.answer(piece).await?,
                Event::Piece(None) => return self.trailers().await,
                Event::Upload(piece) => self.upload(piece).await?,
                Event::Head(_) => {}
            }
        }
        self.end_answer().await
    }

    /// What comes next, from the origin as far as the visitor has room for it.
    async fn next(&mut self) -> Result<Event> {
        let silence = self.limit();
        let Self { visitor, out, origin, intake, .. } = self;
        let watched = out.is_some();
        let piece = intake.piece(origin, out.as_mut(), silence);
        match visitor.is_done() {
            // A stream of HTTP/2 tells its intake when the visitor goes.
            true if watched => piece.await.map(Event::Piece),
            true => tokio::select! {
                biased;
                piece = piece => piece.map(Event::Piece),
                gone = visitor.gone() => Err(gone),
            },
            // Neither direction keeps the other waiting.
            false => tokio::select! {
                piece = piece => piece.map(Event::Piece),
                upload = visitor.body() => upload.map(Event::Upload),
            },
        }
    }

    async fn answer(&mut self, piece: Bytes) -> Result<()> {
        match &mut self.out {
            Some(out) => out.send(piece, self.origin.is_done()),
            None => self.visitor.session().write_response_body(piece, false).await.map_err(|error| error.into_down()),
        }
    }

    async fn trailers(&mut self) -> Result<()> {
        let trailers = self.origin.read_trailers().await?;
        match (&mut self.out, trailers) {
            (Some(out), Some(trailers)) => out.send_trailers(trailers),
            _ => self.end_answer().await,
        }
    }

    /// The end of a body, where it was not sent with its last piece.
    async fn end_answer(&mut self) -> Result<()> {
        match &mut self.out {
            Some(out) => out.end(),
            None => Ok(()),
        }
    }

    /// Bytes both ways, until either side ends.
    async fn through_tunnel(&mut self) -> Result<()> {
        loop {
            match self.next().await? {
                Event::Piece(Some(piece)) => self.answer(piece).await?,
                Event::Upload(Some(piece)) => {
                    let limit = self.limit();
                    self.origin.send_body(piece, false, limit).await?;
                }
                Event::Piece(None) | Event::Upload(None) => break,
                Event::Head(_) => {}
            }
        }
        if let Upstream::H1 { wire, .. } = &mut self.origin {
            wire.close().await;
        }
        Ok(())
    }

    /// Gives back what can be used again, and tells the visitor when the answer broke off.
    async fn end(mut self, ended: Result<()>) -> Result<Ended> {
        if let Some(out) = &mut self.out {
            self.ctx.sent = out.sent();
            if ended.is_err() {
                out.reset();
            }
        }
        let whole = ended.is_ok() && self.visitor.is_done() && self.upload_broke.is_none();
        let (visit, requests) = (&self.ctx.visit, self.requests);
        let settings = visit.policy.origins.settings();
        match self.origin {
            Upstream::H1 { wire, .. } if whole => requests.dialler.give_back(wire, settings.idle_timeout),
            Upstream::H1 { .. } => {}
            // Boxed: it is large and rare, and every request's future would have room for it.
            Upstream::H2 { stream, place } => {
                Box::pin(requests.streams.give_back(stream, &place, visit, settings)).await;
            }
        }
        ended.map(|()| Ended::Whole)
    }
}

/// Says how the body of an answer is framed for a visitor of HTTP/1 (RFC 9112 section 6).
fn frame(
    head: &mut ResponseHeader,
    version: Version,
    method: &Method,
    done: bool,
    session: &mut ServerSession,
) -> Result<()> {
    head.set_version(Version::HTTP_11);
    let bodiless = *method == Method::HEAD || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if bodiless || head.headers.contains_key(header::CONTENT_LENGTH) || version == Version::HTTP_2 {
        return Ok(());
    }
    match (done, version) {
        (true, _) => head.insert_header(header::CONTENT_LENGTH, "0"),
        (false, Version::HTTP_11) => head.insert_header(header::TRANSFER_ENCODING, "chunked"),
        // HTTP/1.0 knows no chunks: the connection ends with the body.
        (false, _) => {
            session.set_keepalive(None);
            Ok(())
        }
    }
}
