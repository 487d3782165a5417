//! Tables `deliveries` and `delivery_attempts`.

use super::{DbError, Session, sql};
use crate::core::{Delivery, DeliveryAttempt, DeliveryStatus, DueEndpoint, Environment, Moment};

pub(crate) async fn insert(tx: &mut Session, delivery: &Delivery) -> Result<(), DbError> {
    sql("INSERT INTO deliveries (id, account_id, environment, endpoint_id, event_id, hostname, hostname_seq, replay_of,
         status, attempts, next_retry_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
    .bind(&delivery.id)
    .bind(&delivery.account_id)
    .bind(delivery.environment)
    .bind(&delivery.endpoint_id)
    .bind(&delivery.event_id)
    .bind(delivery.hostname.clone())
    .bind(delivery.hostname_seq)
    .bind(delivery.replay_of.clone())
    .bind(delivery.status)
    .bind(delivery.attempts)
    .bind(delivery.next_retry_at)
    .bind(delivery.created_at)
    .run(tx)
    .await
    .map(drop)
}

/// Whether a delivery of the name to the endpoint is not finished.
pub(crate) async fn is_awaited(tx: &mut Session, endpoint_id: &str, hostname: &str) -> Result<bool, DbError> {
    let found =
        sql("SELECT hostname_seq FROM deliveries WHERE endpoint_id = $1 AND hostname = $2 AND status = 'pending'
         AND replay_of IS NULL LIMIT 1");
    Ok(found.bind(endpoint_id).bind(hostname).number(tx).await?.is_some())
}

/// Gives the next delivery of the name to the endpoint its time.
pub(crate) async fn wake_next(tx: &mut Session, endpoint_id: &str, hostname: &str, at: Moment) -> Result<(), DbError> {
    sql("UPDATE deliveries SET next_retry_at = $3 WHERE next_retry_at IS NULL AND id = (
         SELECT id FROM deliveries WHERE endpoint_id = $1 AND hostname = $2 AND status = 'pending'
         AND replay_of IS NULL ORDER BY hostname_seq LIMIT 1)")
    .bind(endpoint_id)
    .bind(hostname)
    .bind(at)
    .run(tx)
    .await
    .map(drop)
}

/// Endpoints that have deliveries with a time, those that fail last: theirs would be the oldest, always. Hops from endpoint to endpoint in the index: the cost is theirs, not that
/// of their deliveries.
pub(crate) async fn schedule(session: &mut Session, limit: i64) -> Result<Vec<DueEndpoint>, DbError> {
    sql("WITH RECURSIVE hop (id) AS (
             SELECT MIN(endpoint_id) FROM deliveries WHERE next_retry_at IS NOT NULL
             UNION ALL
             SELECT (SELECT MIN(d.endpoint_id) FROM deliveries d
                     WHERE d.next_retry_at IS NOT NULL AND d.endpoint_id > hop.id)
             FROM hop WHERE hop.id IS NOT NULL
         )
         SELECT hop.id AS endpoint_id,
             (SELECT MIN(d.next_retry_at) FROM deliveries d
              WHERE d.next_retry_at IS NOT NULL AND d.endpoint_id = hop.id) AS due_at,
             CAST(CASE WHEN e.failing_since IS NULL THEN 0 ELSE 1 END AS BIGINT) AS is_failing
         FROM hop JOIN webhook_endpoints e ON e.id = hop.id
         ORDER BY is_failing, due_at LIMIT $1")
    .bind(limit)
    .all(session)
    .await
}

/// Takes due deliveries to an endpoint.
pub(crate) async fn lease(
    tx: &mut Session,
    endpoint_id: &str,
    now: Moment,
    until: Moment,
    token: &str,
    limit: i64,
) -> Result<Vec<Delivery>, DbError> {
    let skip = if tx.is_postgres() { "FOR UPDATE SKIP LOCKED" } else { "" };
    let due = sql(format!(
        "SELECT * FROM deliveries WHERE endpoint_id = $1 AND next_retry_at <= $2 AND status = 'pending'
         ORDER BY next_retry_at, id LIMIT $3 {skip}"
    ));
    let leased = due.bind(endpoint_id).bind(now).bind(limit).all::<Delivery>(tx).await?;
    for delivery in &leased {
        sql("UPDATE deliveries SET next_retry_at = $2, lease_token = $3 WHERE id = $1")
            .bind(&delivery.id)
            .bind(until)
            .bind(token)
            .run(tx)
            .await?;
    }
    Ok(leased)
}

pub(crate) async fn settle(
    tx: &mut Session,
    id: &str,
    token: &str,
    status: DeliveryStatus,
    next_retry_at: Option<Moment>,
    finished_at: Option<Moment>,
) -> Result<u64, DbError> {
    sql("UPDATE deliveries SET status = $3, attempts = attempts + 1, next_retry_at = $4, finished_at = $5,
         lease_token = NULL WHERE id = $1 AND lease_token = $2 AND status = 'pending'")
    .bind(id)
    .bind(token)
    .bind(status)
    .bind(next_retry_at)
    .bind(finished_at)
    .run(tx)
    .await
}

pub(crate) async fn insert_attempt(
    tx: &mut Session,
    delivery_id: &str,
    attempt: &DeliveryAttempt,
) -> Result<(), DbError> {
    sql("INSERT INTO delivery_attempts (delivery_id, n, at, status_code, error, duration_ms, response)
         VALUES ($1, $2, $3, $4, $5, $6, $7)")
    .bind(delivery_id)
    .bind(attempt.n)
    .bind(attempt.at)
    .bind(attempt.status_code)
    .bind(attempt.error.clone())
    .bind(attempt.duration_ms)
    .bind(attempt.response.clone())
    .run(tx)
    .await
    .map(drop)
}

pub(crate) async fn attempts(session: &mut Session, delivery_id: &str) -> Result<Vec<DeliveryAttempt>, DbError> {
    sql("SELECT n, at, status_code, error, duration_ms, response FROM delivery_attempts WHERE delivery_id = $1 ORDER BY n")
        .bind(delivery_id)
        .all(session)
        .await
}

/// Ends what an endpoint was not told yet.
pub(crate) async fn give_up(tx: &mut Session, endpoint_id: &str, at: Moment) -> Result<(), DbError> {
    sql("UPDATE deliveries SET status = 'failed', next_retry_at = NULL, lease_token = NULL, finished_at = $2
         WHERE endpoint_id = $1 AND status = 'pending'")
    .bind(endpoint_id)
    .bind(at)
    .run(tx)
    .await
    .map(drop)
}

/// Throws away at most `limit` deliveries that were finished before `before`, with their attempts.
pub(crate) async fn forget(tx: &mut Session, before: Moment, limit: i64) -> Result<u64, DbError> {
    const OLD: &str = "SELECT id FROM deliveries WHERE finished_at < $1 ORDER BY finished_at, id LIMIT $2";
    let attempts = sql(format!("DELETE FROM delivery_attempts WHERE delivery_id IN ({OLD})"));
    attempts.bind(before).bind(limit).run(tx).await?;
    sql(format!("DELETE FROM deliveries WHERE id IN ({OLD})")).bind(before).bind(limit).run(tx).await
}

pub(crate) async fn find(session: &mut Session, id: &str) -> Result<Option<Delivery>, DbError> {
    sql("SELECT * FROM deliveries WHERE id = $1").bind(id).optional(session).await
}

pub(crate) async fn page(
    session: &mut Session,
    account_id: &str,
    environment: Environment,
    status: Option<DeliveryStatus>,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Delivery>, DbError> {
    let status = status.map(DeliveryStatus::as_str);
    sql("SELECT * FROM deliveries WHERE account_id = $1 AND environment = $2 AND id < $3
         AND ($4 IS NULL OR status = $4) ORDER BY id DESC LIMIT $5")
    .bind(account_id)
    .bind(environment)
    .bind(after.unwrap_or(super::AFTER_ALL))
    .bind(status)
    .bind(limit)
    .all(session)
    .await
}
