//! The end of a request: its line in the access log and its counters.

use clock::Timestamp;
use http::HeaderMap;
use pingora_core::{Error, protocols::http::ServerSession};

use super::{
    head,
    requests::{Context, Requests},
};
use crate::{
    access_log::AccessLog,
    connection::Visit,
    guard::RefusedHead,
    http::{
        forward,
        partial::PartialHead,
        record::{Outcome, Record, RequestFacts, RequestFields, ResponseFields, UpstreamFacts},
    },
};

/// Counts a request and writes its line.
pub(super) fn finish(requests: &Requests, session: &ServerSession, error: Option<&Error>, ctx: &Context) {
    let status = session.response_written().map_or(0, |response| response.status.as_u16());
    let duration = ctx.started.elapsed();
    requests.metrics.request_done(status, duration, ctx.fault);
    if !requests.log.is_on() {
        return;
    }
    let empty = HeaderMap::new();
    let outcome = Outcome {
        at: requests.clock.now(),
        duration,
        bytes_read: count(session.body_bytes_read()),
        size: count(session.body_bytes_sent() + ctx.sent),
        status,
        resp_headers: ResponseFields::of(session.response_written().map_or(&empty, |response| &response.headers)),
        upstream: ctx.upstream.map(|(address, reused)| UpstreamFacts { addr: address.to_string(), reused }),
        connection_id: ctx.site.as_ref().and_then(|site| site.connection_id.as_deref()),
        error: ctx.fault.map(crate::http::answer::Fault::code).or_else(|| error.map(|_| "aborted")),
    };
    requests.log.write(Record::new(request_facts(session, &ctx.visit), outcome).line());
}

fn request_facts<'a>(session: &'a ServerSession, visit: &'a Visit) -> RequestFacts<'a> {
    let request = session.req_header();
    RequestFacts {
        remote_ip: visit.from.ip().to_canonical(),
        remote_port: visit.from.port(),
        client_ip: forward::client_address(&request.headers, visit.from, visit.peer),
        proto: request.version,
        method: request.method.as_str(),
        host: head::authority(request).unwrap_or_default(),
        uri: head::path_and_query(request),
        headers: RequestFields::of(&request.headers),
        tls: visit.tls(),
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Writes the line of a head that the guard refused. One for each connection at most: it is the connection's end.
pub(super) fn refused(log: &AccessLog, now: Timestamp, visit: &Visit, refused: &RefusedHead) {
    let head = PartialHead::read(&refused.seen);
    let ip = visit.from.ip().to_canonical();
    let request = RequestFacts {
        remote_ip: ip,
        remote_port: visit.from.port(),
        // A forwarding field of a head that is refused is nobody's word.
        client_ip: ip,
        proto: head.version,
        method: head.method,
        host: head.host,
        uri: head.target,
        headers: RequestFields::of(&head.fields),
        tls: visit.tls(),
    };
    let outcome = Outcome {
        at: now,
        duration: refused.took,
        bytes_read: 0,
        size: count(refused.body),
        status: refused.refusal.fault().status().as_u16(),
        resp_headers: ResponseFields::default(),
        upstream: None,
        connection_id: None,
        error: Some(refused.refusal.code()),
    };
    log.write(Record::new(request, outcome).line());
}
