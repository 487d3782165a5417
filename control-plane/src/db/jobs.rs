//! Table `jobs`.

use super::{DbError, Rows, Session, sql};
use crate::core::{Job, JobKind, Moment};

pub(crate) async fn upsert(
    tx: &mut Session,
    key: &str,
    kind: JobKind,
    subject: &str,
    at: Moment,
) -> Result<(), DbError> {
    sql("INSERT INTO jobs (key, kind, subject, run_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (key) DO UPDATE SET run_at = excluded.run_at, attempt = 0, lease_token = NULL")
    .bind(key)
    .bind(kind)
    .bind(subject)
    .bind(at)
    .run(tx)
    .await
    .map(drop)
}

/// The same with a lease until then.
pub(crate) async fn upsert_leased(tx: &mut Session, job: &Job, until: Moment) -> Result<(), DbError> {
    sql("INSERT INTO jobs (key, kind, subject, run_at, attempt, lease_token) VALUES ($1, $2, $3, $4, 1, $5)
         ON CONFLICT (key) DO UPDATE SET run_at = excluded.run_at, attempt = 1, lease_token = excluded.lease_token")
    .bind(&job.key)
    .bind(job.kind)
    .bind(&job.subject)
    .bind(until)
    .bind(&job.lease_token)
    .run(tx)
    .await
    .map(drop)
}

/// Lengthens a lease, if it is still there.
pub(crate) async fn keep(tx: &mut Session, key: &str, token: &str, until: Moment) -> Result<bool, DbError> {
    let kept = sql("UPDATE jobs SET run_at = $3 WHERE key = $1 AND lease_token = $2");
    Ok(kept.bind(key).bind(token).bind(until).run(tx).await? > 0)
}

/// Whether a lease is still there.
pub(crate) async fn holds(tx: &mut Session, key: &str, token: &str) -> Result<bool, DbError> {
    let held = sql("SELECT run_at FROM jobs WHERE key = $1 AND lease_token = $2").bind(key).bind(token).for_update();
    Ok(held.number(tx).await?.is_some())
}

/// Inserts it unless it is there.
pub(crate) async fn ensure(
    tx: &mut Session,
    key: &str,
    kind: JobKind,
    subject: &str,
    at: Moment,
) -> Result<(), DbError> {
    sql("INSERT INTO jobs (key, kind, subject, run_at) VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING")
        .bind(key)
        .bind(kind)
        .bind(subject)
        .bind(at)
        .run(tx)
        .await
        .map(drop)
}

pub(crate) async fn delete(tx: &mut Session, key: &str) -> Result<(), DbError> {
    sql("DELETE FROM jobs WHERE key = $1").bind(key).run(tx).await.map(drop)
}

/// Takes due jobs. `SKIP LOCKED` lets several workers take at once on PostgreSQL; SQLite has one writer.
pub(crate) async fn lease(
    tx: &mut Session,
    kind: JobKind,
    now: Moment,
    until: Moment,
    token: &str,
    limit: i64,
) -> Result<Vec<Job>, DbError> {
    let skip = if tx.is_postgres() { "FOR UPDATE SKIP LOCKED" } else { "" };
    let due = sql(format!(
        "SELECT key, kind, subject, run_at AS due_at, attempt, $1 AS lease_token FROM jobs
         WHERE kind = $2 AND run_at <= $3 ORDER BY run_at LIMIT $4 {skip}"
    ));
    let jobs = due.bind(token).bind(kind).bind(now).bind(limit).all::<Job>(tx).await?;
    if jobs.is_empty() {
        return Ok(jobs);
    }
    let taken = tx.rows("$3");
    sql(format!(
        "UPDATE jobs SET run_at = $1, attempt = attempt + 1, lease_token = $2
         FROM (SELECT value ->> 0 AS key FROM {taken}) AS taken WHERE jobs.key = taken.key"
    ))
    .bind(until)
    .bind(token)
    .bind(jobs.iter().map(|job| job.key.as_str()).collect::<Rows>())
    .run(tx)
    .await?;
    Ok(jobs)
}

/// Sets when leased jobs are to be done again: rows of key, lease and time.
pub(crate) async fn release(tx: &mut Session, jobs: Rows) -> Result<(), DbError> {
    let released = tx.rows("$1");
    sql(format!(
        "UPDATE jobs SET run_at = done.at, attempt = 0, lease_token = NULL
         FROM (SELECT value ->> 0 AS key, value ->> 1 AS token, CAST(value ->> 2 AS BIGINT) AS at FROM {released}) AS done
         WHERE jobs.key = done.key AND jobs.lease_token = done.token"
    ))
    .bind(jobs)
    .run(tx)
    .await
    .map(drop)
}

pub(crate) async fn finish(tx: &mut Session, key: &str, token: &str) -> Result<(), DbError> {
    sql("DELETE FROM jobs WHERE key = $1 AND lease_token = $2").bind(key).bind(token).run(tx).await.map(drop)
}

pub(crate) async fn next_due(session: &mut Session, kind: JobKind) -> Result<Option<i64>, DbError> {
    sql("SELECT run_at FROM jobs WHERE kind = $1 ORDER BY run_at LIMIT 1").bind(kind).number(session).await
}
