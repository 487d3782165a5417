//! Table `webhook_endpoints`.

use super::{DbError, Session, sql};
use crate::core::{DisableReason, Environment, Moment, WebhookEndpoint};

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

/// Writes what its owner may change, and what follows from that.
pub(crate) async fn update(tx: &mut Session, endpoint: &WebhookEndpoint) -> Result<(), DbError> {
    sql("UPDATE webhook_endpoints SET url = $2, events = $3, enabled = $4, disabled_reason = $5, failing_since = $6
         WHERE id = $1")
    .bind(&endpoint.id)
    .bind(&endpoint.url)
    .bind(endpoint.events.to_text())
    .bind(endpoint.enabled.0)
    .bind(endpoint.disabled_reason.map(DisableReason::as_str))
    .bind(endpoint.failing_since)
    .run(tx)
    .await
    .map(drop)
}

pub(crate) async fn set_secrets(tx: &mut Session, endpoint: &WebhookEndpoint) -> Result<(), DbError> {
    sql("UPDATE webhook_endpoints SET sealed_secret = $2, sealed_former = $3, former_until = $4 WHERE id = $1")
        .bind(&endpoint.id)
        .bind(endpoint.sealed_secret.clone())
        .bind(endpoint.sealed_former.clone().unwrap_or_default())
        .bind(endpoint.former_until)
        .run(tx)
        .await
        .map(drop)
}

/// Throws away former secrets whose time is over.
pub(crate) async fn forget_former(tx: &mut Session, now: Moment) -> Result<(), DbError> {
    sql("UPDATE webhook_endpoints SET sealed_former = NULL, former_until = NULL WHERE former_until <= $1")
        .bind(now)
        .run(tx)
        .await
        .map(drop)
}

pub(crate) async fn disable(tx: &mut Session, id: &str, reason: DisableReason) -> Result<(), DbError> {
    sql("UPDATE webhook_endpoints SET enabled = 0, disabled_reason = $2 WHERE id = $1")
        .bind(id)
        .bind(reason)
        .run(tx)
        .await
        .map(drop)
}

/// Something reached it. Usually it is not failing: then nothing is written, and nobody waits for its row.
pub(crate) async fn recovered(tx: &mut Session, id: &str) -> Result<Option<Moment>, DbError> {
    sql("UPDATE webhook_endpoints SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL")
        .bind(id)
        .run(tx)
        .await
        .map(|_| None)
}

/// Something did not reach it. Answers since when that is so.
pub(crate) async fn failed(tx: &mut Session, id: &str, at: Moment) -> Result<Option<Moment>, DbError> {
    sql("UPDATE webhook_endpoints SET failing_since = COALESCE(failing_since, $2) WHERE id = $1 RETURNING failing_since")
        .bind(id)
        .bind(at)
        .number(tx)
        .await
        .map(|since| since.map(Moment::from_millis))
}

pub(crate) async fn count(session: &mut Session, account_id: &str, environment: Environment) -> Result<i64, DbError> {
    sql("SELECT COUNT(*) FROM webhook_endpoints WHERE account_id = $1 AND environment = $2 AND deleted_at IS NULL")
        .bind(account_id)
        .bind(environment)
        .number(session)
        .await
        .map(Option::unwrap_or_default)
}
