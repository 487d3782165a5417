//! [`DbError`]: what the database says, sorted by what its caller can do about it.

use sqlx::error::ErrorKind;

/// A statement failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// Another row holds what must be unique. Names the index or column as the database does.
    #[error("`{constraint}` holds another row")]
    Conflict {
        /// What the database calls it.
        constraint: String,
    },
    /// A row holds what no row may hold.
    #[error("a stored value cannot be read")]
    Corrupt(#[source] sqlx::Error),
    /// The migrations could not be applied.
    #[error("the schema could not be brought up to date")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The database does not answer, is full, or gave up on the transaction: the same may succeed later.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// What everybody was told who asked together.
    #[error("the gate could not be asked")]
    Shared(#[source] std::sync::Arc<Self>),
    /// A statement of ours that the database refuses.
    #[error("a statement was refused")]
    Statement(#[source] sqlx::Error),
    /// The database's URL is of no database that we know.
    #[error("`{scheme}` is not a database that can be used; write sqlite:// or postgres://")]
    Url {
        /// What stands before `://`.
        scheme: String,
    },
}

impl DbError {
    /// Whether the index or column of this name refused a row. SQLite names columns, PostgreSQL the index.
    pub(crate) fn is_conflict(&self, index: &str, columns: &str) -> bool {
        matches!(self, Self::Conflict { constraint } if constraint.contains(index) || constraint.contains(columns))
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => match database.kind() {
                ErrorKind::UniqueViolation => Self::Conflict { constraint: constraint(database.as_ref()) },
                _ if is_temporary(database.code().as_deref()) => Self::Unavailable(error),
                _ => Self::Statement(error),
            },
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
                Self::Corrupt(error)
            }
            _ => Self::Unavailable(error),
        }
    }
}

fn constraint(error: &dyn sqlx::error::DatabaseError) -> String {
    error.constraint().map_or_else(|| error.message().to_owned(), str::to_owned)
}

/// PostgreSQL: connection (08), serialization and deadlock (40), resources (53), shutdown (57), system (58), read-only
/// after a failover (25006). SQLite: busy, locked, I/O, full, cannot open, read-only.
fn is_temporary(code: Option<&str>) -> bool {
    const SQLITE: [u32; 6] = [5, 6, 8, 10, 13, 14];
    let Some(code) = code else { return false };
    let of_postgres = code.len() == 5 && (["08", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class)));
    // Extended result codes keep the primary one in their low byte.
    let of_sqlite = code.parse::<u32>().is_ok_and(|code| SQLITE.contains(&(code & 0xff))) && code.len() < 5;
    of_postgres || code == "25006" || of_sqlite
}
