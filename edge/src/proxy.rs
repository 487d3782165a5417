//! The last stage: requests, proxied by Pingora.
//!
//! [`Proxy`] owns the one `HttpProxy` of the process. Its hooks (`hooks`) are thin adapters to the plain
//! functions of [`crate::http`] and to [`crate::origin`].

mod fault;
mod head;
mod hooks;
mod log;

use std::{path::Path, sync::Arc};

use clock::SharedClock;
use pingora_core::{
    apps::{HttpServerApp, HttpServerOptions, ServerApp},
    protocols::http::v2::server::default_h2_options,
    server::configuration::ServerConf,
};
use pingora_proxy::HttpProxy;
use tokio::sync::watch;

use crate::{access_log::AccessLog, connection::Connection, metrics::Metrics, proxy::hooks::Hooks, secure::Secured};

/// Tries to reach an origin for one request; each goes to the next address.
pub(crate) const MAX_ATTEMPTS: usize = 3;
/// What one HTTP/2 stream may keep waiting for its visitor to read.
const H2_SEND_BUFFER: usize = 128 * 1024;

/// What the proxy is built with; it stands until the process ends.
#[derive(Debug, Clone)]
pub struct ProxySettings<'a> {
    /// Worker threads of the runtime.
    pub threads: usize,
    /// Idle connections to origins that are kept, in all.
    pub origin_pool: usize,
    /// Roots that origins' certificates are verified against, instead of the system's.
    pub origin_ca_root: Option<&'a Path>,
    /// Requests that one HTTP/2 connection may have open.
    pub h2_streams: u32,
    /// Largest decoded header list of an HTTP/2 request, in bytes.
    pub header_bytes: u32,
    /// How long an HTTP/2 connection may stand without a request.
    pub keepalive_timeout: std::time::Duration,
}

/// Proxies the requests of secured connections. Cheap to clone.
#[derive(Clone)]
pub struct Proxy {
    inner: Arc<HttpProxy<Hooks>>,
    stopping: Arc<watch::Sender<bool>>,
    metrics: Metrics,
}

impl Proxy {
    /// Builds the proxy. Call it with the process's crypto provider already installed: Pingora would install its own.
    pub fn new(settings: &ProxySettings<'_>, log: AccessLog, metrics: Metrics, clock: SharedClock) -> Self {
        let conf = ServerConf {
            threads: settings.threads.max(1),
            max_retries: MAX_ATTEMPTS,
            upstream_keepalive_pool_size: settings.origin_pool.div_ceil(settings.threads.max(1)),
            ca_file: settings.origin_ca_root.map(|path| path.display().to_string()),
            ..ServerConf::default()
        };
        let mut inner = HttpProxy::new(Hooks::new(log, metrics.clone(), clock), Arc::new(conf));
        inner.handle_init_modules();
        inner.h2_options = Some(h2_options(settings));
        let mut options = HttpServerOptions::default();
        options.h2_idle_timeout = Some(settings.keepalive_timeout);
        inner.server_options = Some(options);
        Self { inner: Arc::new(inner), stopping: Arc::new(watch::Sender::new(false)), metrics }
    }

    /// Serves a connection's requests until it closes.
    pub async fn run(&self, secured: Secured) {
        let Ok(connection) = Connection::new(secured) else {
            return;
        };
        let _open = self.metrics.connection_open();
        let stopping = self.stopping.subscribe();
        self.inner.process_new(Box::new(connection), &stopping).await;
    }

    /// Lets requests in flight end and takes no new ones: HTTP/2 connections get GOAWAY, idle ones are closed.
    pub async fn stop(&self) {
        self.stopping.send_replace(true);
        self.inner.http_cleanup().await;
    }
}

/// Pingora's own limits as the base: options made from nothing would lose its bounds on header lists.
fn h2_options(settings: &ProxySettings<'_>) -> pingora_core::protocols::http::v2::server::H2Options {
    let mut options = default_h2_options();
    options.max_concurrent_streams(settings.h2_streams);
    options.max_header_list_size(settings.header_bytes);
    options.max_send_buffer_size(H2_SEND_BUFFER);
    options
}
