//! The HTTP surfaces: thin modules of routes, serializers and error words over the core.
//!
//! `connect_domain` is the first API dialect; `internal` is what edges use; `ops` is for whoever runs the process. None
//! of them decides anything.

pub mod connect_domain;
pub(crate) mod dialect;
mod internal;
mod ops;
mod request_id;
pub(crate) mod review;
mod throttle;

use std::{collections::BTreeMap, sync::Arc};

use axum::Router;
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

pub use throttle::Throttle;

use crate::{
    checks::Checks,
    core::{Core, Policy, Surface},
    domains::Domains,
    metrics::Metrics,
    tokens::Tokens,
    writer::Writer,
};

/// What every handler can reach.
#[derive(Clone)]
pub struct AppState {
    /// The core.
    pub core: Core,
    /// The way to look at the DNS.
    pub checks: Arc<dyn Checks>,
    /// The way to look at customers' domains.
    pub domains: Domains,
    /// The way to DNS providers.
    pub writer: Writer,
    /// Widget tokens.
    pub tokens: Arc<Tokens>,
    /// What edges authenticate with; without one they are refused.
    pub internal_token: Option<Arc<str>>,
    /// What is counted.
    pub metrics: Metrics,
    /// Where it is counted.
    pub registry: Registry,
    /// How often a connection may be looked at for a client.
    pub connection_checks: Arc<Throttle>,
    /// How often those of an application may.
    pub application_checks: Arc<Throttle>,
    /// Whose pages may use the API.
    pub origins: Arc<connect_domain::Origins>,
    /// Cancelled when the process is to end: long polls return.
    pub stopping: CancellationToken,
}

/// What each surface decides about its claims.
pub fn policies() -> BTreeMap<Surface, Policy> {
    BTreeMap::from([(Surface::ConnectDomain, connect_domain::policy())])
}

/// Everything on one listener.
pub fn router(state: AppState) -> Router {
    let (api, document) = connect_domain::router();
    Router::new()
        .merge(api)
        .merge(connect_domain::docs(document))
        .merge(connect_domain::callback())
        .merge(internal::router())
        .merge(ops::router())
        .fallback(connect_domain::no_route)
        .method_not_allowed_fallback(connect_domain::no_method)
        // Around the fallbacks too: a browser asks with a method that no route has.
        .layer(axum::middleware::from_fn_with_state(state.clone(), connect_domain::cors))
        .layer(axum::middleware::from_fn_with_state(state.clone(), request_id::label))
        .with_state(state)
}
