//! The life of a request: its head, its way, its answer, its line in the log.

use std::{net::SocketAddr, path::Path, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use certs::Challenges;
use clock::SharedClock;
use control_client::Site;
use http::Method;
use pingora_core::{
    Error, ErrorType, Result,
    apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream},
    protocols::http::{ServerSession, v2::server::H2Options},
    server::ShutdownWatch,
};
use pingora_http::ResponseHeader;
use tokio::time::Instant;

use super::{
    drain::Drain,
    exchange::{self, Ended},
    fault, head, log,
    route::{self, Route},
    upstream::Streams,
};
use crate::{
    access_log::AccessLog,
    breaker::Pass,
    connection::{Visit, visit_of},
    fair::{Busy, Lanes, Level, OnLane},
    http::answer::{self, Answer, Fault},
    http1::Refusal,
    metrics::Metrics,
    origin::{DialError, Dialler, Exchange, Target},
    standing::Admission,
};

/// How long the rest of a request's body is read after an early answer, so that the connection can be used again.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves requests; one for the process.
pub(super) struct Requests {
    pub(super) challenges: Arc<Challenges>,
    pub(super) log: AccessLog,
    pub(super) metrics: Metrics,
    pub(super) clock: SharedClock,
    pub(super) dialler: Dialler,
    pub(super) streams: Streams,
    drain: Drain,
    lanes: Arc<Lanes>,
    h2_options: H2Options,
    options: HttpServerOptions,
}

/// What [`Requests`] are served with.
pub(super) struct Means<'a> {
    pub(super) challenges: Arc<Challenges>,
    pub(super) log: AccessLog,
    pub(super) metrics: Metrics,
    pub(super) clock: SharedClock,
    pub(super) drain: Drain,
    /// Roots of origins' certificates.
    pub(super) roots: Option<&'a Path>,
    /// Idle connections to origins.
    pub(super) pool: usize,
    pub(super) h2_options: H2Options,
    /// How long an HTTP/2 connection may stand without a request.
    pub(super) idle: Duration,
}

/// What is known of one request.
pub(super) struct Context {
    pub(super) started: Instant,
    pub(super) visit: Arc<Visit>,
    pub(super) site: Option<Arc<Site>>,
    pub(super) fault: Option<Fault>,
    pub(super) upstream: Option<(SocketAddr, bool)>,
    pub(super) target: Option<Arc<Target>>,
    pub(super) exchange: Exchange,
    /// Its leave to be sent to the origin, until it is known what came of it.
    pub(super) pass: Option<Pass>,
    /// Bytes of an answer's body over HTTP/2; Pingora counts those of HTTP/1.
    pub(super) sent: usize,
    /// Counts the request as in flight until it is over, however it ends.
    _busy: Busy,
    /// Its place among the requests of its hostname.
    pub(super) on_lane: Option<OnLane>,
}

impl HttpServerApp for Requests {
    /// Written out: what an `async fn` is given has its room in it twice, and this is what a waiting connection keeps.
    fn process_new_http<'this, 'watch, 'future>(
        self: &'this Arc<Self>,
        session: ServerSession,
        _: &'watch ShutdownWatch,
    ) -> Pin<Box<dyn Future<Output = Option<ReusedHttpStream>> + Send + 'future>>
    where
        'this: 'future,
        'watch: 'future,
        Self: 'future,
    {
        Box::pin(self.attend(Box::new(session)))
    }

    fn h2_options(&self) -> Option<H2Options> {
        Some(self.h2_options.clone())
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}

impl Requests {
    /// # Errors
    /// [`DialError`].
    pub(super) fn new(means: Means<'_>) -> Result<Self, DialError> {
        let Means { challenges, log, metrics, clock, drain, roots, pool, h2_options, idle } = means;
        let mut options = HttpServerOptions::default();
        options.h2_idle_timeout = Some(idle);
        Ok(Self {
            challenges,
            log,
            metrics,
            clock,
            dialler: Dialler::new(roots, pool)?,
            streams: Streams::new(roots, pool),
            drain,
            lanes: Arc::default(),
            h2_options,
            options,
        })
    }

