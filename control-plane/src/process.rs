//! One control plane from its settings to its end.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use clock::SystemClock;
use dns::{
    domain_connect::{ClientMetrics, Reach},
    provider::{Bases, Http, HttpLimits},
};
use prometheus::{Registry, process_collector::ProcessCollector};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    checks::{Checks, DnsChecks},
    core::{Core, Keyring, Surface},
    db::{Db, DbOptions},
    domains::{DomainConnect, Domains},
    metrics::{Metrics, WriteMetrics},
    settings::Settings,
    surfaces::{self, AppState, Throttle},
    tokens::Tokens,
    webhooks::{Sender, SenderLimits, SenderSettings, Targets, WebhookMetrics},
    worker::{Worker, WorkerLimits},
    writer::Writer,
};

/// Between two writings of what API calls were counted.
const COUNT_PERIOD: Duration = Duration::from_secs(10);
/// How long requests may take to end once the process is told to.
const DRAIN: Duration = Duration::from_secs(30);

/// A control plane that listens.
pub struct Process {
    listener: TcpListener,
    state: AppState,
    worker: Option<(Worker, Sender)>,
}

/// Opens the database, brings its schema up to date if that is wanted, and makes the core.
///
/// # Errors
/// What stands in the way, in words for an operator.
pub async fn open_core(settings: &Settings) -> anyhow::Result<Core> {
    let core = open_core_as_it_is(settings).await?;
    if settings.migrate {
        core.db().migrate().await.context("the schema cannot be brought up to date")?;
    }
    core.prepare().await.context("the database cannot be prepared")?;
    Ok(core)
}

/// Opens the database and makes the core; neither schema nor rows are touched.
///
/// # Errors
/// What stands in the way, in words for an operator.
pub async fn open_core_as_it_is(settings: &Settings) -> anyhow::Result<Core> {
    let options = DbOptions { connections: settings.database_connections, ..DbOptions::default() };
    let db = Db::open(settings.database_url.expose(), &options).await.context("the database cannot be opened")?;
    let keyring = settings.key_file.as_deref().map(read_keyring).transpose()?;
    Ok(Core::new(db, Arc::new(SystemClock), settings.core.clone(), keyring))
}

/// A secret that cannot be opened would be found out when the first webhook is to be signed.
async fn check_sealing(core: &Core) -> anyhow::Result<()> {
    if core.keyring().is_none() {
        return Ok(());
    }
    match core.sealing().await.context("the sealed secrets cannot be read")?.unreadable {
        0 => Ok(()),
        many => bail!(
            "{many} secrets of the database are sealed under a key that keys.file does not hold; put its line back \
             below the first one"
        ),
    }
}

fn read_keyring(file: &Path) -> anyhow::Result<Keyring> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Keyring::parse(&text).with_context(|| format!("{} cannot be used", file.display()))
}

fn read_token(file: &Path) -> anyhow::Result<Arc<str>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    match text.trim() {
        "" => bail!("{} is empty", file.display()),
        token => Ok(token.into()),
    }
}

impl Process {
    /// Opens everything; nothing is served yet.
    ///
    /// # Errors
    /// What stands in the way, in words for an operator.
    pub async fn start(settings: &Settings) -> anyhow::Result<Self> {
        let core = open_core(settings).await?;
        check_sealing(&core).await?;
        if settings.core.dev {
            core.seed_demo(settings.demo_origin.as_deref(), Surface::ConnectDomain)
                .await
                .context("the demo cannot be seeded")?;
        }
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let metrics = Metrics::new(&registry)?;
        let resolvers = resolvers(settings, &registry)?;
        let looks = dns_checks(settings, resolvers.clone())?;
        let domains = Domains::new(looks.clone(), domain_connect(settings, &resolvers, &registry)?);
        let checks: Arc<dyn Checks> = Arc::new(looks);
        let stopping = CancellationToken::new();
        let writer = writer(settings, &core, resolvers.clone(), &registry)?;
        let sender = sender(settings, &core, resolvers, &registry, &stopping)?;
        let worker = settings.worker.then(|| {
            let limits = WorkerLimits::default();
            let worker = Worker::new(core.clone(), Arc::clone(&checks), metrics.clone(), limits, stopping.clone());
            (worker.writing(writer.clone()), sender)
        });
        let listener = TcpListener::bind(settings.listen)
            .await
            .with_context(|| format!("cannot listen on {}", settings.listen))?;
        let state = AppState {
            core,
            checks,
            writer,
            domains,
            tokens: Arc::new(Tokens::new(settings.token_secret.expose())),
            internal_token: settings.edge_token_file.as_deref().map(read_token).transpose()?,
            connection_checks: Arc::new(Throttle::per_minute(settings.pace.connection_checks)),
            application_checks: Arc::new(Throttle::per_minute(settings.pace.application_checks)),
            origins: Arc::default(),
            metrics,
            registry,
            stopping,
        };
        Ok(Self { listener, state, worker })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The core.
    pub fn core(&self) -> &Core {
        &self.state.core
    }

    /// Its metrics.
    pub fn registry(&self) -> &Registry {
        &self.state.registry
    }

    /// Cancelled when the process is to end.
    pub fn stopping(&self) -> CancellationToken {
        self.state.stopping.clone()
    }

    /// Serves until `stop` is done, and then until what was begun is.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
        let Self { listener, state, worker } = self;
        let tasks = TaskTracker::new();
        if let Some((worker, sender)) = worker {
            tasks.spawn(worker.run());
            tasks.spawn(sender.run());
        }
        let writer = state.writer.clone();
        tasks.spawn(write_calls(state.core.clone(), state.stopping.clone()));
        let (core, stopping) = (state.core.clone(), state.stopping.clone());
        let told = stopping.clone();
        tasks.spawn(async move {
            stop.await;
            told.cancel();
        });
        let graceful = stopping.clone().cancelled_owned();
        let server = axum::serve(listener, surfaces::router(state)).with_graceful_shutdown(graceful);
        let ended = tokio::select! {
            ended = async { server.await } => ended,
            () = async { stopping.cancelled().await; tokio::time::sleep(DRAIN).await } => Ok(()),
        };
        stopping.cancel();
        tasks.spawn(async move { writer.drain().await });
        tasks.close();
        // What still works after this is given up: its lease ends by itself.
        let _ = tokio::time::timeout(DRAIN, tasks.wait()).await;
        note_calls(&core).await;
        core.db().close().await;
        Ok(ended?)
    }
}

