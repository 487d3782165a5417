//! Pingora's hooks: each finds its data and calls one plain function.

use std::{net::SocketAddr, os::fd::RawFd, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use certs::Challenges;
use clock::SharedClock;
use control_client::Site;
use http::{HeaderValue, Method, StatusCode, header};
use pingora_core::{
    Error, ErrorType, Result,
    modules::http::HttpModules,
    protocols::Digest,
    upstreams::peer::{HttpPeer, Peer as _},
};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use tokio::time::Instant;

use super::{MAX_ATTEMPTS, drain::Drain, fault, head, log, uploads};
use crate::{
    access_log::AccessLog,
    breaker::Pass,
    connection::{Visit, visit_of},
    fair::{Busy, Lanes, Level, OnLane},
    http::{
        answer::{self, Answer, Fault},
        challenge,
        forward::OriginHost,
        host::{self, HostMatch},
        redirect, websocket,
    },
    http1::Refusal,
    metrics::Metrics,
    origin::{Exchange, Target},
    standing::Admission,
};

/// How long the rest of a request's body is read after an early answer, so that the connection can be used again.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Heads of status 1xx before the answer: one 100, one 103 or two are honest.
const MAX_INTERIM: usize = 8;

pub(crate) struct Hooks {
    challenges: Arc<Challenges>,
    pub(super) log: AccessLog,
    pub(super) metrics: Metrics,
    pub(super) clock: SharedClock,
    drain: Drain,
    lanes: Arc<Lanes>,
}

/// What is known of one request.
pub(crate) struct Context {
    pub(super) started: Instant,
    pub(super) visit: Option<Arc<Visit>>,
    pub(super) site: Option<Arc<Site>>,
    pub(super) fault: Option<Fault>,
    pub(super) upstream: Option<(SocketAddr, bool)>,
    target: Option<Arc<Target>>,
    exchange: Exchange,
    attempts: usize,
    /// Counts the request as in flight until it is over, however it ends.
    busy: Option<Busy>,
    /// Its place among the requests of its hostname.
    on_lane: Option<OnLane>,
    /// Its leave to be sent to the origin, until it is known what came of it.
    pass: Option<Pass>,
    /// Heads of status 1xx that the origin has sent.
    interim: usize,
}

/// Where a request goes.
enum Route {
    Answer(Answer),
    Fault(Fault),
    Origin(Arc<Admission>),
}

impl Hooks {
    pub(super) fn new(
        challenges: Arc<Challenges>,
        log: AccessLog,
        metrics: Metrics,
        clock: SharedClock,
        drain: Drain,
    ) -> Self {
        Self { challenges, log, metrics, clock, drain, lanes: Arc::default() }
    }

    /// The response that is written next says `Connection: close` when the process drains, or is short of memory.
    fn announce_end(&self, session: &mut Session, visit: Option<&Visit>) {
        if self.drain.is_on() || visit.is_some_and(|visit| visit.seat.level() > Level::Calm) {
            session.set_keepalive(None);
        }
    }

    /// Where a request is sent to, once it has its place and its leave; all that is given back when it is over.
    async fn enter(&self, admission: &Admission, visit: &Visit, ctx: &mut Context) -> Result<Arc<Target>, Fault> {
        let most = visit.policy.limits.hostname_requests;
        ctx.on_lane = Some(admission.enter_lane(&self.lanes, most).ok_or(Fault::Busy)?);
        let target = admission.target(&visit.policy.origins).await?;
        ctx.pass = Some(target.breaker.enter(&*self.clock).ok_or(Fault::OriginPaused)?);
        Ok(target)
    }

    /// The site of a request, or the edge's own answer.
    async fn route(&self, head: &RequestHeader, visit: &Visit) -> Route {
        if is_too_much(visit) {
            return Route::Fault(Fault::Overloaded);
        }
        if visit.is_h2()
            && let Err(fault) = head::check_h2(head, &visit.policy.limits.guard.head)
        {
            return Route::Fault(fault);
        }
        if visit.policy.loops.is_on(&head.headers) {
            return Route::Fault(Fault::LoopDetected);
        }
        let admission = match host::match_host(head::authority(head), &visit.name) {
            HostMatch::Same => match visit.standing.find(&visit.policy.gate).await {
                Ok(admission) => admission,
                Err(fault) => return Route::Fault(fault),
            },
            HostMatch::Invalid(_) => return Route::Fault(Fault::BadHost),
            HostMatch::Other(name) => {
                // Connection coalescing (RFC 9113 section 9.1.1): only under a certificate that covers both names.
                if !visit.leaf.covers(&name) {
                    return Route::Fault(Fault::Misdirected);
                }
                match visit.policy.gate.admit(&name).await {
                    Ok(admitted) => Arc::new(Admission::new(admitted.site, 0)),
                    Err(_) => return Route::Fault(Fault::Misdirected),
                }
            }
        };
        // A CA comes this way when something in front of the edge sends it from port 80 to 443. A token that is not on
        // offer for this name is a path of the origin like any other.
        if let Some(token) = challenge::token(head::path_and_query(head))
            && let Some(text) = self.challenges.find_http(&admission.site.hostname, token)
        {
            return Route::Answer(answer::key_authorization(&text));
        }
        let moved =
            admission.site.redirect.as_deref().and_then(|to| redirect::to_target(to, head::path_and_query(head)));
        match moved {
            Some(location) => Route::Answer(answer::redirect(location)),
            None => Route::Origin(admission),
        }
    }
}

#[async_trait]
impl ProxyHttp for Hooks {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context {
            started: Instant::now(),
            visit: None,
            site: None,
            fault: None,
            upstream: None,
            target: None,
            exchange: Exchange::Answer,
            attempts: 0,
            busy: None,
            on_lane: None,
            pass: None,
            interim: 0,
        }
    }

    /// No modules: Pingora's own would compress, which is the origin's decision.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<()> {
        let visit = visit_of(session.digest()).ok_or_else(|| Error::new_in(ErrorType::InternalError))?;
        visit.turns.next();
        ctx.busy = Some(visit.seat.begin_request());
        if session.is_upgrade_req() && !head::is_websocket(session.req_header()) {
            head::drop_upgrade(session.req_header_mut());
        }
        ctx.exchange = exchange_of(session);
        let limits = &visit.policy.limits;
        session.set_keepalive(Some(limits.keepalive_timeout.as_secs().max(1)));
        session.set_write_timeout(Some(limits.write_timeout));
        session.set_total_drain_timeout(Some(DRAIN_TIMEOUT));
        let silence = match ctx.exchange {
            Exchange::Answer => limits.read_timeout,
            Exchange::Stream | Exchange::Tunnel => visit.policy.origins.stream_timeout(),
        };
        session.set_read_timeout(Some(silence));
        uploads::may_be_silent_for(silence);
        ctx.visit = Some(visit);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<bool> {
        let visit = ctx.visit.clone().ok_or_else(|| Error::new_in(ErrorType::InternalError))?;
        let fault = match self.route(session.req_header(), &visit).await {
            Route::Answer(answer) => {
                self.announce_end(session, Some(&visit));
                send(session, answer).await?;
                return Ok(true);
            }
            Route::Fault(fault) => fault,
            Route::Origin(admission) => match self.enter(&admission, &visit, ctx).await {
                Ok(target) => {
                    (ctx.site, ctx.target) = (Some(admission.site.clone()), Some(target));
                    return Ok(false);
                }
                Err(fault) => fault,
            },
        };
        ctx.fault = Some(fault);
        if fault == Fault::Gone {
            session.set_keepalive(None);
        }
        let rendered = render(fault, session);
        self.announce_end(session, Some(&visit));
        send(session, rendered).await?;
        Ok(true)
    }

    async fn request_body_filter(
        &self,
        _: &mut Session,
        _: &mut Option<Bytes>,
        last: bool,
        _: &mut Context,
    ) -> Result<()> {
        uploads::moved(last);
        Ok(())
    }

    async fn upstream_peer(&self, _: &mut Session, ctx: &mut Context) -> Result<Box<HttpPeer>> {
        let peer = match (&ctx.visit, &ctx.target) {
            (Some(visit), Some(target)) => visit.policy.origins.peer_for(target, ctx.attempts, ctx.exchange),
            _ => None,
        };
        peer.ok_or_else(|| Error::new_in(ErrorType::InternalError))
    }

    async fn connected_to_upstream(
        &self,
        _: &mut Session,
        reused: bool,
        peer: &HttpPeer,
        _: RawFd,
        _: Option<&Digest>,
        ctx: &mut Context,
    ) -> Result<()> {
        ctx.upstream = peer.address().as_inet().map(|address| (*address, reused));
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        let (Some(visit), Some(site), Some(target)) = (&ctx.visit, &ctx.site, &ctx.target) else {
            return Err(Error::new_in(ErrorType::InternalError));
        };
        let asked = session.req_header();
        let host = match asked.headers.get(header::HOST) {
            Some(host) => host.clone(),
            None => HeaderValue::from_str(head::authority(asked).unwrap_or_default())
                .unwrap_or_else(|_| target.authority.clone()),
        };
        let to = match site.keep_host {
            true => OriginHost::Keep,
            false => OriginHost::Replace(target.authority.clone()),
        };
        visit.forwarding.apply(request, &host, &to);
        visit.policy.loops.put_on(request);
        Ok(())
    }

    /// No byte of the request was sent, so the next address may be tried.
    fn fail_to_connect(
        &self,
        _: &mut Session,
        peer: &HttpPeer,
        ctx: &mut Context,
        mut error: Box<Error>,
    ) -> Box<Error> {
        ctx.attempts += 1;
        ctx.upstream = peer.address().as_inet().map(|address| (*address, false));
        let addresses = ctx.target.as_ref().map_or(1, |target| target.addresses());
        error.set_retry(ctx.attempts < addresses.min(MAX_ATTEMPTS));
        self.metrics.origin_connect_failed();
        error
    }

    /// Bytes of the request were sent: whether the origin acted on them cannot be known, so it is never sent twice.
    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        _: &mut Session,
        mut error: Box<Error>,
        _: &mut Context,
        _: bool,
    ) -> Box<Error> {
        error.set_retry(false);
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut Context) -> FailToProxy {
        if let Some(pass) = ctx.pass.take()
            && fault::is_origins(error)
        {
            pass.failed(&*self.clock);
        }
        let refused = ctx.visit.as_ref().and_then(|visit| visit.baton.refused()).map(Refusal::fault);
        let Some(fault) = refused.or_else(|| fault::of(error)) else {
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        };
        ctx.fault = Some(fault);
        let rendered = render(fault, session);
        // Nothing is left to do for a visitor that cannot be told.
        let _ = send_error(session, rendered).await;
        FailToProxy { error_code: fault.status().as_u16(), can_reuse_downstream: false }
    }

    /// A tunnel is opened by an origin that proves it understood (RFC 6455 section 4.1): bytes that a visitor sends
    /// after a 101 from one that did not are a request of the visitor's making.
    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        self.announce_end(session, ctx.visit.as_deref());
        if response.status.is_informational() && response.status != StatusCode::SWITCHING_PROTOCOLS {
            ctx.interim += 1;
            return match ctx.interim > MAX_INTERIM {
                true => Err(Error::new_up(ErrorType::InvalidHTTPHeader)),
                false => Ok(()),
            };
        }
        if let Some(pass) = ctx.pass.take() {
            pass.answered(&*self.clock);
        }
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            if !websocket::is_accepted(&session.req_header().headers, &response.headers) {
                return Err(Error::new_up(ErrorType::InvalidHTTPHeader));
            }
            if let Some(visit) = &ctx.visit {
                visit.becomes_tunnel(ctx.site.as_ref().map_or(&visit.name, |site| &site.hostname));
            }
        }
        Ok(())
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Context) {
        log::finish(self, session, error, ctx);
        if let Some(visit) = &ctx.visit {
            visit.turns.next();
            visit.baton.answered();
        }
    }

    /// The access log tells of every request; Pingora's line per failure would let strangers fill a disk.
    fn suppress_error_log(&self, _: &Session, _: &Context, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(&self, _: &Session, _: &Context, _: &Error, _: ProxyWarnLogContext) -> bool {
        true
    }
}