    /// What the guard let pass and Pingora cannot read.
    async fn unreadable(&self, session: &mut ServerSession, error: &Error) {
        if error.etype() == &ErrorType::InvalidHTTPHeader {
            // Nothing is left to do for a visitor that cannot be told.
            let _ = session.respond_error(400).await;
        }
        session.shutdown().await;
    }

    /// Reads a request and answers it.
    async fn attend(&self, mut session: Box<ServerSession>) -> Option<ReusedHttpStream> {
        match session.read_request().await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                self.unreadable(&mut session, &error).await;
                return None;
            }
        }
        let visit = visit_of(session.digest())?;
        match self.serve(&mut session, visit).await {
            true => finish(session).await,
            false => None,
        }
    }

    /// Answers a request; whether its connection can be used again.
    async fn serve(&self, session: &mut ServerSession, visit: Arc<Visit>) -> bool {
        let mut ctx = self.begin(session, visit);
        let served = self.answer(session, &mut ctx).await;
        if let Err(error) = &served {
            self.fail(session, error, &mut ctx).await;
        }
        log::finish(self, session, served.as_ref().err().map(|error| &**error), &ctx);
        ctx.visit.turns.next();
        ctx.visit.baton.answered();
        served.is_ok()
    }

    /// The request has come: it counts, and its deadlines are set.
    fn begin(&self, session: &mut ServerSession, visit: Arc<Visit>) -> Context {
        visit.turns.next();
        let exchange = route::exchange_of(session.req_header());
        if exchange != Exchange::Tunnel {
            head::drop_upgrade(session.req_header_mut());
        }
        let limits = &visit.policy.limits;
        session.set_keepalive(Some(limits.keepalive_timeout.as_secs().max(1)));
        session.set_write_timeout(Some(limits.write_timeout));
        session.set_total_drain_timeout(Some(DRAIN_TIMEOUT));
        session.set_read_timeout(Some(silence(&visit, exchange)));
        Context {
            started: Instant::now(),
            site: None,
            fault: None,
            upstream: None,
            target: None,
            exchange,
            pass: None,
            sent: 0,
            _busy: visit.seat.begin_request(),
            on_lane: None,
            visit,
        }
    }

    /// Answers a request, from here or from its origin.
    async fn answer(&self, session: &mut ServerSession, ctx: &mut Context) -> Result<()> {
        if session.req_header().method == Method::CONNECT {
            return self.refuse(Fault::MethodNotAllowed, session, ctx).await;
        }
        let fault = match self.route(session.req_header(), &ctx.visit).await {
            Route::Answer(answer) => {
                self.announce_end(session, &ctx.visit);
                return send(session, answer).await;
            }
            Route::Fault(fault) => fault,
            Route::Origin(admission) => match self.enter(&admission, ctx).await {
                Ok(target) => {
                    (ctx.site, ctx.target) = (Some(admission.site.clone()), Some(target));
                    return self.pass_on(session, ctx).await;
                }
                Err(fault) => fault,
            },
        };
        self.refuse(fault, session, ctx).await
    }

    async fn pass_on(&self, session: &mut ServerSession, ctx: &mut Context) -> Result<()> {
        match exchange::run(self, session, ctx).await? {
            Ended::Whole => Ok(()),
            Ended::Refused(fault) => self.refuse(fault, session, ctx).await,
        }
    }

    /// Where a request is sent to, once it has its place and its leave; all that is given back when it is over.
    async fn enter(&self, admission: &Admission, ctx: &mut Context) -> Result<Arc<Target>, Fault> {
        let most = ctx.visit.policy.limits.hostname_requests;
        ctx.on_lane = Some(admission.enter_lane(&self.lanes, most).ok_or(Fault::Busy)?);
        let target = admission.target(&ctx.visit.policy.origins).await?;
        ctx.pass = Some(target.breaker.enter(&*self.clock).ok_or(Fault::OriginPaused)?);
        Ok(target)
    }

    /// An answer instead of the origin's, on a connection that goes on.
    async fn refuse(&self, fault: Fault, session: &mut ServerSession, ctx: &mut Context) -> Result<()> {
        ctx.fault = Some(fault);
        if fault == Fault::Gone {
            session.set_keepalive(None);
        }
        let rendered = render(fault, session);
        self.announce_end(session, &ctx.visit);
        send(session, rendered).await
    }

    /// Ends a request that failed: with an answer, if none has begun and there is somebody to tell.
    async fn fail(&self, session: &mut ServerSession, error: &Error, ctx: &mut Context) {
        if let Some(pass) = ctx.pass.take()
            && fault::is_origins(error)
        {
            pass.failed(&*self.clock);
        }
        let refused = ctx.visit.baton.refused().map(Refusal::fault);
        let Some(fault) = refused.or_else(|| fault::of(error)) else { return };
        ctx.fault = Some(fault);
        let rendered = render(fault, session);
        // Nothing is left to do for a visitor that cannot be told.
        let _ = send_error(session, rendered).await;
    }

    /// The response that is written next says `Connection: close` when the process drains, or is short of memory.
    pub(super) fn announce_end(&self, session: &mut ServerSession, visit: &Visit) {
        if self.drain.is_on() || visit.seat.level() > Level::Calm {
            session.set_keepalive(None);
        }
    }
}

