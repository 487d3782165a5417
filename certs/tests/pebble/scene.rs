//! One Pebble with one small edge, and whatever is needed to order from it.

use std::{path::Path, sync::Arc};

use certs::{AcmeIssuer, AcmeSettings, Challenges, FileStore, Store};
use clock::SystemClock;
use names::Hostname;
use prometheus::Registry;
use tempfile::TempDir;
use test_support::{Loopback, Pebble, PebbleOptions};

use crate::answering::Answering;

/// Which validation ports answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    Both,
    HttpOnly,
    Neither,
    TlsOnly,
}

pub struct Scene {
    pub host: Loopback,
    pub pebble: Pebble,
    pub challenges: Arc<Challenges>,
    pub folder: TempDir,
    pub store: Arc<FileStore>,
    _answering: Answering,
}

impl Scene {
    pub async fn start() -> Self {
        Self::with(PebbleOptions::default(), Ports::Both).await
    }

    pub async fn with(options: PebbleOptions, ports: Ports) -> Self {
        let host = Loopback::take();
        let challenges = Arc::new(Challenges::default());
        let http = matches!(ports, Ports::Both | Ports::HttpOnly).then(|| host.at(options.http_port));
        let tls = matches!(ports, Ports::Both | Ports::TlsOnly).then(|| host.at(options.tls_port));
        let answering = Answering::start(&challenges, http, tls).await;
        let pebble = Pebble::start(&host, options).await;
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        Self { host, pebble, challenges, folder, store, _answering: answering }
    }

    pub fn settings(&self) -> AcmeSettings {
        let mut settings = AcmeSettings::new(self.pebble.directory_url());
        settings.ca_root = Some(self.pebble.root_pem_path());
        settings.contact = vec!["mailto:ops@example.com".to_owned()];
        settings
    }

    pub fn issuer(&self) -> AcmeIssuer {
        self.issuer_with(self.settings())
    }

    pub fn issuer_with(&self, settings: AcmeSettings) -> AcmeIssuer {
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        AcmeIssuer::new(settings, store, Arc::clone(&self.challenges), Arc::new(SystemClock)).unwrap()
    }
}

pub fn open(path: &Path) -> Arc<FileStore> {
    Arc::new(FileStore::open(path, &Registry::new()).unwrap())
}

pub fn name(text: &str) -> Hostname {
    text.parse().unwrap()
}
