//! [`Db`]: the pools.

use std::{sync::Arc, time::Duration};

use names::Hostname;
use sqlx::{
    PgPool, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Asks, DbError, Session, gate, health::Health};
use crate::core::Allowed;

/// How a database is used.
#[derive(Debug, Clone)]
pub struct DbOptions {
    /// Connections to PostgreSQL, or readers of SQLite.
    pub connections: u32,
    /// How long a request waits for a connection before it is answered with 503.
    pub wait: Duration,
}

impl Default for DbOptions {
    fn default() -> Self {
        // Sixteen statements at a time are more than the cores of a small server work off; waiting longer than 5 s
        // would only pile up clients that have gone.
        Self { connections: 16, wait: Duration::from_secs(5) }
    }
}

/// A database that is ready for use. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Db {
    /// A server.
    Postgres {
        /// Connections for everything but the asks.
        pool: PgPool,
        /// The gate's questions.
        asks: Asks,
        /// Whether it lets anybody in.
        health: Arc<Health>,
    },
    /// A file: one writer, because SQLite has one, and readers beside it.
    Sqlite {
        /// One connection.
        write: SqlitePool,
        /// Connections that cannot write.
        read: SqlitePool,
    },
}

impl Db {
    /// Opens `sqlite://path` (made when missing) or `postgres://…`. Does not touch the schema.
    ///
    /// # Errors
    /// [`DbError::Url`], [`DbError::Unavailable`].
    pub async fn open(url: &str, options: &DbOptions) -> Result<Self, DbError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => Self::open_postgres(url.parse()?, options).await,
            Some("sqlite") => Self::open_sqlite(url.parse()?, options).await,
            scheme => Err(DbError::Url { scheme: scheme.unwrap_or_default().to_owned() }),
        }
    }

    async fn open_postgres(connect: PgConnectOptions, options: &DbOptions) -> Result<Self, DbError> {
        let connect = connect.application_name("namegate-control").options([
            // Nothing here takes long; whatever does waits for a lock of a process that is gone.
            ("statement_timeout", "10s"),
            ("lock_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "30s"),
        ]);
        let health = Health::new(connect.clone(), options.wait);
        let pool = PgPoolOptions::new().max_connections(options.connections).acquire_timeout(options.wait);
        let pool = pool.connect_with(connect).await?;
        Ok(Self::Postgres { pool, asks: Asks::open(&health, options.wait), health })
    }

    async fn open_sqlite(connect: SqliteConnectOptions, options: &DbOptions) -> Result<Self, DbError> {
        let connect = connect
            .create_if_missing(true)
            .foreign_keys(true)
            .busy_timeout(options.wait)
            .journal_mode(SqliteJournalMode::Wal)
            // With WAL this loses nothing but the last commits when the machine (not the process) dies.
            .synchronous(SqliteSynchronous::Normal);
        let pool = || SqlitePoolOptions::new().acquire_timeout(options.wait);
        let write = pool().max_connections(1).connect_with(connect.clone()).await?;
        let read = pool().max_connections(options.connections).connect_with(connect.read_only(true)).await?;
        Ok(Self::Sqlite { write, read })
    }

    /// A connection for reading.
    pub(crate) async fn read(&self) -> Result<Session, DbError> {
        Ok(match self {
            Self::Postgres { pool, health, .. } => Session::Postgres(health.attend(pool.acquire()).await?),
            Self::Sqlite { read, .. } => Session::Sqlite(read.acquire().await?),
        })
    }

    /// A transaction. On SQLite it is the writer from its start: a reader that becomes one later may be refused.
    pub(crate) async fn begin(&self) -> Result<Session, DbError> {
        Ok(match self {
            Self::Postgres { pool, health, .. } => Session::PostgresTransaction(health.attend(pool.begin()).await?),
            Self::Sqlite { write, .. } => Session::SqliteTransaction(write.begin_with("BEGIN IMMEDIATE").await?),
        })
    }

    /// What the gate says about a name.
    pub(crate) async fn ask(&self, hostname: &Hostname) -> Result<Option<Allowed>, DbError> {
        match self {
            Self::Postgres { asks, .. } => asks.ask(hostname).await,
            Self::Sqlite { .. } => gate::ask(&mut self.read().await?, hostname).await,
        }
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// [`DbError::Unavailable`].
    pub async fn ping(&self) -> Result<(), DbError> {
        self.read().await?.ping().await
    }

    /// Ends all connections; SQLite folds its log into the file.
    pub async fn close(&self) {
        match self {
            Self::Postgres { pool, .. } => pool.close().await,
            Self::Sqlite { write, read } => {
                read.close().await;
                write.close().await;
            }
        }
    }

    /// `sqlite` or `postgres`, for logs and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Postgres { .. } => "postgres",
            Self::Sqlite { .. } => "sqlite",
        }
    }
}
