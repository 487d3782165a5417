//! Reloading: a new configuration takes effect whole, or the old one stays.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use clock::SharedClock;
use config::{EdgeConfig, Limits, Mistakes, ResolverAddress};
use control_client::{Directory, Gate, GateError, GateLimits, GateSettings, Origin, OriginError};
use parking_lot::Mutex;
use prometheus::Registry;
use serde::Serialize;

use crate::{
    breaker::BreakerLimits,
    fair::{Bandwidth, FairLimits, MemoryLimits, Rate},
    guard::GuardLimits,
    http::loops::LoopMark,
    http1::HeadLimits,
    metrics::Metrics,
    origin::{Lookup, OriginSettings, Origins, Reach},
    policy::{LineLimits, Policy},
    tls,
};

/// Makes policies out of configurations.
#[derive(Debug, Clone)]
pub struct PolicyMaker {
    /// The configuration file, read again at every reload.
    pub file: PathBuf,
    /// Where this process listens: no origin is there.
    pub own: Arc<[SocketAddr]>,
}

/// Why a valid configuration cannot be put to work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The gate's client.
    #[error("the gate's client cannot be set up")]
    Gate(#[from] GateError),
    /// The metrics of looking up origins' names.
    #[error("the metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
    /// The default origin.
    #[error("proxy.default_origin cannot be used")]
    Origin(#[from] OriginError),
    /// The TLS policy.
    #[error("the TLS policy cannot be set up")]
    Tls(#[from] rustls::Error),
}

impl PolicyMaker {
    /// The policy that the process starts with.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn first(
        &self,
        config: &EdgeConfig,
        directory: Option<Directory>,
        clock: SharedClock,
        registry: &Registry,
    ) -> Result<Policy, PolicyError> {
        let origin = default_origin(config)?;
        let settings = gate_settings(config, origin.clone());
        let gate = match directory {
            Some(directory) => Gate::with_directory(settings, directory, clock, registry)?,
            None => Gate::new(settings, clock, registry)?,
        };
        let origins = Origins::new(self.origin_settings(config), lookup(config, registry)?, origin);
        Ok(policy(config, gate, origins, Arc::new(tls::policy()?)))
    }

    /// The policy after a reload. Tickets stay valid, and the gate's memory stays when the gate does.
    fn next(&self, old: &EdgeConfig, new: &EdgeConfig, standing: &Policy) -> Result<Policy, PolicyError> {
        let origin = default_origin(new)?;
        let gate = match gate_changed(old, new) {
            true => standing.gate.reconfigured(gate_settings(new, origin.clone()))?,
            false => standing.gate.clone(),
        };
        let origins = Origins::new(self.origin_settings(new), standing.origins.lookup(), origin);
        Ok(policy(new, gate, origins, standing.tls.clone()))
    }

    fn origin_settings(&self, config: &EdgeConfig) -> OriginSettings {
        let (proxy, limits) = (&config.proxy, &config.limits);
        OriginSettings {
            reach: Reach {
                allow_private: proxy.allow_private_origins,
                private: proxy.private_origins.clone(),
                ports: proxy.origin_ports.clone(),
                own: self.own.clone(),
            },
            connect_timeout: limits.connect_timeout,
            response_timeout: limits.response_header_timeout,
            stream_timeout: limits.stream_timeout,
            idle_timeout: limits.origin_idle,
            addresses_for: limits.origin_addresses,
            breaker: BreakerLimits {
                exchanges: limits.breaker_exchanges,
                window: limits.breaker_window,
                pause: limits.breaker_pause,
            },
        }
    }
}

fn default_origin(config: &EdgeConfig) -> Result<Option<Origin>, OriginError> {
    config.proxy.default_origin.as_deref().map(str::parse).transpose()
}

fn gate_changed(old: &EdgeConfig, new: &EdgeConfig) -> bool {
    let limits = |c: &EdgeConfig| {
        let l = &c.limits;
        (l.ask_allow_ttl, l.ask_deny_ttl, l.ask_error_ttl, l.ask_stale, l.ask_cache, l.ask_in_flight, l.ask_rate)
    };
    old.ask != new.ask || old.proxy.default_origin != new.proxy.default_origin || limits(old) != limits(new)
}

fn gate_settings(config: &EdgeConfig, default_origin: Option<Origin>) -> GateSettings {
    let limits = &config.limits;
    GateSettings {
        url: config.ask.url.clone(),
        timeout: config.ask.timeout,
        default_origin,
        answers: config.storage.path.join("namegate").join("answers"),
        limits: GateLimits {
            allow_ttl: limits.ask_allow_ttl,
            deny_ttl: limits.ask_deny_ttl,
            error_ttl: limits.ask_error_ttl,
            stale: limits.ask_stale,
            cache_bytes: limits.ask_cache,
            questions_in_flight: limits.ask_in_flight,
            questions_per_second: limits.ask_rate,
            ..GateLimits::default()
        },
    }
}

/// A configured resolver.
pub(crate) fn server(resolver: &ResolverAddress) -> dns::Server {
    let transport = if resolver.tcp { dns::Transport::Tcp } else { dns::Transport::Udp };
    dns::Server { address: resolver.address, transport }
}

fn lookup(config: &EdgeConfig, registry: &Registry) -> Result<Lookup, prometheus::Error> {
    let servers = config.proxy.resolvers.iter().map(server).collect();
    let resolvers = dns::ResolversConfig { authority: dns::Authority::Skip, ..dns::ResolversConfig::new(servers) };
    let metrics = dns::Metrics::of_edge(registry)?;
    // An error is "no servers": then the system resolves.
    Ok(dns::Resolvers::new(resolvers, metrics).map_or_else(|_| Lookup::by_system(), Lookup::by_servers))
}

/// What the edges of one operator have in common and those of another do not.
fn fleet(config: &EdgeConfig) -> String {
    let control = config.control.as_ref().map(|control| control.url.as_str());
    format!("{}\n{control:?}\n{:?}\n{:?}", config.ask.url, config.acme.directory, config.acme.contact)
}

/// The mark of this edge's fleet on requests.
pub(crate) fn mark(config: &EdgeConfig) -> LoopMark {
    LoopMark::of(&fleet(config))
}

fn policy(config: &EdgeConfig, gate: Gate, origins: Origins, tls: Arc<rustls::ServerConfig>) -> Policy {
    let limits = &config.limits;
    Policy {
        gate,
        origins,
        loops: mark(config),
        trusted_proxies: config.proxy.trusted_proxies.clone(),
        proxy_protocol: config.proxy.proxy_protocol.clone(),
        limits: LineLimits {
            proxy_header_timeout: limits.proxy_header_timeout,
            hello_timeout: limits.hello_timeout,
            handshake_timeout: limits.handshake_timeout,
            read_timeout: limits.read_timeout,
            write_timeout: limits.write_timeout,
            keepalive_timeout: limits.keepalive_timeout,
            drain_wait: limits.drain_wait,
            guard: guard_limits(limits),
            fair: fair_limits(limits),
            hostname_requests: limits.requests_per_hostname,
            hostname_bandwidth: Bandwidth::per_second(limits.hostname_bandwidth),
            memory: MemoryLimits { bytes: limits.memory, high: limits.memory_high },
        },
        tls,
    }
}

/// What a connection's guard bears.
pub(crate) fn guard_limits(limits: &Limits) -> GuardLimits {
    let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    GuardLimits {
        head: HeadLimits {
            bytes: bytes(limits.request_header_bytes),
            fields: limits.request_fields,
            target: bytes(limits.request_target_bytes),
        },
        head_timeout: limits.request_header_timeout,
        write_timeout: limits.write_timeout,
        control_frames: limits.h2_control_frames,
    }
}

fn fair_limits(limits: &Limits) -> FairLimits {
    FairLimits {
        address_connections: limits.connections_per_address,
        address_handshakes: limits.handshakes_per_address,
        address_rate: Rate::per_second(limits.handshake_rate_per_address),
        handshakes: limits.handshakes,
        rate: Rate::per_second(limits.handshake_rate),
    }
}

/// Reloads on request. Cheap to clone; reloads come one after another.
#[derive(Clone)]
pub struct Reloader(Arc<Inner>);

struct Inner {
    maker: PolicyMaker,
    standing: Mutex<EdgeConfig>,
    policy: Arc<ArcSwap<Policy>>,
    metrics: Metrics,
}

/// What a reload did.
#[derive(Debug, Serialize)]
pub struct Reloaded {
    /// Sections that changed and can only change with a new process; they are as before.
    pub needs_restart: Vec<&'static str>,
}

/// Why the old configuration stays.
#[derive(Debug, Serialize, thiserror::Error)]
#[serde(untagged)]
#[non_exhaustive]
pub enum ReloadError {
    /// The file or the environment has mistakes.
    #[error("the old configuration stays: {mistakes}")]
    Mistakes {
        /// All of them.
        mistakes: Mistakes,
    },
    /// The configuration is valid but cannot be put to work.
    #[error("the old configuration stays: {error}")]
    Policy {
        /// Why, causes included.
        error: String,
    },
}

impl Reloader {
    pub(crate) fn new(config: EdgeConfig, maker: PolicyMaker, policy: Arc<ArcSwap<Policy>>, metrics: Metrics) -> Self {
        Self(Arc::new(Inner { maker, standing: Mutex::new(config), policy, metrics }))
    }

    /// The limit of open connections that the process started with.
    pub(crate) fn connections(&self) -> usize {
        self.0.standing.lock().limits.connections
    }

    /// Reads the file and the environment again and puts them to work.
    ///
    /// # Errors
    /// [`ReloadError`]; nothing has changed then.
    pub async fn reload(&self) -> Result<Reloaded, ReloadError> {
        let this = self.clone();
        // Reading files and checking folders blocks; it is done away from the connections' threads.
        let done = tokio::task::spawn_blocking(move || this.0.reload()).await;
        let result = done.unwrap_or_else(|error| Err(ReloadError::Policy { error: error.to_string() }));
        self.0.metrics.reloaded(if result.is_ok() { "ok" } else { "error" });
        match &result {
            Ok(report) => tracing::info!(needs_restart = ?report.needs_restart, "configuration reloaded"),
            Err(error) => tracing::error!(%error, "configuration not reloaded"),
        }
        result
    }
}

impl Inner {
    fn reload(&self) -> Result<Reloaded, ReloadError> {
        let mut standing = self.standing.lock();
        let new = config::load(&self.maker.file, config::environment())
            .map_err(|mistakes| ReloadError::Mistakes { mistakes })?;
        let policy = self.maker.next(&standing, &new, &self.policy.load());
        let policy = policy.map_err(|error| ReloadError::Policy { error: telemetry::chain(&error).to_string() })?;
        let needs_restart = needs_restart(&standing, &new);
        self.policy.store(Arc::new(policy));
        *standing = new;
        Ok(Reloaded { needs_restart })
    }
}

fn needs_restart(old: &EdgeConfig, new: &EdgeConfig) -> Vec<&'static str> {
    let process = |c: &EdgeConfig| {
        let l = &c.limits;
        let certificates = (l.certificate_wait, l.certificate_cache, l.orders_in_flight, l.order_timeout);
        let fleet = (l.order_lease, l.store_connections);
        let control = (l.control_timeout, l.control_names, l.control_reports, l.ahead_queue, l.ahead_in_flight);
        let logs = (l.access_log_queue, l.log_burst);
        (certificates, fleet, control, l.connections, l.origin_pool, l.h2_streams, logs, l.threads)
    };
    let changed = [
        ("listen", old.listen != new.listen),
        ("control", old.control != new.control),
        ("acme", old.acme != new.acme),
        ("storage", old.storage != new.storage),
        ("proxy.resolvers", old.proxy.resolvers != new.proxy.resolvers),
        ("proxy.origin_ca_root", old.proxy.origin_ca_root != new.proxy.origin_ca_root),
        ("limits", process(old) != process(new)),
        ("log", old.log != new.log),
    ];
    changed.into_iter().filter_map(|(section, changed)| changed.then_some(section)).collect()
}
