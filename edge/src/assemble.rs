//! Putting the parts together, in the order in which they need one another, and taking them apart again.

use std::{collections::HashSet, io, net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use certs::{Certificates, CertificatesSettings, Challenges, Issuer, Observer, Store};
use clock::SharedClock;
use config::EdgeConfig;
use control_client::{ControlError, GateError};
use names::Subject;
use prometheus::Registry;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    access_log::AccessLog,
    admin::Admin,
    control::Line,
    explain::Explainer,
    fair::{self, Fair},
    health::{Health, Phase},
    issuers::{self, IssuerError},
    listen::{self, Acceptor, Room},
    managed::Managed,
    metrics::Metrics,
    origin::DialError,
    permit::GatePermit,
    plain::Plain,
    policy::Policy,
    proxy::{Proxy, ProxySettings},
    reload::{PolicyError, PolicyMaker, Reloader},
    serve::Deps,
    storage::{self, Opened, StorageError},
    tick::tick,
    upgrade::{Kind, Listening},
    watchdog::Pulse,
};

/// Admin connections open at once: health checks, scrapers and a person or two.
const ADMIN_CONNECTIONS: usize = 64;
/// How long the access log's last lines and the gate's last answers may take to reach the disk.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// How long what is ended at the end of the grace period may take to end in order.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the edge could not start. Nothing was bound, ordered or written that has to be undone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A listener.
    #[error("cannot listen on {address}")]
    Bind {
        /// The configured address.
        address: SocketAddr,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// The line to the control plane.
    #[error("the line to the control plane cannot be set up")]
    Control(#[from] ControlError),
    /// The gate's client.
    #[error("the gate's client cannot be set up")]
    Gate(#[from] GateError),
    /// The issuer of certificates.
    #[error("the issuer of certificates cannot be set up")]
    Issuer(#[from] IssuerError),
    /// Two parts want the same metric.
    #[error("the metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
    /// TLS towards origins.
    #[error("connections to origins cannot be set up")]
    Origins(#[from] DialError),
    /// The rules.
    #[error("the configuration cannot be put to work")]
    Policy(#[from] PolicyError),
    /// The store.
    #[error("storage cannot be used")]
    Storage(#[from] StorageError),
}

/// A running edge.
pub struct Edge {
    addresses: Vec<(Kind, SocketAddr)>,
    sockets: Vec<Listening>,
    health: Health,
    deps: Arc<Deps>,
    policy: Arc<ArcSwap<Policy>>,
    reloader: Reloader,
    /// Beats as long as the runtime turns.
    pulse: Pulse,
    /// Ends accepting.
    accepting: CancellationToken,
    /// Ends everything that works behind the visitors.
    working: CancellationToken,
    visitors: TaskTracker,
    workers: TaskTracker,
}

impl Edge {
    /// Starts serving on sockets that are bound already.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        config: EdgeConfig,
        maker: PolicyMaker,
        sockets: Vec<Listening>,
        access_log: AccessLog,
        clock: SharedClock,
        registry: Registry,
    ) -> Result<Self, StartError> {
        let metrics = Metrics::new(&registry)?;
        let fair = Fair::new(&registry)?;
        let Opened { store, files } = storage::open(&config, &registry).await?;
        if let Some(files) = &files {
            storage::seal_documents(files).await;
        }
        let challenges = Arc::new(Challenges::shared(&store, &registry)?);
        let solver = issuers::solver(&config, &clock, &registry)?;
        let issuers =
            issuers::build(&config, store.clone(), challenges.clone(), clock.clone(), solver.as_ref(), &registry)
                .await?;
        let line = Line::open(&config, issuers::names(&config, &issuers), solver, clock.clone(), &registry).await?;
        let directory = line.as_ref().map(Line::directory);
        let policy = maker.first(&config, directory.clone(), clock.clone(), &registry)?;
        let policy = Arc::new(ArcSwap::from_pointee(policy));
        let observer = line.as_ref().map(|line| line.herald() as Arc<dyn Observer>);
        let certificates = certificates(&config, issuers, store.clone(), &policy, observer, clock.clone(), &registry)?;
        let proxy = proxy_settings(&config);
        let proxy = Proxy::new(&proxy, challenges.clone(), access_log.clone(), metrics.clone(), clock.clone())?;
        let managed =
            Managed { certificates: certificates.clone(), names: listed_names(&config), clock: clock.clone() };
        let health = Health::new(certificates.clone(), store, directory, fair.clone(), clock);
        let reloader = Reloader::new(config, maker, policy.clone(), metrics.clone());
        let deps = Arc::new(Deps { certificates, challenges, fair, proxy, metrics });
        let mut edge = Self {
            addresses: Vec::new(),
            sockets: Vec::new(),
            health,
            deps,
            policy,
            reloader,
            pulse: Pulse::default(),
            accepting: CancellationToken::new(),
            working: CancellationToken::new(),
            visitors: TaskTracker::new(),
            workers: TaskTracker::new(),
        };
        edge.work(line, managed);
        if let Some(files) = files {
            edge.workers.spawn(storage::seal_certificates(files, edge.working.clone()));
        }
        edge.listen(sockets, access_log, registry)?;
        edge.health.enter(Phase::Serving);
        Ok(edge)
    }

    /// Every listener with the address that it really has.
    pub fn addresses(&self) -> &[(Kind, SocketAddr)] {
        &self.addresses
    }

    /// The reloader, for the HUP signal.
    pub fn reloader(&self) -> &Reloader {
        &self.reloader
    }

    /// What a watchdog looks at.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Copies of the listening sockets, to be handed to a new process.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn sockets(&self) -> io::Result<Vec<Listening>> {
        let copy = |socket: &Listening| {
            let Listening { kind, configured, socket } = socket;
            Ok(Listening { kind: *kind, configured: *configured, socket: socket.try_clone()? })
        };
        self.sockets.iter().map(copy).collect()
    }

    /// Stops: no new connections, requests in flight end within `grace`, then what is left is cut.
    pub async fn stop(self, grace: Duration) {
        self.health.enter(Phase::Draining);
        self.accepting.cancel();
        drop(self.sockets);
        self.deps.proxy.stop();
        self.visitors.close();
        if tokio::time::timeout(grace, self.visitors.wait()).await.is_err() {
            tracing::warn!(connections = self.visitors.len(), "connections were cut at the end of the grace period");
            self.deps.proxy.end();
            // Whoever does not take the end is cut with the process.
            let _ = tokio::time::timeout(END_TIMEOUT, self.visitors.wait()).await;
        }
        self.working.cancel();
        self.workers.close();
        let flush = async {
            self.policy.load_full().gate.flush().await;
            self.workers.wait().await;
        };
        if tokio::time::timeout(FLUSH_TIMEOUT, flush).await.is_err() {
            tracing::warn!("background work did not end in time; orders in flight are resumed at the next start");
        }
    }

    fn work(&self, line: Option<Line>, managed: Managed) {
        let (certificates, working) = (self.deps.certificates.clone(), self.working.clone());
        self.workers.spawn(async move { certificates.run(working).await });
        self.workers.spawn(self.deps.challenges.clone().follow(self.working.clone()));
        if !managed.names.is_empty() {
            self.workers.spawn(managed.run(self.working.clone()));
        }
        let (pulse, proxy, policy) = (self.pulse.clone(), self.deps.proxy.clone(), self.policy.clone());
        self.workers.spawn(tick(self.working.clone(), move || {
            pulse.beat();
            proxy.names_changed(policy.load().gate.version());
        }));
        let (policy, working) = (self.policy.clone(), self.working.clone());
        let watch = fair::watch(self.deps.fair.clone(), move || policy.load().limits.memory);
        self.workers.spawn(async move { working.run_until_cancelled(watch).await });
        if let Some(line) = line {
            line.start(self.deps.certificates.clone(), self.policy.clone(), &self.workers, &self.working);
        }
    }

    fn listen(&mut self, sockets: Vec<Listening>, log: AccessLog, registry: Registry) -> Result<(), StartError> {
        let https_port = sockets.iter().find(|s| s.kind == Kind::Https).and_then(|s| s.socket.local_addr().ok());
        let plain = Plain {
            challenges: self.deps.challenges.clone(),
            https_port: https_port.map_or(443, |address| address.port()),
            drain_wait: self.policy.load().limits.drain_wait,
            fair: self.deps.fair.clone(),
            metrics: self.deps.metrics.clone(),
            policy: self.policy.clone(),
        };
        let admin = Arc::new(Admin {
            health: self.health.clone(),
            registry,
            explainer: Explainer { policy: self.policy.clone(), certificates: self.deps.certificates.clone() },
            reloader: self.reloader.clone(),
            access_log: log,
        });
        let visitors = Room::of_visitors(listen::most_connections(self.reloader.connections()), &self.deps.fair);
        let admins = Room::new(ADMIN_CONNECTIONS);
        for listening in sockets {
            let room = if listening.kind == Kind::Admin { &admins } else { &visitors };
            let acceptor = self.acceptor(&listening, room.clone())?;
            self.serve(listening.kind, acceptor, &plain, &admin);
            self.sockets.push(listening);
        }
        Ok(())
    }

    fn acceptor(&mut self, listening: &Listening, room: Room) -> Result<Acceptor, StartError> {
        let address = listening.configured;
        let failed = |source| StartError::Bind { address, source };
        let socket = listening.socket.try_clone().map_err(failed)?;
        let local = socket.local_addr().map_err(failed)?;
        self.addresses.push((listening.kind, local));
        Acceptor::new(socket, room, self.deps.metrics.clone()).map_err(failed)
    }

    fn serve(&self, kind: Kind, acceptor: Acceptor, plain: &Plain, admin: &Arc<Admin>) {
        let (tasks, stop) = (self.visitors.clone(), self.accepting.clone());
        match kind {
            Kind::Https => {
                let (policy, deps) = (self.policy.clone(), self.deps.clone());
                self.visitors.spawn(listen::serve_https(acceptor, policy, deps, tasks, stop));
            }
            Kind::Http => {
                self.visitors.spawn(plain.clone().serve(acceptor, tasks, stop));
            }
            // The admin listener answers until the very end, so that a drain can be watched.
            Kind::Admin => {
                self.workers.spawn(admin.clone().serve(acceptor, self.workers.clone(), self.working.clone()));
            }
        }
    }
}

fn certificates(
    config: &EdgeConfig,
    issuers: Vec<Arc<dyn Issuer>>,
    store: Arc<dyn Store>,
    policy: &Arc<ArcSwap<Policy>>,
    observer: Option<Arc<dyn Observer>>,
    clock: SharedClock,
    registry: &Registry,
) -> Result<Certificates, prometheus::Error> {
    let limits = &config.limits;
    let settings = CertificatesSettings {
        handshake_wait: limits.certificate_wait,
        cache_bytes: limits.certificate_cache,
        orders_in_flight: limits.orders_in_flight,
        lease: limits.order_lease,
        released_keep: limits.released_keep,
        ..CertificatesSettings::default()
    };
    let permit = Arc::new(GatePermit::new(policy.clone(), listed_names(config)));
    match observer {
        Some(observer) => Certificates::observed(settings, issuers, store, permit, observer, clock, registry),
        None => Certificates::new(settings, issuers, store, permit, clock, registry),
    }
}

/// Names that have a certificate whether visited or not.
fn listed_names(config: &EdgeConfig) -> HashSet<Subject> {
    config.acme.dns.iter().flat_map(|dns| dns.names.iter().cloned()).collect()
}

fn proxy_settings(config: &EdgeConfig) -> ProxySettings<'_> {
    ProxySettings {
        origin_pool: config.limits.origin_pool,
        origin_ca_root: config.proxy.origin_ca_root.as_deref(),
        h2_streams: u32::try_from(config.limits.h2_streams).unwrap_or(u32::MAX),
        header_bytes: u32::try_from(config.limits.request_header_bytes / 2).unwrap_or(u32::MAX),
        keepalive_timeout: config.limits.keepalive_timeout,
    }
}

/// Worker threads: as configured, or one per core.
pub fn threads(config: &EdgeConfig) -> usize {
    match config.limits.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    }
}

/// Binds what the configuration names, reusing sockets that were taken from an old process.
///
/// # Errors
/// [`StartError::Bind`].
pub fn bind(config: &EdgeConfig, mut taken: Vec<Listening>) -> Result<Vec<Listening>, StartError> {
    let listen = &config.listen;
    let of = |kind: Kind, addresses: &[SocketAddr]| addresses.iter().map(|a| (kind, *a)).collect::<Vec<_>>();
    let wanted = [of(Kind::Https, &listen.https), of(Kind::Http, &listen.http), of(Kind::Admin, &[listen.admin])];
    let mut sockets = Vec::new();
    for (kind, address) in wanted.into_iter().flatten() {
        let inherited = taken.iter().position(|socket| (socket.kind, socket.configured) == (kind, address));
        let socket = match inherited {
            Some(index) => taken.swap_remove(index),
            None => {
                let socket = listen::bind(address, !listen.ipv6_only(address));
                let socket = socket.map_err(|source| StartError::Bind { address, source })?;
                Listening { kind, configured: address, socket }
            }
        };
        sockets.push(socket);
    }
    Ok(sockets)
}
