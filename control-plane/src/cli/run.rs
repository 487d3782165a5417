//! `run`.

use std::process::ExitCode;

use control_plane::{process::Process, settings::Settings};
use sd_notify::NotifyState;
use telemetry::LostLines;
use tokio::signal::unix::{SignalKind, signal};

use super::{TEMPORARY_FAILURE, output::complain};

pub(crate) async fn run(settings: Settings) -> ExitCode {
    match serve(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("error: {error:#}"));
            ExitCode::from(TEMPORARY_FAILURE)
        }
    }
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    // Kept to the end: it writes the last lines.
    let diagnostics = telemetry::init(&settings.log_level, telemetry::USUAL_BURST)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let process = Process::start(&settings).await?;
    LostLines::register(process.registry(), "namegate_control", &diagnostics, None)?;
    let (address, database) = (process.address()?, process.core().db().kind());
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %address, database, "listening");
    notify(NotifyState::Ready);
    process
        .serve(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            notify(NotifyState::Stopping);
            tracing::info!("stopping");
        })
        .await
}

/// Tells systemd, if it started us; anything else does not listen.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "the service manager was not told");
    }
}
