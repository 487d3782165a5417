//! Brings the schema up to date.

use super::{Db, DbError};

impl Db {
    /// Applies what is missing. Several processes may call it at once.
    ///
    /// # Errors
    /// [`DbError::Migrate`].
    pub async fn migrate(&self) -> Result<(), DbError> {
        match self {
            Self::Postgres { pool, .. } => sqlx::migrate!("migrations/postgres").run(pool).await,
            Self::Sqlite { write, .. } => sqlx::migrate!("migrations/sqlite").run(write).await,
        }
        .map_err(DbError::Migrate)
    }
}
