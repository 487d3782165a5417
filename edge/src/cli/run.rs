//! `namegate-edge run`.

use std::{io, path::Path, process::ExitCode, sync::Arc, time::Duration};

use clock::SystemClock;
use config::{AccessLog as LogChoice, EdgeConfig};
use edge::{
    access_log::AccessLog,
    assemble::{self, Edge, StartError},
    panics,
    reload::PolicyMaker,
    upgrade::{self, Listening, Taken},
    watchdog::{Supervised, Watchdog},
};
use prometheus::Registry;
use sd_notify::NotifyState;
use telemetry::{Diagnostics, Lines, LostLines};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

use super::{complain, load_or_print};

/// Pingora reports every failed request and handshake of strangers at error level; the edge has its own words for them.
const QUIET_LIBRARIES: &str = "pingora_core=off,pingora_proxy=off,pingora_pool=off";

/// Serves until a signal ends it.
pub(super) fn run(path: &Path, upgrade: bool) -> ExitCode {
    let config = match load_or_print(path) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let level = format!("{},{QUIET_LIBRARIES}", config.log.level);
    let diagnostics = match telemetry::init(&level, config.limits.log_burst) {
        Ok(diagnostics) => diagnostics,
        Err(error) => {
            complain(format_args!("error: {}", telemetry::chain(&error)));
            return ExitCode::FAILURE;
        }
    };
    match start_and_serve(path, config, upgrade, &diagnostics) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %telemetry::chain(error.as_ref()), "the edge cannot run");
            ExitCode::from(super::TEMPORARY_FAILURE)
        }
    }
}

fn start_and_serve(
    path: &Path,
    config: EdgeConfig,
    upgrade: bool,
    diagnostics: &Diagnostics,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut taken = match upgrade {
        true => Some(upgrade::take(&config.storage.path, config.limits.upgrade_wait)?),
        false => None,
    };
    let inherited = taken.as_mut().map(|taken| std::mem::take(&mut taken.sockets)).unwrap_or_default();
    let sockets = assemble::bind(&config, inherited)?;
    let runtime = runtime(assemble::threads(&config))?;
    let access_log = access_log(&config)?;
    let registry = Registry::new();
    LostLines::register(&registry, "namegate_edge", diagnostics, access_log.lines().cloned())?;
    let served = runtime.block_on(serve(path, config, sockets, taken, (access_log.clone(), registry)));
    access_log.flush();
    served?;
    // Whatever still blocks a thread (a resolver, a slow disk) is not worth waiting for.
    runtime.shutdown_background();
    Ok(())
}

/// A single thread has nobody to share work with, and a request costs less without the means to.
fn runtime(threads: usize) -> io::Result<Runtime> {
    let mut builder = match threads {
        0 | 1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(threads.max(1)).thread_name("edge").enable_all().build()
}

async fn serve(
    path: &Path,
    config: EdgeConfig,
    sockets: Vec<Listening>,
    taken: Option<Taken>,
    outlets: (AccessLog, Registry),
) -> Result<(), Box<dyn std::error::Error>> {
    // Signals are caught before anything is served, so that none can end a half-started process.
    let mut signals = Signals::new()?;
    let storage = config.storage.path.clone();
    let (grace, upgrade_wait) = (config.limits.graceful_stop, config.limits.upgrade_wait);
    let watchdog = config.limits.watchdog;
    let edge = start(path, config, sockets, outlets).await?;
    let _watchdog = Watchdog::start(edge.pulse(), watchdog, Supervised::new(Handle::current()))?;
    announce(&edge);
    if let Some(taken) = taken
        && let Err(too_late) = tokio::task::spawn_blocking(|| taken.ready()).await?
    {
        edge.stop(grace).await;
        return Err(too_late.into());
    }
    notify(&[NotifyState::Ready]);
    loop {
        match signals.next().await {
            Request::Reload => {
                notify(&reloading());
                // The reloader has said what went wrong; the old configuration serves on.
                let _ = edge.reloader().reload().await;
                notify(&[NotifyState::Ready]);
            }
            Request::Stop => break,
            Request::Upgrade => tokio::select! {
                offered = offer(&edge, &storage, upgrade_wait) => match offered {
                    Ok(successor) => {
                        // systemd follows the process that serves, not the one that drains.
                        notify(&[NotifyState::MainPid(successor.unsigned_abs())]);
                        break;
                    }
                    Err(error) => tracing::error!(%error, "no new process took over; serving on"),
                },
                () = signals.stop() => break,
            },
        }
    }
    notify(&[NotifyState::Stopping]);
    tracing::info!("draining");
    tokio::select! {
        () = edge.stop(grace) => tracing::info!("stopped"),
        () = signals.interrupted() => tracing::warn!("stopped at once"),
    }
    Ok(())
}

/// Offers the listening sockets to a new process and returns its id once it serves.
async fn offer(edge: &Edge, storage: &Path, wait: Duration) -> io::Result<i32> {
    let (sockets, storage) = (edge.sockets()?, storage.to_owned());
    tracing::info!("offering the listening sockets to a new process");
    let offer = tokio::task::spawn_blocking(move || upgrade::offer(&storage, &sockets, wait));
    offer.await.map_err(io::Error::other)?
}

fn access_log(config: &EdgeConfig) -> io::Result<AccessLog> {
    match config.log.access {
        LogChoice::Json => {
            let stdout = telemetry::unbuffered(&io::stdout())?;
            Ok(AccessLog::to(Lines::to(stdout, config.limits.access_log_queue, "access-log")?))
        }
        LogChoice::Off => Ok(AccessLog::off()),
    }
}

async fn start(
    path: &Path,
    config: EdgeConfig,
    sockets: Vec<Listening>,
    (log, registry): (AccessLog, Registry),
) -> Result<Edge, StartError> {
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
    panics::count(&registry)?;
    let own = sockets.iter().filter_map(|listening| listening.socket.local_addr().ok()).collect();
    let maker = PolicyMaker { file: path.to_owned(), own };
    Edge::start(config, maker, sockets, log, Arc::new(SystemClock), registry).await
}

fn announce(edge: &Edge) {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), "namegate-edge");
    for (kind, address) in edge.addresses() {
        tracing::info!(?kind, %address, "listening");
    }
}

/// Tells systemd, if it started us; anything else does not listen.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager was not told");
    }
}

/// `Type=notify-reload` wants to know when the reload began.
fn reloading() -> Vec<NotifyState<'static>> {
    let mut states = vec![NotifyState::Reloading];
    states.extend(NotifyState::monotonic_usec_now().ok());
    states
}

enum Request {
    Reload,
    Stop,
    Upgrade,
}

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.hangup.recv() => Request::Reload,
            _ = self.quit.recv() => Request::Upgrade,
            _ = self.interrupt.recv() => Request::Stop,
            _ = self.terminate.recv() => Request::Stop,
        }
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// A second interrupt means now.
    async fn interrupted(&mut self) {
        self.interrupt.recv().await;
    }
}
