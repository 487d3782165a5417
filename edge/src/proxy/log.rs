//! The end of a request: its line in the access log and its counters.

use http::HeaderMap;
use pingora_core::Error;
use pingora_proxy::Session;

use super::{
    head,
    hooks::{Context, Hooks},
};
use crate::{
    connection::Visit,
    http::{
        forward,
        record::{Outcome, Record, RequestFacts, RequestFields, ResponseFields, UpstreamFacts},
    },
};

/// Counts a request and writes its line.
pub(super) fn finish(hooks: &Hooks, session: &Session, error: Option<&Error>, ctx: &Context) {
    let status = session.response_written().map_or(0, |response| response.status.as_u16());
    let duration = ctx.started.elapsed();
    hooks.metrics.request_done(status, duration, ctx.fault);
    let Some(visit) = ctx.visit.as_deref().filter(|_| hooks.log.is_on()) else {
        return;
    };
    let empty = HeaderMap::new();
    let outcome = Outcome {
        at: hooks.clock.now(),
        duration,
        bytes_read: count(session.body_bytes_read()),
        size: count(session.body_bytes_sent()),
        status,
        resp_headers: ResponseFields::of(session.response_written().map_or(&empty, |response| &response.headers)),
        upstream: ctx.upstream.map(|(address, reused)| UpstreamFacts { addr: address.to_string(), reused }),
        connection_id: ctx.site.as_ref().and_then(|site| site.connection_id.as_deref()),
        error: ctx.fault.map(crate::http::answer::Fault::code).or_else(|| error.map(|_| "aborted")),
    };
    hooks.log.write(Record::new(request_facts(session, visit), outcome).line());
}

fn request_facts<'a>(session: &'a Session, visit: &'a Visit) -> RequestFacts<'a> {
    let request = session.req_header();
    RequestFacts {
        remote_ip: visit.from.ip().to_canonical(),
        remote_port: visit.from.port(),
        client_ip: forward::client_address(&request.headers, visit.from, visit.peer),
        proto: request.version,
        method: &request.method,
        host: head::authority(request).unwrap_or_default(),
        uri: head::path_and_query(request),
        headers: RequestFields::of(&request.headers),
        tls: visit.tls(),
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
