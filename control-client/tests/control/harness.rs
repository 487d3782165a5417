//! A control plane, an ask endpoint, a folder, and the edge's side of them.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use clock::{SharedClock, SystemClock};
use control_client::{
    Admitted, Control, ControlLimits, ControlSettings, Directory, Event, Freshness, Gate, GateLimits, GateSettings,
    Refusal, Reporter,
};
use names::Hostname;
use prometheus::{Encoder, Registry, TextEncoder};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_support::{FakeControl, FakeGate, Loopback, wait};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

pub(crate) const TOKEN: &str = "first-token";

pub(crate) fn name(text: &str) -> Hostname {
    text.parse().unwrap()
}

/// A route to an origin, pointing here.
pub(crate) fn to(origin: &str) -> Value {
    json!({"origin": origin, "pointing": true})
}

/// Everything around an edge, which may or may not be running.
pub(crate) struct World {
    pub(crate) control: FakeControl,
    pub(crate) ask: FakeGate,
    pub(crate) limits: ControlLimits,
    pub(crate) clock: SharedClock,
    folder: TempDir,
}

/// A running edge. Dropping it is a crash.
pub(crate) struct Edge {
    pub(crate) gate: Gate,
    pub(crate) directory: Directory,
    pub(crate) reporter: Reporter,
    pub(crate) events: mpsc::Receiver<Event>,
    registry: Registry,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let host = Loopback::take();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
        // No spread and no pause between synchronisations, but where a test is about them.
        let (sync_spread, sync_every) = (Duration::ZERO, Duration::ZERO);
        let backoff = Duration::from_millis(500);
        Self {
            control: FakeControl::start(&host, TOKEN).await,
            ask: FakeGate::start(&host).await,
            limits: ControlLimits { sync_spread, sync_every, backoff, ..ControlLimits::default() },
            clock: Arc::new(SystemClock),
            folder,
        }
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(crate) fn settings(&self) -> ControlSettings {
        ControlSettings {
            url: self.control.url().parse().unwrap(),
            token_file: self.path("token"),
            folder: self.path("control"),
            limits: self.limits.clone(),
        }
    }

    fn gate_settings(&self, answers: PathBuf) -> GateSettings {
        GateSettings {
            url: self.ask.url().parse().unwrap(),
            timeout: Duration::from_secs(20),
            default_origin: Some("http://127.0.0.1:3000".parse().unwrap()),
            answers,
            limits: GateLimits::default(),
        }
    }

    /// A process on the folder.
    pub(crate) fn start(&self) -> Edge {
        self.start_with(self.settings())
    }

    /// A process on another folder.
    pub(crate) fn start_with(&self, settings: ControlSettings) -> Edge {
        let answers = settings.folder.join("answers");
        let registry = Registry::new();
        let (heard, events) = mpsc::channel(10_000);
        let control = Control::open(settings, Some(Arc::new(heard)), Arc::clone(&self.clock), &registry).unwrap();
        let Control { directory, feed, reporter, delivery } = control;
        let gate =
            Gate::with_directory(self.gate_settings(answers), directory.clone(), Arc::clone(&self.clock), &registry)
                .unwrap();
        let (stop, stopped) = watch::channel(false);
        let until = |mut stopped: watch::Receiver<bool>| async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(feed.run(until(stopped.clone())));
        tasks.spawn(delivery.run(until(stopped)));
        Edge { gate, directory, reporter, events, registry, tasks, stop }
    }

    /// A process that has done its first synchronisation, or has heard of the feed.
    pub(crate) async fn started(&self) -> Edge {
        let edge = self.start();
        edge.until_fresh().await;
        edge
    }
}

impl Edge {
    pub(crate) async fn admit(&self, text: &str) -> Result<Admitted, Refusal> {
        self.gate.admit(&name(text)).await
    }

    pub(crate) async fn state(&self, text: &str) -> Result<Freshness, Refusal> {
        self.admit(text).await.map(|admitted| admitted.freshness)
    }

    /// The origin that a name is served from, if it is admitted.
    pub(crate) async fn origin(&self, text: &str) -> Option<String> {
        self.admit(text).await.ok()?.site.origin.as_ref().map(ToString::to_string)
    }

    pub(crate) async fn until_fresh(&self) {
        wait::until("the control plane has answered", || {
            let contact = self.metric("last_contact_timestamp_seconds");
            std::future::ready((contact > 0).then_some(()))
        })
        .await;
    }

    /// Ends when a series has reached a value.
    pub(crate) async fn until_metric(&self, series: &str, least: u64) {
        wait::until(&format!("{series} is {least}"), || {
            std::future::ready((self.metric(series) >= least).then_some(()))
        })
        .await;
    }

    /// Ends when a name is in a state.
    pub(crate) async fn until_state(&self, text: &str, state: Result<Freshness, Refusal>) {
        wait::until(&format!("{text} is {state:?}"), || async { (self.state(text).await == state).then_some(()) })
            .await;
    }

    pub(crate) fn metric(&self, series: &str) -> u64 {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text).unwrap();
        let series = format!("namegate_edge_control_{series} ");
        let text = String::from_utf8(text).unwrap();
        text.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap_or(0)
    }

    /// A graceful stop.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}
