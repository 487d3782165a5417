//! The two databases and the words that the promises are written in.

use std::{future::Future, sync::Arc, time::Duration};

use clock::{ManualClock, Timestamp};
use control_plane::{
    core::{
        Application, Caller, ChallengeSight, Checked, Connection, Core, CoreError, CoreSettings, EdgeTarget,
        Environment, Keyring, NewApplication, NewConnection, Routing, RoutingSight, Surface,
    },
    db::{Db, DbOptions},
};
use test_support::Postgres;
use tokio::runtime::Runtime;

/// A core on a fresh database, with a clock that moves when it is told to.
pub(crate) struct Bench {
    pub(crate) core: Core,
    pub(crate) clock: ManualClock,
    _directory: tempfile::TempDir,
}

/// Keeps a promise on both databases, one after the other.
pub(crate) fn on_both<F, Fut>(promise: F)
where
    F: Fn(Bench) -> Fut,
    Fut: Future<Output = ()>,
{
    on_both_with(rules(), promise);
}

/// The same under other rules.
pub(crate) fn on_both_with<F, Fut>(settings: CoreSettings, promise: F)
where
    F: Fn(Bench) -> Fut,
    Fut: Future<Output = ()>,
{
    runtime().block_on(async {
        promise(Bench::on_sqlite(settings.clone()).await).await;
        let postgres = Postgres::start().await;
        promise(Bench::open(&postgres.create_database(), settings.clone(), tempfile::tempdir().unwrap()).await).await;
    });
}

/// On SQLite alone.
pub(crate) fn on_sqlite<Fut: Future<Output = ()>>(promise: impl Fn(Bench) -> Fut) {
    runtime().block_on(async { promise(Bench::on_sqlite(rules()).await).await });
}

/// On PostgreSQL alone.
pub(crate) fn on_postgres<Fut: Future<Output = ()>>(promise: impl Fn(Bench) -> Fut) {
    runtime().block_on(async {
        let postgres = Postgres::start().await;
        let (url, directory) = (postgres.create_database(), tempfile::tempdir().unwrap());
        promise(Bench::open(&url, rules(), directory).await).await;
    });
}

/// The rules of promises that are not about them. Some of their names are below `.test`.
fn rules() -> CoreSettings {
    CoreSettings { public_authority: false, ..CoreSettings::default() }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap()
}

impl Bench {
    async fn on_sqlite(settings: CoreSettings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("control.db").display());
        Self::open(&url, settings, directory).await
    }

    async fn open(url: &str, mut settings: CoreSettings, directory: tempfile::TempDir) -> Self {
        let options = DbOptions { wait: Duration::from_secs(30), ..DbOptions::default() };
        let db = Db::open(url, &options).await.unwrap();
        db.migrate().await.unwrap();
        settings.edge = EdgeTarget {
            cname: "edge.namegate.test".to_owned(),
            ipv4: vec!["192.0.2.1".parse().unwrap()],
            ipv6: Vec::new(),
        };
        let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
        let keyring = Keyring::parse(&Keyring::generate().unwrap()).unwrap();
        let core = Core::new(db, Arc::new(clock.clone()), settings, Some(keyring));
        core.prepare().await.unwrap();
        Self { core, clock, _directory: directory }
    }

    /// A new account with an application.
    pub(crate) async fn tenant(&self, name: &str) -> Tenant {
        let account = self.core.create_account(name).await.unwrap();
        let caller = Caller::operator(&account.id, Environment::Test, Surface::ConnectDomain);
        let mut tx = self.core.begin().await.unwrap();
        let new = NewApplication {
            name: name.to_owned(),
            default_origin: Some("https://origin.example".to_owned()),
            ..NewApplication::default()
        };
        let application = self.core.create_application(&mut tx, &caller, new).await.unwrap();
        self.core.commit(tx).await.unwrap();
        Tenant { core: self.core.clone(), caller, application }
    }
}

/// An account at work.
#[derive(Clone)]
pub(crate) struct Tenant {
    pub(crate) core: Core,
    pub(crate) caller: Caller,
    pub(crate) application: Application,
}

impl Tenant {
    pub(crate) async fn connect(&self, hostname: &str) -> Result<Connection, CoreError> {
        self.connect_with(NewConnection { hostname: hostname.to_owned(), ..NewConnection::default() }).await
    }

    pub(crate) async fn connect_with(&self, new: NewConnection) -> Result<Connection, CoreError> {
        let mut tx = self.core.begin().await.unwrap();
        let new = NewConnection { application_id: self.application.id.clone(), ..new };
        let made = self.core.create_connection(&mut tx, &self.caller, new).await?;
        self.core.commit(tx).await?;
        Ok(made)
    }

    pub(crate) async fn see(&self, id: &str, seen: Checked) -> Result<Connection, CoreError> {
        self.core.apply_check(id, &seen, control_plane::core::Looker::Verb).await
    }

    /// A connection whose ownership is shown.
    pub(crate) async fn verified(&self, hostname: &str) -> Connection {
        let made = self.connect(hostname).await.unwrap();
        self.see(&made.claim.id, proven()).await.unwrap()
    }

    /// One that points here, too.
    pub(crate) async fn pointing(&self, hostname: &str) -> Connection {
        let made = self.verified(hostname).await;
        self.see(&made.claim.id, pointing(Routing::Pointing)).await.unwrap()
    }

    pub(crate) async fn event_kinds(&self) -> Vec<String> {
        let events = self.core.events(&self.caller, 0, 1000).await.unwrap();
        events.iter().map(|event| event.kind.to_string()).collect()
    }
}

pub(crate) fn proven() -> Checked {
    Checked { challenge: Some(ChallengeSight::Present), ..Checked::default() }
}

pub(crate) fn pointing(verdict: Routing) -> Checked {
    Checked {
        routing: Some(RoutingSight { verdict: Some(verdict), records: Vec::new(), reason: None }),
        ..Checked::default()
    }
}

/// A report of an edge that has a certificate.
pub(crate) fn issued(id: &str, hostname: &str) -> control_api::CertificateReport {
    serde_json::from_value(serde_json::json!({
        "id": id, "hostname": hostname, "kind": "issued", "at_ms": 1_800_000_000_000_u64,
        "issuer": "https://ca.test/dir", "not_before_ms": 1_800_000_000_000_u64,
        "not_after_ms": 1_807_776_000_000_u64,
    }))
    .unwrap()
}