/// Whether there is too little memory for one more request; on HTTP/2 one visitor's requests would go on and on.
fn is_too_much(visit: &Visit) -> bool {
    match visit.seat.level() {
        Level::Calm => false,
        Level::High => visit.is_h2() && visit.seat.requests() > 1,
        Level::Full => true,
    }
}

/// Tunnels and event streams may be silent for long; a plain request is owed an answer.
fn exchange_of(session: &Session) -> Exchange {
    let fields = &session.req_header().headers;
    let begins = |name: header::HeaderName, text: &[u8]| {
        fields.get(name).is_some_and(|value| value.as_bytes().starts_with(text))
    };
    if session.is_upgrade_req() {
        return Exchange::Tunnel;
    }
    match begins(header::ACCEPT, b"text/event-stream") || begins(header::CONTENT_TYPE, b"application/grpc") {
        true => Exchange::Stream,
        false => Exchange::Answer,
    }
}

fn render(fault: Fault, session: &Session) -> Answer {
    answer::answer(fault, session.req_header().headers.get(header::ACCEPT))
}

fn response_head(answer: &Answer) -> Result<ResponseHeader> {
    let mut head = ResponseHeader::build(answer.status, Some(answer.fields.len()))?;
    for (name, value) in &answer.fields {
        head.insert_header(name, value)?;
    }
    Ok(head)
}

/// Sends an answer of the edge's own on a connection that stays usable.
async fn send(session: &mut Session, answer: Answer) -> Result<()> {
    let head = response_head(&answer)?;
    let bodiless = session.req_header().method == Method::HEAD || answer.body.is_empty();
    session.write_response_header(Box::new(head), bodiless).await?;
    match bodiless {
        true => Ok(()),
        false => session.write_response_body(Some(answer.body), true).await,
    }
}

/// Sends an answer after a failure: the connection closes after it, and nothing is sent if a response has begun.
async fn send_error(session: &mut Session, answer: Answer) -> Result<()> {
    let head = response_head(&answer)?;
    let body = if session.req_header().method == Method::HEAD { Bytes::new() } else { answer.body };
    session.as_downstream_mut().write_error_response(head, body).await
}
