//! [`Session`]: one connection, within a transaction or for reading alone.

use sqlx::{Postgres, Sqlite, Transaction, pool::PoolConnection};

use super::DbError;

/// A connection that statements run on, one at a time. Dropping one that is not committed undoes what it did.
#[derive(Debug)]
pub enum Session {
    /// PostgreSQL, each statement for itself.
    Postgres(PoolConnection<Postgres>),
    /// PostgreSQL, all or nothing.
    PostgresTransaction(Transaction<'static, Postgres>),
    /// SQLite, reading alone.
    Sqlite(PoolConnection<Sqlite>),
    /// SQLite, the one writer.
    SqliteTransaction(Transaction<'static, Sqlite>),
}

impl Session {
    /// Makes everything since `Db::begin` true, at once.
    ///
    /// # Errors
    /// [`DbError::Unavailable`]: it may or may not have happened, as always when an answer is lost.
    pub async fn commit(self) -> Result<(), DbError> {
        match self {
            Self::PostgresTransaction(on) => on.commit().await?,
            Self::SqliteTransaction(on) => on.commit().await?,
            Self::Postgres(_) | Self::Sqlite(_) => {}
        }
        Ok(())
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_) | Self::PostgresTransaction(_))
    }
}