/// The connection for its next request. A stream of HTTP/2 has none.
async fn finish(mut session: Box<ServerSession>) -> Option<ReusedHttpStream> {
    if let ServerSession::H2(stream) = &mut *session {
        // Fails for a stream that was reset: there is nobody left to tell.
        let _ = stream.finish();
        return None;
    }
    let kept = HttpPersistentSettings::for_session(&session);
    // Boxed: it holds the session several times over, and every stream's future would have room for that.
    let stream = Box::pin(session.finish()).await.ok().flatten()?;
    Some(ReusedHttpStream::from_reusable_stream(stream, kept))
}

/// Longest silence of a visitor within a body.
pub(super) fn silence(visit: &Visit, exchange: Exchange) -> Duration {
    match exchange {
        Exchange::Answer => visit.policy.limits.read_timeout,
        Exchange::Stream | Exchange::Tunnel => visit.policy.origins.settings().stream_timeout,
    }
}

fn render(fault: Fault, session: &ServerSession) -> Answer {
    answer::answer(fault, session.req_header().headers.get(http::header::ACCEPT))
}

fn response_head(answer: &Answer) -> Result<ResponseHeader> {
    let mut head = ResponseHeader::build(answer.status, Some(answer.fields.len()))?;
    for (name, value) in &answer.fields {
        head.insert_header(name, value)?;
    }
    Ok(head)
}

/// Sends an answer of the edge's own on a connection that stays usable.
async fn send(session: &mut ServerSession, answer: Answer) -> Result<()> {
    let head = Box::new(response_head(&answer)?);
    let bodiless = session.req_header().method == Method::HEAD || answer.body.is_empty();
    match &mut *session {
        ServerSession::H2(stream) => stream.write_response_header(head, bodiless)?,
        session => session.write_response_header(head).await?,
    }
    match bodiless {
        true => Ok(()),
        false => session.write_response_body(answer.body, true).await,
    }
}

/// Sends an answer after a failure: the connection closes after it, and nothing is sent if a response has begun.
async fn send_error(session: &mut ServerSession, answer: Answer) -> Result<()> {
    let head = response_head(&answer)?;
    let body = if session.req_header().method == Method::HEAD { Bytes::new() } else { answer.body };
    session.write_error_response(head, body).await
}