async fn write_calls(core: Core, stopping: CancellationToken) {
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(COUNT_PERIOD) => note_calls(&core).await,
        }
    }
}

async fn note_calls(core: &Core) {
    if let Err(error) = core.write_calls().await {
        tracing::warn!(error = %telemetry::chain(&error), "API calls were not written yet");
    }
}

/// The way to look at the DNS that the settings describe.
///
/// # Errors
/// When the settings name no resolver, or the edge's name is none.
pub fn checks(settings: &Settings, registry: &Registry) -> anyhow::Result<DnsChecks> {
    dns_checks(settings, resolvers(settings, registry)?)
}

fn resolvers(settings: &Settings, registry: &Registry) -> anyhow::Result<dns::Resolvers> {
    let mut config = dns::ResolversConfig::new(settings.resolvers.clone());
    config.authority = settings.authority;
    Ok(dns::Resolvers::new(config, dns::Metrics::new(registry)?)?)
}

fn dns_checks(settings: &Settings, resolvers: dns::Resolvers) -> anyhow::Result<DnsChecks> {
    let ca = dns::check::caa::CaIdentity { domains: settings.caa.clone(), ..Default::default() };
    Ok(DnsChecks::new(resolvers, &settings.core.edge, ca)?)
}

fn writer(settings: &Settings, core: &Core, resolvers: dns::Resolvers, registry: &Registry) -> anyhow::Result<Writer> {
    let bases = match &settings.providers_at {
        Some(server) => Bases::At(server.clone()),
        // Name servers of one's own are asked at private addresses in development alone.
        None if settings.core.dev => Bases::Development,
        None => Bases::Public,
    };
    let providers = Http::new(bases, HttpLimits::default(), Arc::clone(core.clock()))?;
    Ok(Writer::new(core.clone(), providers, Some(resolvers), WriteMetrics::new(registry)?, settings.writer))
}

/// Domain Connect, where it is set up. At private addresses in development alone: zones say where to ask.
fn domain_connect(
    settings: &Settings,
    resolvers: &dns::Resolvers,
    registry: &Registry,
) -> anyhow::Result<Option<DomainConnect>> {
    let Some(known) = &settings.domain_connect else { return Ok(None) };
    let reach = if settings.core.dev { Reach::Inside } else { Reach::Public };
    let made = DomainConnect::new(known, resolvers.clone(), reach, ClientMetrics::new(registry)?);
    made.map(Some).context("Domain Connect cannot be set up")
}

fn sender(
    settings: &Settings,
    core: &Core,
    resolvers: dns::Resolvers,
    registry: &Registry,
    stopping: &CancellationToken,
) -> anyhow::Result<Sender> {
    let targets = if settings.core.dev { Targets::Any } else { Targets::Public(resolvers) };
    let how = SenderSettings { targets, retry_for: settings.webhook_retry_for, roots: None };
    let metrics = WebhookMetrics::new(registry)?;
    let sender = Sender::new(core.clone(), how, SenderLimits::default(), metrics, stopping.clone());
    sender.context("webhooks cannot be sent")
}
