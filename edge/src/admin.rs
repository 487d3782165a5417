//! The admin listener: health, metrics, explain, reload, new account keys.
//!
//! It is meant for loopback. What tells of the inside or changes it is refused to browsers: a request with an `Origin`,
//! or under a name that is not this machine's, may come from a page that a person on this machine has open.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use prometheus::{Encoder, Registry, TextEncoder};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    access_log::AccessLog,
    explain::Explainer,
    health::Health,
    http_server::{self, Reply, Stop},
    listen::Acceptor,
    reload::Reloader,
    rollover::Rollover,
    serve::Accepted,
};

/// What the admin listener serves.
pub struct Admin {
    /// Health of the process.
    pub health: Health,
    /// All metrics.
    pub registry: Registry,
    /// Answers `/explain`.
    pub explainer: Explainer,
    /// Answers `/reload`.
    pub reloader: Reloader,
    /// Told of for its dropped lines.
    pub access_log: AccessLog,
}

impl Admin {
    /// Serves admin connections until `stop`.
    pub async fn serve(self: Arc<Self>, acceptor: Acceptor, tasks: TaskTracker, stop: CancellationToken) {
        let serve = |accepted: Accepted| {
            let (admin, stop) = (self.clone(), stop.clone());
            async move {
                let answer = |request, _| {
                    let admin = admin.clone();
                    async move { admin.answer(&request).await }
                };
                // Nothing that it serves is worth a later exit.
                let stop = Stop { token: stop, wait: Duration::ZERO };
                http_server::serve(accepted.tcp, accepted.from, stop, answer).await;
            }
        };
        acceptor.serve_each(tasks, stop.clone(), serve).await;
    }

    async fn answer(&self, request: &Request<Incoming>) -> Reply {
        let path = request.uri().path();
        match (request.method(), path) {
            (&Method::GET, "/livez") => http_server::text(StatusCode::OK, "ok"),
            (&Method::GET, "/readyz" | "/healthz") => self.readyz(request.uri().query()).await,
            (&Method::GET, "/metrics") => self.metrics(),
            (&Method::GET, "/version") => http_server::text(StatusCode::OK, env!("CARGO_PKG_VERSION")),
            (_, "/account/rollover" | "/explain" | "/reload") if !is_local(request.headers()) => {
                http_server::text(StatusCode::FORBIDDEN, "this request looks like a browser's")
            }
            (&Method::GET, "/explain") => self.explain(request.uri().query()).await,
            (&Method::POST, "/account/rollover") => self.roll_over().await,
            (&Method::POST, "/reload") => self.reload().await,
            (
                _,
                "/account/rollover" | "/explain" | "/healthz" | "/livez" | "/metrics" | "/readyz" | "/reload"
                | "/version",
            ) => http_server::text(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method"),
            _ => http_server::text(StatusCode::NOT_FOUND, "no such path"),
        }
    }

    async fn readyz(&self, query: Option<&str>) -> Reply {
        let readiness = self.health.readiness().await;
        let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        match query.is_some_and(|query| query.split('&').any(|pair| pair.starts_with("verbose"))) {
            true => json(status, &readiness),
            false => http_server::text(status, if readiness.ready { "ok" } else { "not ready; see /readyz?verbose" }),
        }
    }

    fn metrics(&self) -> Reply {
        let mut text = Vec::new();
        let encoder = TextEncoder::new();
        let encoded = encoder.encode(&self.registry.gather(), &mut text);
        let dropped = self.access_log.dropped();
        let line = format!(
            "# HELP namegate_edge_access_log_dropped_lines_total Lines dropped because the queue was full\n\
             # TYPE namegate_edge_access_log_dropped_lines_total counter\n\
             namegate_edge_access_log_dropped_lines_total {dropped}\n"
        );
        text.extend_from_slice(line.as_bytes());
        match encoded {
            Ok(()) => http_server::reply(StatusCode::OK, "text/plain; version=0.0.4", text),
            Err(error) => http_server::text(StatusCode::INTERNAL_SERVER_ERROR, error),
        }
    }

    async fn explain(&self, query: Option<&str>) -> Reply {
        let hostname = query.and_then(|query| {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == "hostname").map(|(_, value)| value.into_owned())
        });
        match hostname {
            Some(hostname) => json(StatusCode::OK, &self.explainer.explain(&hostname).await),
            None => http_server::text(StatusCode::BAD_REQUEST, "say which: /explain?hostname=shop.example.com"),
        }
    }

    async fn roll_over(&self) -> Reply {
        let rollover = Rollover::of(&self.explainer.certificates).await;
        json(if rollover.is_whole() { StatusCode::OK } else { StatusCode::BAD_GATEWAY }, &rollover)
    }

    async fn reload(&self) -> Reply {
        match self.reloader.reload().await {
            Ok(report) => json(StatusCode::OK, &report),
            Err(error) => json(StatusCode::UNPROCESSABLE_ENTITY, &error),
        }
    }
}

fn json(status: StatusCode, value: &impl serde::Serialize) -> Reply {
    match serde_json::to_vec_pretty(value) {
        Ok(body) => http_server::reply(status, "application/json", body),
        Err(error) => http_server::text(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

/// Whether a request comes from a program on this side of the fence: no `Origin`, and addressed by an IP or `localhost`,
/// which a page that plays with DNS cannot do.
fn is_local(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_address = host.parse::<std::net::SocketAddr>().is_ok() || host.parse::<std::net::IpAddr>().is_ok();
    let is_localhost = host == "localhost" || host.starts_with("localhost:");
    !headers.contains_key(header::ORIGIN) && (is_address || is_localhost)
}
