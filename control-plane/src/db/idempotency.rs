//! Table `idempotency_records`.

use super::{DbError, Session, sql};
use crate::core::{IdempotencyRow, Moment};

/// Whether the key was free.
pub(crate) async fn insert(
    tx: &mut Session,
    account_id: &str,
    key: &str,
    row: &IdempotencyRow,
) -> Result<bool, DbError> {
    sql("INSERT INTO idempotency_records (account_id, key, fingerprint, lease_until, expires_at)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (account_id, key) DO NOTHING")
    .bind(account_id)
    .bind(key)
    .bind(row.fingerprint.clone())
    .bind(row.lease_until)
    .bind(row.expires_at)
    .run(tx)
    .await
    .map(|rows| rows == 1)
}

pub(crate) async fn find(tx: &mut Session, account_id: &str, key: &str) -> Result<Option<IdempotencyRow>, DbError> {
    sql("SELECT fingerprint, status, body, lease_until, expires_at FROM idempotency_records
         WHERE account_id = $1 AND key = $2")
    .bind(account_id)
    .bind(key)
    .for_update()
    .optional(tx)
    .await
}

pub(crate) async fn take_over(
    tx: &mut Session,
    account_id: &str,
    key: &str,
    row: &IdempotencyRow,
) -> Result<(), DbError> {
    sql("UPDATE idempotency_records SET fingerprint = $3, status = NULL, body = NULL, lease_until = $4, expires_at = $5
         WHERE account_id = $1 AND key = $2")
    .bind(account_id)
    .bind(key)
    .bind(row.fingerprint.clone())
    .bind(row.lease_until)
    .bind(row.expires_at)
    .run(tx)
    .await
    .map(drop)
}

pub(crate) async fn finish(
    tx: &mut Session,
    account_id: &str,
    key: &str,
    status: i64,
    body: &str,
) -> Result<u64, DbError> {
    sql("UPDATE idempotency_records SET status = $3, body = $4
         WHERE account_id = $1 AND key = $2 AND status IS NULL")
    .bind(account_id)
    .bind(key)
    .bind(status)
    .bind(body)
    .run(tx)
    .await
}

/// Another answer for a request that has that one.
pub(crate) async fn amend(
    tx: &mut Session,
    account_id: &str,
    key: &str,
    before: &str,
    after: &str,
) -> Result<(), DbError> {
    sql("UPDATE idempotency_records SET body = $4 WHERE account_id = $1 AND key = $2 AND body = $3")
        .bind(account_id)
        .bind(key)
        .bind(before)
        .bind(after)
        .run(tx)
        .await
        .map(drop)
}

pub(crate) async fn abandon(tx: &mut Session, account_id: &str, key: &str) -> Result<(), DbError> {
    sql("DELETE FROM idempotency_records WHERE account_id = $1 AND key = $2 AND status IS NULL")
        .bind(account_id)
        .bind(key)
        .run(tx)
        .await
        .map(drop)
}

pub(crate) async fn forget(tx: &mut Session, now: Moment) -> Result<(), DbError> {
    sql("DELETE FROM idempotency_records WHERE expires_at < $1").bind(now).run(tx).await.map(drop)
}
