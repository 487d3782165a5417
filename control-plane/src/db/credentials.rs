//! Table `dns_credentials`.

use super::{DbError, Session, sql};
use crate::core::Credential;

pub(crate) async fn insert(tx: &mut Session, credential: &Credential) -> Result<(), DbError> {
    sql("INSERT INTO dns_credentials (id, account_id, application_id, environment, provider, zone_id, sealed_token,
         created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
    .bind(&credential.id)
    .bind(&credential.account_id)
    .bind(&credential.application_id)
    .bind(credential.environment)
    .bind(&credential.provider)
    .bind(credential.zone_id.clone())
    .bind(credential.sealed_token.clone())
    .bind(credential.created_at)
    .run(tx)
    .await
    .map(drop)
}

pub(crate) async fn find(session: &mut Session, application_id: &str, id: &str) -> Result<Option<Credential>, DbError> {
    sql("SELECT * FROM dns_credentials WHERE application_id = $1 AND id = $2")
        .bind(application_id)
        .bind(id)
        .optional(session)
        .await
}

pub(crate) async fn page(
    session: &mut Session,
    application_id: &str,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Credential>, DbError> {
    sql("SELECT * FROM dns_credentials WHERE application_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3")
        .bind(application_id)
        .bind(after.unwrap_or(super::AFTER_ALL))
        .bind(limit)
        .all(session)
        .await
}

pub(crate) async fn count(session: &mut Session, application_id: &str) -> Result<i64, DbError> {
    sql("SELECT COUNT(*) FROM dns_credentials WHERE application_id = $1")
        .bind(application_id)
        .number(session)
        .await
        .map(Option::unwrap_or_default)
}

/// Nothing of a credential stays when its owner takes it away.
pub(crate) async fn delete(tx: &mut Session, id: &str) -> Result<(), DbError> {
    sql("DELETE FROM dns_credentials WHERE id = $1").bind(id).run(tx).await.map(drop)
}
