//! The edge's line to a control plane of our own, when the configuration names one.
//!
//! Nothing here is waited for: an edge starts, serves and is ready whether the control plane is there or not.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use certs::{Certificates, DnsSolver, IssuerKey};
use clock::SharedClock;
use config::EdgeConfig;
use control_client::{Control, ControlError, ControlLimits, ControlSettings, Directory};
use prometheus::Registry;
use serde::Serialize;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    ahead::{Ahead, Desk},
    herald::Herald,
    policy::Policy,
};

/// The line with everything that works for it. Its tasks are to be [started](Self::start).
pub struct Line {
    control: Control,
    ahead: Ahead,
    herald: Arc<Herald>,
    in_flight: usize,
    solver: Option<Arc<dyn DnsSolver>>,
    clock: SharedClock,
}

impl Line {
    /// Opens what is kept of the control plane's names; nothing is sent. `None` without `[control]`. `issuers` says what
    /// the control plane calls them, `solver` which names need not point here for their certificates.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn open(
        config: &EdgeConfig,
        issuers: HashMap<IssuerKey, String>,
        solver: Option<Arc<dyn DnsSolver>>,
        clock: SharedClock,
        registry: &Registry,
    ) -> Result<Option<Self>, ControlError> {
        let Some(settings) = settings(config) else { return Ok(None) };
        let ahead = Ahead::new(config.limits.ahead_queue, solver.is_some(), registry)?;
        let (listener, registry, time) = (Arc::new(ahead.clone()), registry.clone(), clock.clone());
        // A million names are read in about a second, which belongs to no thread of the runtime.
        let opened = tokio::task::spawn_blocking(move || Control::open(settings, Some(listener), time, &registry));
        let control = opened.await.unwrap_or_else(|died| std::panic::resume_unwind(died.into_panic()))?;
        let herald = Herald::new(control.directory.clone(), control.reporter.clone(), ahead.clone(), issuers);
        let in_flight = config.limits.ahead_in_flight.min(config.limits.orders_in_flight);
        Ok(Some(Self { control, ahead, herald: Arc::new(herald), in_flight, solver, clock }))
    }

    /// The known names.
    pub fn directory(&self) -> Directory {
        self.control.directory.clone()
    }

    /// Whoever tells the control plane of certificates.
    pub fn herald(&self) -> Arc<Herald> {
        Arc::clone(&self.herald)
    }

    /// Starts following, reporting and ordering ahead, until `stop`.
    pub fn start(
        self,
        certificates: Certificates,
        policy: Arc<ArcSwap<Policy>>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let Self { control: Control { directory, feed, delivery, .. }, ahead, herald, in_flight, solver, clock } = self;
        let desk = Desk { certificates, directory, herald, policy, in_flight, solver, clock };
        ahead.attach(&desk.certificates);
        tasks.spawn(feed.run(stop.clone().cancelled_owned()));
        tasks.spawn(delivery.run(stop.clone().cancelled_owned()));
        let stop = stop.clone();
        tasks.spawn(async move { ahead.run(desk, stop).await });
    }
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
