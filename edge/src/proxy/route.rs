//! Where a request goes: to its origin, or nowhere because the edge answers it.

use std::sync::Arc;

use http::header;
use pingora_http::RequestHeader;

use super::{head, requests::Requests};
use crate::{
    connection::Visit,
    fair::Level,
    http::{
        answer::{self, Answer, Fault},
        challenge,
        host::{self, HostMatch},
        redirect,
    },
    origin::Exchange,
    standing::Admission,
};

/// Where a request goes.
pub(super) enum Route {
    Answer(Answer),
    Fault(Fault),
    Origin(Arc<Admission>),
}

impl Requests {
    /// The site of a request, or the edge's own answer.
    pub(super) async fn route(&self, head: &RequestHeader, visit: &Visit) -> Route {
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
                    Ok(admitted) if visit.leaf.is_for(admitted.site.tenant.as_ref()) => {
                        Arc::new(Admission::new(admitted.site, 0))
                    }
                    Ok(_) | Err(_) => return Route::Fault(Fault::Misdirected),
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

/// Whether there is too little memory for one more request; on HTTP/2 one visitor's requests would go on and on.
fn is_too_much(visit: &Visit) -> bool {
    match visit.seat.level() {
        Level::Calm => false,
        Level::High => visit.is_h2() && visit.seat.requests() > 1,
        Level::Full => true,
    }
}

/// Tunnels and event streams may be silent for long; a plain request is owed an answer.
pub(super) fn exchange_of(head: &RequestHeader) -> Exchange {
    if head::is_websocket(head) {
        return Exchange::Tunnel;
    }
    let begins = |name: header::HeaderName, text: &[u8]| {
        head.headers.get(name).is_some_and(|value| value.as_bytes().starts_with(text))
    };
    match begins(header::ACCEPT, b"text/event-stream") || begins(header::CONTENT_TYPE, b"application/grpc") {
        true => Exchange::Stream,
        false => Exchange::Answer,
    }
}

/// Whether a request needs an origin that speaks HTTP/2: gRPC, and not its variant for browsers.
pub(super) fn needs_h2(head: &RequestHeader) -> bool {
    let kind = head.headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
    let rest = kind.and_then(|kind| kind.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest, [] | [b'+' | b';' | b' ', ..]))
}
