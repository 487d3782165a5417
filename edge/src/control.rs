//! The edge's line to a control plane of our own, when the configuration names one.
//!
//! Nothing here is waited for: an edge starts, serves and is ready whether the control plane is there or not.

use clock::SharedClock;
use config::EdgeConfig;
use control_client::{Control, ControlError, ControlLimits, ControlSettings, Directory};
use prometheus::Registry;
use serde::Serialize;

/// Opens what is kept of the control plane's names and sets up the line; nothing is sent. `None` without `[control]`.
///
/// # Errors
/// [`ControlError`].
pub async fn open(
    config: &EdgeConfig,
    clock: SharedClock,
    registry: &Registry,
) -> Result<Option<Control>, ControlError> {
    let Some(settings) = settings(config) else { return Ok(None) };
    let registry = registry.clone();
    // A million names are read in about a second, which belongs to no thread of the runtime.
    let opened = tokio::task::spawn_blocking(move || Control::open(settings, None, clock, &registry)).await;
    opened.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic())).map(Some)
}

fn settings(config: &EdgeConfig) -> Option<ControlSettings> {
    let control = config.control.as_ref()?;
    let limits = &config.limits;
    Some(ControlSettings {
        url: control.url.clone(),
        token_file: control.token_file.clone(),
        folder: config.storage.path.join("namegate").join("control"),
        limits: ControlLimits {
            timeout: limits.control_timeout,
            stale: limits.ask_stale,
            names: limits.control_names,
            reports: limits.control_reports,
            ..ControlLimits::default()
        },
    })
}

/// What the edge knows from the control plane, for people. Readiness never depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ControlView {
    /// How many names are known.
    pub names: usize,
    /// When the control plane last answered, an earlier process included.
    pub last_contact: Option<String>,
}

impl ControlView {
    /// What `directory` knows now.
    pub fn of(directory: &Directory) -> Self {
        let last_contact = directory.last_contact().map(|contact| contact.to_string());
        Self { names: directory.names(), last_contact }
    }
}
