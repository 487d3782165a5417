//! A gate, its endpoint, its clock and its folder.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use clock::{Clock, ManualClock, SystemClock};
use control_client::{Admitted, Freshness, Gate, GateLimits, GateSettings, Origin, Refusal};
use names::Hostname;
use prometheus::{Encoder, Registry, TextEncoder};
use tempfile::TempDir;

use crate::endpoint::{Endpoint, Say};

pub(crate) const DEFAULT_ORIGIN: &str = "http://127.0.0.1:3000";

/// Everything around one gate.
pub(crate) struct Edge {
    pub(crate) gate: Gate,
    pub(crate) endpoint: Endpoint,
    pub(crate) clock: ManualClock,
    registry: Registry,
    settings: GateSettings,
    folder: TempDir,
}

pub(crate) fn name(text: &str) -> Hostname {
    text.parse().unwrap()
}

/// A gate whose endpoint says `say`.
pub(crate) async fn edge(say: Say) -> Edge {
    edge_with(say, |_| ()).await
}

/// A gate with other settings.
pub(crate) async fn edge_with(say: Say, change: impl FnOnce(&mut GateSettings)) -> Edge {
    let endpoint = Endpoint::start(say).await;
    let folder = tempfile::tempdir().unwrap();
    let mut settings = GateSettings {
        url: format!("http://{}/ask?key=k", endpoint.addr).parse().unwrap(),
        // Long enough for a busy machine: only tests of the limit itself set a short one.
        timeout: Duration::from_secs(20),
        default_origin: Some(DEFAULT_ORIGIN.parse::<Origin>().unwrap()),
        answers: folder.path().join("answers"),
        limits: GateLimits::default(),
    };
    change(&mut settings);
    let clock = ManualClock::new(SystemClock.now());
    let registry = Registry::new();
    let gate = Gate::new(settings.clone(), Arc::new(clock.clone()), &registry).unwrap();
    Edge { gate, endpoint, clock, registry, settings, folder }
}

impl Edge {
    pub(crate) async fn admit(&self, text: &str) -> Result<Admitted, Refusal> {
        self.gate.admit(&name(text)).await
    }

    /// Only the state of an admission.
    pub(crate) async fn state(&self, text: &str) -> Result<Freshness, Refusal> {
        self.admit(text).await.map(|admitted| admitted.freshness)
    }

    /// Lets all answers in memory run out but for the last allows.
    pub(crate) fn run_out(&self) {
        self.clock.advance(Duration::from_secs(61));
    }

    /// A new process on the same folder.
    pub(crate) async fn restart(self) -> Self {
        self.restart_with(|_| ()).await
    }

    /// A new process on the same folder, with other settings.
    pub(crate) async fn restart_with(mut self, change: impl FnOnce(&mut GateSettings)) -> Self {
        self.gate.flush().await;
        change(&mut self.settings);
        self.registry = Registry::new();
        self.gate = Gate::new(self.settings.clone(), Arc::new(self.clock.clone()), &self.registry).unwrap();
        self
    }

    /// The same process with other settings.
    pub(crate) fn reconfigure(&mut self, change: impl FnOnce(&mut GateSettings)) {
        change(&mut self.settings);
        self.gate = self.gate.reconfigured(self.settings.clone()).unwrap();
    }

    /// All series as text.
    pub(crate) fn metrics(&self) -> String {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// One series, such as `questions_total{result="deny"}`; 0 when it is not there.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let series = format!("namegate_edge_ask_{series} ");
        self.metrics().lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap_or(0)
    }

    /// Every file of last answers, with everything queued written.
    pub(crate) async fn files(&self) -> Vec<PathBuf> {
        self.gate.flush().await;
        self.files_now()
    }

    /// Every file of last answers as it stands.
    pub(crate) fn files_now(&self) -> Vec<PathBuf> {
        let Ok(shards) = fs::read_dir(&self.settings.answers) else { return Vec::new() };
        let files = |shard: fs::DirEntry| fs::read_dir(shard.path()).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<_> = shards.flat_map(|shard| files(shard.unwrap())).collect();
        files.sort();
        files
    }

    /// The folder around the folder of answers.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}
