//! Table `webhook_endpoints`.

use super::{DbError, Session, sql};
use crate::core::{Environment, Moment, WebhookEndpoint};

pub(crate) async fn insert(tx: &mut Session, endpoint: &WebhookEndpoint) -> Result<(), DbError> {
    sql("INSERT INTO webhook_endpoints (id, account_id, environment, dialect, url, events, sealed_secret, enabled,
         created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
    .bind(&endpoint.id)
    .bind(&endpoint.account_id)
    .bind(endpoint.environment)
    .bind(endpoint.dialect)
    .bind(&endpoint.url)
    .bind(endpoint.events.to_text())
    .bind(endpoint.sealed_secret.clone())
    .bind(endpoint.enabled.0)
    .bind(endpoint.created_at)
    .run(tx)
    .await
    .map(drop)
}

pub(crate) async fn find(session: &mut Session, id: &str) -> Result<Option<WebhookEndpoint>, DbError> {
    sql("SELECT * FROM webhook_endpoints WHERE id = $1 AND deleted_at IS NULL").bind(id).optional(session).await
}

pub(crate) async fn listening(
    session: &mut Session,
    account_id: &str,
    environment: Environment,
) -> Result<Vec<WebhookEndpoint>, DbError> {
    sql("SELECT * FROM webhook_endpoints WHERE account_id = $1 AND environment = $2 AND enabled = 1
         AND deleted_at IS NULL")
    .bind(account_id)
    .bind(environment)
    .all(session)
    .await
}

pub(crate) async fn page(
    session: &mut Session,
    account_id: &str,
    environment: Environment,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<WebhookEndpoint>, DbError> {
    sql("SELECT * FROM webhook_endpoints WHERE account_id = $1 AND environment = $2 AND id < $3
         AND deleted_at IS NULL ORDER BY id DESC LIMIT $4")
    .bind(account_id)
    .bind(environment)
    .bind(after.unwrap_or(super::AFTER_ALL))
    .bind(limit)
    .all(session)
    .await
}

pub(crate) async fn delete(tx: &mut Session, id: &str, at: Moment) -> Result<(), DbError> {
    sql("UPDATE webhook_endpoints SET deleted_at = $2, enabled = 0 WHERE id = $1")
        .bind(id)
        .bind(at)
        .run(tx)
        .await
        .map(drop)
}

pub(crate) async fn disable(tx: &mut Session, id: &str) -> Result<(), DbError> {
    sql("UPDATE webhook_endpoints SET enabled = 0 WHERE id = $1").bind(id).run(tx).await.map(drop)
}

pub(crate) async fn set_failing_since(tx: &mut Session, id: &str, since: Option<Moment>) -> Result<(), DbError> {
    sql("UPDATE webhook_endpoints SET failing_since = $2 WHERE id = $1").bind(id).bind(since).run(tx).await.map(drop)
}
