//! Plain-text listeners: challenges first (RFC 8555 section 8.3), every other request is sent to HTTPS.
//!
//! A challenge path looks only at orders in flight, for the host that it was asked on: an unknown token costs one look
//! at a map in memory, no question and no storage. In a fleet it waits for the next look at the other edges' orders,
//! which is one for everybody who waits.

use std::{pin::pin, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use certs::Challenges;
use http::{HeaderMap, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use names::Hostname;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    arrive::{self, Arrived},
    fair::Fair,
    guard::Guard,
    http::{
        answer::{self, Fault},
        challenge, host, redirect,
    },
    http_server::{self, Reply, Stop},
    listen::Acceptor,
    metrics::Metrics,
    policy::Policy,
    serve::Accepted,
};

/// What plain-text listeners know.
#[derive(Clone)]
pub struct Plain {
    /// Challenges of orders in flight.
    pub challenges: Arc<Challenges>,
    /// Port of the first HTTPS listener: where a visitor that named a port is sent to.
    pub https_port: u16,
    /// How long a connection may still bring a request once the process drains.
    pub drain_wait: Duration,
    /// Seats for connections.
    pub fair: Arc<Fair>,
    /// Counters.
    pub metrics: Metrics,
    /// The rules of the moment; here, how large and how slow a request may be.
    pub policy: Arc<ArcSwap<Policy>>,
}

impl Plain {
    /// Serves plain-text connections until `stop`.
    pub async fn serve(self, acceptor: Acceptor, tasks: TaskTracker, stop: CancellationToken) {
        let serve = |accepted: Accepted| {
            let (plain, stop) = (self.clone(), stop.clone());
            async move {
                let policy = plain.policy.load_full();
                // Who is not taken is counted there; a plain-text visitor is told nothing more.
                if let Ok(arrived) = arrive::arrive(accepted, &policy, &plain.fair).await {
                    plain.serve_one(arrived, &policy, stop).await;
                }
            }
        };
        acceptor.serve_each(tasks, stop.clone(), serve).await;
    }

    async fn serve_one(&self, arrived: Arrived, policy: &Policy, stop: CancellationToken) {
        let Arrived { tcp, from, seat } = arrived;
        seat.end_handshake();
        let answer = |request: Request<Incoming>, _| async move { self.answer(&request).await };
        let stop = Stop { token: stop, wait: self.drain_wait };
        let guarded = Guard::small_http1(tcp, &policy.limits.guard, self.metrics.cuts());
        let served = pin!(http_server::serve(guarded, from, stop, answer));
        seat.unless_shed(served).await;
    }

    async fn answer(&self, request: &Request<Incoming>) -> Reply {
        let authority = authority(request.headers(), request.uri());
        let Some(Ok(name)) = authority.map(host::hostname) else {
            return self.fault(Fault::BadHost, "bad_host", request.headers());
        };
        match challenge::token(target(request)) {
            Some(token) => self.challenge(&name, token, request.headers()).await,
            None => self.redirect(&name, authority.unwrap_or_default(), request),
        }
    }

    async fn challenge(&self, name: &Hostname, token: &str, headers: &HeaderMap) -> Reply {
        let Some(key_authorization) = self.challenges.search_http(name, token).await else {
            // A look before an order of another edge of this fleet: it must not take this one for somebody else.
            if self.policy.load().loops.is_on(headers) {
                return self.fault(Fault::LoopDetected, "sibling", headers);
            }
            return self.fault(Fault::NoOrigin, "unknown_challenge", headers);
        };
        self.metrics.plain_answered("challenge");
        to_reply(answer::key_authorization(&key_authorization))
    }

    /// A visitor that named a port came through no port mapping to 80, so it is sent to the HTTPS listener's own port;
    /// one that did not is sent to 443.
    fn redirect(&self, name: &Hostname, authority: &str, request: &Request<Incoming>) -> Reply {
        let port = (authority.contains(':') && self.https_port != 443).then_some(self.https_port);
        match redirect::to_https(name, port, target(request)) {
            Some(location) => {
                self.metrics.plain_answered("redirect");
                to_reply(answer::redirect(location))
            }
            None => self.fault(Fault::BadRequest, "bad_target", request.headers()),
        }
    }

    fn fault(&self, fault: Fault, counted: &'static str, headers: &HeaderMap) -> Reply {
        self.metrics.plain_answered(counted);
        to_reply(answer::answer(fault, headers.get(header::ACCEPT)))
    }
}

/// Path and query as they came.
fn target(request: &Request<Incoming>) -> &str {
    request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str)
}

fn authority<'a>(headers: &'a HeaderMap, uri: &'a http::Uri) -> Option<&'a str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        (None, _) => uri.authority().map(http::uri::Authority::as_str),
        (Some(_), Some(_)) => None,
    }
}

fn to_reply(answer: answer::Answer) -> Reply {
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    response.headers_mut().extend(answer.fields);
    response
}
