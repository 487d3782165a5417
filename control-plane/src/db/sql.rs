//! [`sql`]: one statement with its arguments, run on either database.

use std::borrow::Cow;

use sqlx::{
    AssertSqlSafe, Executor, FromRow, Postgres, Sqlite, postgres::PgRow, query::Query, query::QueryAs,
    sqlite::SqliteRow,
};

use super::{DbError, Session};

/// An argument in one of the types that both databases know.
#[derive(Debug, Clone)]
pub(crate) enum Arg {
    Bytes(Vec<u8>),
    Int(Option<i64>),
    Text(Option<String>),
}

/// A row type that both databases can fill.
pub(crate) trait Record: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

impl<T> Record for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

/// A statement and its arguments, `$1` first.
#[derive(Debug, Clone)]
pub(crate) struct Sql {
    text: Cow<'static, str>,
    args: Vec<Arg>,
    postgres_tail: &'static str,
}

/// Begins a statement. Its text is ours, never built from data.
pub(crate) fn sql(text: impl Into<Cow<'static, str>>) -> Sql {
    Sql { text: text.into(), args: Vec::new(), postgres_tail: "" }
}

impl Sql {
    /// The next argument.
    pub(crate) fn bind(mut self, arg: impl Into<Arg>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Locks the rows found. SQLite's writing transactions exclude each other anyway.
    pub(crate) fn for_update(mut self) -> Self {
        self.postgres_tail = " FOR UPDATE";
        self
    }

    fn take_text(&mut self, postgres: bool) -> AssertSqlSafe<Cow<'static, str>> {
        let text = std::mem::take(&mut self.text);
        AssertSqlSafe(match postgres && !self.postgres_tail.is_empty() {
            true => Cow::Owned(format!("{text}{}", self.postgres_tail)),
            false => text,
        })
    }

    /// Runs it and counts the rows that it changed.
    pub(crate) async fn run(mut self, session: &mut Session) -> Result<u64, DbError> {
        let text = self.take_text(session.is_postgres());
        Ok(match session {
            Session::Sqlite(on) => self.sqlite(text).execute(&mut **on).await?.rows_affected(),
            Session::SqliteTransaction(on) => self.sqlite(text).execute(&mut **on).await?.rows_affected(),
            Session::Postgres(on) => self.postgres(text).execute(&mut **on).await?.rows_affected(),
            Session::PostgresTransaction(on) => self.postgres(text).execute(&mut **on).await?.rows_affected(),
        })
    }

    /// All rows.
    pub(crate) async fn all<T: Record>(mut self, session: &mut Session) -> Result<Vec<T>, DbError> {
        let text = self.take_text(session.is_postgres());
        Ok(match session {
            Session::Sqlite(on) => self.sqlite_as(text).fetch_all(&mut **on).await?,
            Session::SqliteTransaction(on) => self.sqlite_as(text).fetch_all(&mut **on).await?,
            Session::Postgres(on) => self.postgres_as(text).fetch_all(&mut **on).await?,
            Session::PostgresTransaction(on) => self.postgres_as(text).fetch_all(&mut **on).await?,
        })
    }

    /// The first row, if there is one.
    pub(crate) async fn optional<T: Record>(mut self, session: &mut Session) -> Result<Option<T>, DbError> {
        let text = self.take_text(session.is_postgres());
        Ok(match session {
            Session::Sqlite(on) => self.sqlite_as(text).fetch_optional(&mut **on).await?,
            Session::SqliteTransaction(on) => self.sqlite_as(text).fetch_optional(&mut **on).await?,
            Session::Postgres(on) => self.postgres_as(text).fetch_optional(&mut **on).await?,
            Session::PostgresTransaction(on) => self.postgres_as(text).fetch_optional(&mut **on).await?,
        })
    }

    /// The row that must be there.
    pub(crate) async fn one<T: Record>(self, session: &mut Session) -> Result<T, DbError> {
        self.optional(session).await?.ok_or(DbError::Statement(sqlx::Error::RowNotFound))
    }

    /// The first column of the first row, a number.
    pub(crate) async fn number(self, session: &mut Session) -> Result<Option<i64>, DbError> {
        Ok(self.optional::<(i64,)>(session).await?.map(|(value,)| value))
    }

