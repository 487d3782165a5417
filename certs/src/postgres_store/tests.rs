mod leases;
mod purging;
mod sharing;
mod trouble;

use std::{sync::Arc, time::Duration};

use names::Subject;
use prometheus::Registry;
use sealing::Keyring;
use test_support::Postgres;

use super::*;
use crate::{Bundle, IssuerKey, fixture::Authority};

const DATABASE: &str = "test0";

/// A database with a key for it.
pub(crate) struct Bench {
    pub(super) postgres: Postgres,
    pub(super) url: String,
    pub(super) key: String,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        let postgres = Postgres::start().await;
        let url = postgres.create_database();
        Self { postgres, url, key: Keyring::generate().unwrap() }
    }

    /// One more process with this store.
    pub(crate) async fn open(&self) -> PostgresStore {
        self.try_open(&self.key, &Registry::new()).await.unwrap()
    }

    pub(super) async fn try_open(&self, key: &str, registry: &Registry) -> Result<PostgresStore, PostgresError> {
        let settings = PostgresSettings { url: self.url.clone(), keys: Keyring::parse(key).unwrap(), connections: 8 };
        PostgresStore::open(settings, registry).await
    }

    pub(super) fn psql(&self, statement: &str) -> String {
        self.postgres.psql(DATABASE, statement)
    }
}

fn name(text: &str) -> Subject {
    Subject::parse(text).unwrap()
}

fn bundle(text: &str) -> Bundle {
    Authority::new().bundle(&[text])
}

fn by(issuer: &str, bundle: Bundle) -> Bundle {
    Bundle { issuer: IssuerKey::new(issuer), ..bundle }
}

const LIFE: Duration = Duration::from_secs(60);
const A: &str = "a.example.com";

impl Bench {
    /// A transaction that has done this and stays open until it is dropped.
    async fn hold(&self, statement: &'static str) -> sqlx::Transaction<'static, sqlx::Postgres> {
        let pool = PgPool::connect(&self.url).await.unwrap();
        let mut transaction = pool.begin().await.unwrap();
        sqlx::query(statement).execute(&mut *transaction).await.unwrap();
        transaction
    }
    /// Waits until a statement of this work waits for a lock, or the work is done without one.
    async fn until_somebody_waits<T>(&self, work: &tokio::task::JoinHandle<T>) {
        const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        let waits = || std::future::ready((work.is_finished() || self.psql(WAITING) != "0").then_some(()));
        test_support::wait::until("a statement waits for a lock", waits).await;
    }
}
