//! Opening the store: connections, schema, and whether the key is the fleet's.

use std::time::Duration;

use prometheus::Registry;
use sealing::{Keyring, SealError};
use sqlx::{
    ConnectOptions as _, Connection as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::{Place, PostgresStore, bell};
use crate::file_store::Metrics;

/// Longest that an operation waits for a connection, and a connection for its server.
const ACQUIRE: Duration = Duration::from_secs(3);
/// Longest that the schema may take, waiting for another edge that brings it up to date included.
const MIGRATE: Duration = Duration::from_secs(60);
/// What is sealed to tell one key from another.
const CHECKED: &[u8] = b"namegate";

/// Where the database is and how it is used.
pub struct PostgresSettings {
    /// `postgres://user:password@host/database`. Never shown.
    pub(super) url: String,
    /// What private keys are sealed under.
    pub(super) keys: Keyring,
    /// Connections at once, beside one that listens for hints.
    pub(super) connections: u32,
}

impl PostgresSettings {
    /// The database at `url`, with the keys of a key file's text and so many connections.
    ///
    /// # Errors
    /// [`SealError`] when the text holds no keys.
    pub fn new(url: String, key_file: &str, connections: u32) -> Result<Self, SealError> {
        Ok(Self { url, keys: Keyring::parse(key_file)?, connections })
    }
}

impl std::fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresSettings").field("connections", &self.connections).finish_non_exhaustive()
    }
}

/// The store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// The database does not answer, or lets us do nothing.
    #[error("the database of storage.postgres cannot be used")]
    Database(#[source] sqlx::Error),
    /// What is stored was sealed under another key.
    #[error(
        "what the database holds was sealed under another key than that of storage.key_file; every edge needs the same"
    )]
    Key,
    /// A metric of the same name is registered already: two stores share one registry.
    #[error("the store's metrics could not be registered")]
    Metrics(#[from] prometheus::Error),
    /// The schema could not be brought up to date.
    #[error("the schema `namegate_edge` of storage.postgres cannot be brought up to date")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// It took too long.
    #[error("the database of storage.postgres did not get ready within {} s", MIGRATE.as_secs())]
    Slow,
    /// The URL; not shown, it may hold a password.
    #[error("storage.postgres is not the URL of a PostgreSQL database")]
    Url,
}

impl PostgresStore {
    /// Opens the store and brings its schema up to date; several edges may do so at once.
    ///
    /// # Errors
    /// [`PostgresError`].
    pub async fn open(settings: PostgresSettings, registry: &Registry) -> Result<Self, PostgresError> {
        let metrics = Metrics::new(registry)?;
        // The parser's error could quote a part of the URL.
        let options: PgConnectOptions = settings.url.parse().map_err(|_| PostgresError::Url)?;
        let options = options.application_name("namegate-edge").disable_statement_logging().options([
            // Nothing here takes long; whatever does waits for somebody who is gone.
            ("statement_timeout", "5s"),
            ("lock_timeout", "4s"),
            ("idle_in_transaction_session_timeout", "10s"),
        ]);
        let ready = tokio::time::timeout(MIGRATE, migrate(&options)).await;
        ready.unwrap_or(Err(PostgresError::Slow))?;
        let pool = pool(options, settings.connections).await?;
        let listening = CancellationToken::new();
        let ringing = broadcast::Sender::new(bell::WAITING);
        tokio::spawn(bell::listen(pool.clone(), ringing.clone(), listening.clone()));
        let _listening = listening.drop_guard();
        let store = Self { pool, keys: settings.keys, edge: edge_name(), metrics, bell: ringing, _listening };
        store.check_key().await?;
        Ok(store)
    }

    /// Whether the key opens what other edges have sealed.
    async fn check_key(&self) -> Result<(), PostgresError> {
        let place = Place::KeyCheck;
        let sealed = self.keys.seal(&place.context(), CHECKED).map_err(|_| PostgresError::Key)?;
        // Whoever is first says what the key is. A conflict that changes nothing gives the row that stands.
        const CHECK: &str = "INSERT INTO namegate_edge.key_check AS standing (sealed) VALUES ($1)
            ON CONFLICT (one) DO UPDATE SET sealed = standing.sealed RETURNING sealed";
        let standing: Vec<u8> =
            sqlx::query_scalar(CHECK).bind(sealed).fetch_one(&self.pool).await.map_err(PostgresError::Database)?;
        match self.keys.open(&place.context(), &standing) {
            Ok(_) => Ok(()),
            Err(_) => Err(PostgresError::Key),
        }
    }
}

/// On a connection of its own: a migration that is cut off leaves its lock to nobody.
async fn migrate(options: &PgConnectOptions) -> Result<(), PostgresError> {
    let options = options.clone().options([("statement_timeout", "0"), ("lock_timeout", "0")]);
    let mut connection = options.connect().await.map_err(PostgresError::Database)?;
    let mut migrator = sqlx::migrate!();
    migrator.create_schema("namegate_edge");
    migrator.dangerous_set_table_name("namegate_edge.migrations");
    // A newer edge of the fleet may have been here: schemas are only ever added to.
    migrator.set_ignore_missing(true);
    migrator.run_direct(None, &mut connection, false).await.map_err(PostgresError::Migrate)?;
    connection.close().await.map_err(PostgresError::Database)
}

async fn pool(options: PgConnectOptions, connections: u32) -> Result<PgPool, PostgresError> {
    let pool = PgPoolOptions::new().max_connections(connections.saturating_add(1)).acquire_timeout(ACQUIRE);
    pool.connect_with(options).await.map_err(PostgresError::Database)
}

/// A name for this process that no other one has.
fn edge_name() -> String {
    format!("{:032x}", rand::random::<u128>())
}