    fn sqlite(self, text: AssertSqlSafe<Cow<'static, str>>) -> Query<'static, Sqlite, sqlx::sqlite::SqliteArguments> {
        self.args.into_iter().fold(sqlx::query(text), |query, arg| match arg {
            Arg::Bytes(value) => query.bind(value),
            Arg::Int(value) => query.bind(value),
            Arg::Text(value) => query.bind(value),
        })
    }

    fn postgres(self, text: AssertSqlSafe<Cow<'static, str>>) -> Query<'static, Postgres, sqlx::postgres::PgArguments> {
        self.args.into_iter().fold(sqlx::query(text), |query, arg| match arg {
            Arg::Bytes(value) => query.bind(value),
            Arg::Int(value) => query.bind(value),
            Arg::Text(value) => query.bind(value),
        })
    }

    fn sqlite_as<T: Record>(
        self,
        text: AssertSqlSafe<Cow<'static, str>>,
    ) -> QueryAs<'static, Sqlite, T, sqlx::sqlite::SqliteArguments> {
        self.args.into_iter().fold(sqlx::query_as(text), |query, arg| match arg {
            Arg::Bytes(value) => query.bind(value),
            Arg::Int(value) => query.bind(value),
            Arg::Text(value) => query.bind(value),
        })
    }

    fn postgres_as<T: Record>(
        self,
        text: AssertSqlSafe<Cow<'static, str>>,
    ) -> QueryAs<'static, Postgres, T, sqlx::postgres::PgArguments> {
        self.args.into_iter().fold(sqlx::query_as(text), |query, arg| match arg {
            Arg::Bytes(value) => query.bind(value),
            Arg::Int(value) => query.bind(value),
            Arg::Text(value) => query.bind(value),
        })
    }
}

/// Rows as one argument: JSON, a list of lists. See [`Session::rows`].
#[derive(Debug, Default)]
pub(crate) struct Rows(Vec<serde_json::Value>);

impl Rows {
    /// One row of these columns.
    pub(crate) fn push(&mut self, columns: impl Into<serde_json::Value>) {
        self.0.push(columns.into());
    }
}

impl<T: Into<String>> FromIterator<T> for Rows {
    /// Rows of one column each.
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        Self(texts.into_iter().map(|text| serde_json::Value::from(vec![text.into()])).collect())
    }
}

impl From<Rows> for Arg {
    fn from(rows: Rows) -> Self {
        Self::Text(Some(serde_json::Value::from(rows.0).to_string()))
    }
}

impl Session {
    /// What stands behind `FROM` for the argument at `place` when it is [`Rows`]; `value ->> 0` is a row's first
    /// column. One statement for many rows costs a hundredth of one for each.
    pub(crate) fn rows(&self, place: &str) -> String {
        match self.is_postgres() {
            true => format!("jsonb_array_elements({place}::jsonb) AS value"),
            false => format!("json_each({place})"),
        }
    }

    /// Does nothing, and so tells whether the database answers.
    pub(crate) async fn ping(&mut self) -> Result<(), DbError> {
        match self {
            Self::Sqlite(on) => on.execute("SELECT 1").await.map(drop)?,
            Self::SqliteTransaction(on) => on.execute("SELECT 1").await.map(drop)?,
            Self::Postgres(on) => on.execute("SELECT 1").await.map(drop)?,
            Self::PostgresTransaction(on) => on.execute("SELECT 1").await.map(drop)?,
        }
        Ok(())
    }
}

impl From<String> for Arg {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<&str> for Arg {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<&String> for Arg {
    fn from(value: &String) -> Self {
        Self::Text(Some(value.clone()))
    }
}

impl From<&names::Hostname> for Arg {
    fn from(value: &names::Hostname) -> Self {
        Self::Text(Some(value.as_str().to_owned()))
    }
}

impl From<Option<String>> for Arg {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}

impl From<Option<&str>> for Arg {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(str::to_owned))
    }
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Arg {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Arg {
    fn from(value: bool) -> Self {
        Self::Int(Some(i64::from(value)))
    }
}

impl From<Vec<u8>> for Arg {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl From<crate::core::Moment> for Arg {
    fn from(value: crate::core::Moment) -> Self {
        Self::Int(Some(value.into()))
    }
}

impl From<Option<crate::core::Moment>> for Arg {
    fn from(value: Option<crate::core::Moment>) -> Self {
        Self::Int(value.map(Into::into))
    }
}
