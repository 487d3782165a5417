//! `run`.

use control_plane::{process::Process, settings::Settings};
use tokio::signal::unix::{SignalKind, signal};

pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    telemetry::init(&settings.log_level)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let process = Process::start(&settings).await?;
    let (address, database) = (process.address()?, process.core().db().kind());
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %address, database, "listening");
    process
        .serve(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("stopping");
        })
        .await
}
