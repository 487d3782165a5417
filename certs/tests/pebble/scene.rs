//! One Pebble with one small edge, and whatever is needed to order from it.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use certs::{
    AcmeIssuer, AcmeSettings, Certificates, CertificatesSettings, Challenges, FileStore, Issuer, Permission, Permit,
    Seal, Store, Tenancy,
};
use clock::SystemClock;
use names::{Hostname, Subject};
use prometheus::Registry;
use tempfile::TempDir;
use test_support::{AcmeProxy, Loopback, Pebble, PebbleOptions};
use tokio_util::sync::CancellationToken;

use crate::answering::Answering;

/// Which validation ports answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ports {
    Both,
    HttpOnly,
    Neither,
}

pub(crate) struct Scene {
    pub(crate) host: Loopback,
    /// What the issuer takes for its CA.
    pub(crate) proxy: AcmeProxy,
    pebble: Option<Pebble>,
    pub(crate) challenges: Arc<Challenges>,
    folder: TempDir,
    pub(crate) store: Arc<FileStore>,
    options: PebbleOptions,
    _answering: Answering,
}

impl Scene {
    pub(crate) async fn start() -> Self {
        Self::with(PebbleOptions::default(), Ports::Both).await
    }

    pub(crate) async fn with(options: PebbleOptions, ports: Ports) -> Self {
        let host = Loopback::take();
        let challenges = Arc::new(Challenges::default());
        let http = matches!(ports, Ports::Both | Ports::HttpOnly).then(|| host.at(options.http_port));
        let tls = (ports == Ports::Both).then(|| host.at(options.tls_port));
        let answering = Answering::start(&challenges, http, tls).await;
        let pebble = Pebble::start(&host, options.clone()).await;
        let proxy = AcmeProxy::start(&host, &pebble).await;
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        Self { host, proxy, pebble: Some(pebble), challenges, folder, store, options, _answering: answering }
    }

    pub(crate) fn pebble(&self) -> &Pebble {
        self.pebble.as_ref().unwrap()
    }

    /// Another Pebble at the same address, which knows nothing of what the first one did.
    pub(crate) async fn restart_pebble(&mut self) {
        drop(self.pebble.take());
        let pebble = Pebble::start(&self.host, self.options.clone()).await;
        self.proxy.stand_before(&pebble);
        self.pebble = Some(pebble);
    }

    /// Where the store is.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How many orders Pebble has seen.
    pub(crate) fn orders(&self) -> usize {
        self.logged("Added order")
    }

    /// How many certificates Pebble has made.
    pub(crate) fn certificates(&self) -> usize {
        self.logged("Issued certificate")
    }

    /// How often Pebble has written `text`.
    pub(crate) fn logged(&self, text: &str) -> usize {
        self.pebble().log().lines().filter(|line| line.contains(text)).count()
    }

    pub(crate) fn settings(&self) -> AcmeSettings {
        let mut settings = AcmeSettings::new(self.proxy.directory_url());
        settings.ca_root = Some(self.proxy.root_pem_path());
        settings.contact = vec!["mailto:ops@example.com".to_owned()];
        settings
    }

    pub(crate) fn issuer(&self) -> AcmeIssuer {
        self.issuer_with(self.settings())
    }

    pub(crate) fn issuer_with(&self, settings: AcmeSettings) -> AcmeIssuer {
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        AcmeIssuer::new(settings, store, Arc::clone(&self.challenges), Arc::new(SystemClock)).unwrap()
    }
}

impl Scene {
    /// A manager as a fresh process would have it.
    pub(crate) fn manager_of(&self, issuers: Vec<Arc<dyn Issuer>>, settings: CertificatesSettings) -> Certificates {
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        let clock = Arc::new(SystemClock);
        Certificates::new(settings, issuers, store, Arc::new(Open), clock, &Registry::new()).unwrap()
    }

    pub(crate) fn manager(&self) -> Certificates {
        self.manager_of(vec![Arc::new(self.issuer())], CertificatesSettings::default())
    }
}

/// A gate that wants every renewal.
struct Open;

#[async_trait]
impl Permit for Open {
    async fn may_renew(&self, _name: &Subject) -> Permission {
        Permission::Renew
    }

    fn tenancy(&self, _name: &Subject) -> Tenancy {
        Tenancy::Unknown
    }
}

pub(crate) fn open(path: &Path) -> Arc<FileStore> {
    open_sealed(path, Seal::default())
}

/// A store as a process with this key file has it.
pub(crate) fn open_sealed(path: &Path, seal: Seal) -> Arc<FileStore> {
    Arc::new(FileStore::open_sealed(path, seal, &Registry::new()).unwrap())
}

pub(crate) fn name(text: &str) -> Hostname {
    text.parse().unwrap()
}

pub(crate) fn subject(text: &str) -> Subject {
    text.parse().unwrap()
}

/// Runs the renewal loop until the guard is dropped.
pub(crate) fn run(certificates: &Certificates) -> tokio_util::sync::DropGuard {
    let stop = CancellationToken::new();
    let (certificates, token) = (certificates.clone(), stop.clone());
    tokio::spawn(async move { certificates.run(token).await });
    stop.drop_guard()
}
