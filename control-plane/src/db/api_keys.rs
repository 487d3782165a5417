//! Table `api_keys`.

use super::{DbError, Session, sql};
use crate::core::{ApiKey, Moment};

const COLUMNS: &str = "id, account_id, application_id, name, environment, surface, scopes, prefix, last4, created_at, \
                       last_used_at, revoked_at";

pub(crate) async fn insert(tx: &mut Session, key: &ApiKey, sha256: Vec<u8>) -> Result<(), DbError> {
    sql("INSERT INTO api_keys (id, account_id, application_id, name, environment, surface, scopes, sha256, prefix, last4,
         created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
    .bind(&key.id)
    .bind(&key.account_id)
    .bind(&key.application_id)
    .bind(&key.name)
    .bind(key.environment)
    .bind(key.surface)
    .bind(key.scopes.to_text())
    .bind(sha256)
    .bind(&key.prefix)
    .bind(&key.last4)
    .bind(key.created_at)
    .run(tx)
    .await
    .map(drop)
}

pub(crate) async fn find_by_hash(session: &mut Session, sha256: Vec<u8>) -> Result<Option<ApiKey>, DbError> {
    sql(format!("SELECT {COLUMNS} FROM api_keys WHERE sha256 = $1")).bind(sha256).optional(session).await
}

pub(crate) async fn find(session: &mut Session, application_id: &str, id: &str) -> Result<Option<ApiKey>, DbError> {
    sql(format!("SELECT {COLUMNS} FROM api_keys WHERE application_id = $1 AND id = $2"))
        .bind(application_id)
        .bind(id)
        .optional(session)
        .await
}

/// Whether the account has this key and it is not revoked.
pub(crate) async fn stands(session: &mut Session, account_id: &str, id: &str) -> Result<bool, DbError> {
    let found = sql("SELECT 1 FROM api_keys WHERE id = $1 AND account_id = $2 AND revoked_at IS NULL");
    Ok(found.bind(id).bind(account_id).optional::<(i32,)>(session).await?.is_some())
}

pub(crate) async fn page(
    session: &mut Session,
    application_id: &str,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<ApiKey>, DbError> {
    sql(format!("SELECT {COLUMNS} FROM api_keys WHERE application_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3"))
        .bind(application_id)
        .bind(after.unwrap_or(super::AFTER_ALL))
        .bind(limit)
        .all(session)
        .await
}

pub(crate) async fn revoke(tx: &mut Session, id: &str, at: Moment) -> Result<(), DbError> {
    sql("UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL")
        .bind(id)
        .bind(at)
        .run(tx)
        .await
        .map(drop)
}

pub(crate) async fn touch(tx: &mut Session, id: &str, at: Moment) -> Result<(), DbError> {
    sql("UPDATE api_keys SET last_used_at = $2 WHERE id = $1").bind(id).bind(at).run(tx).await.map(drop)
}
