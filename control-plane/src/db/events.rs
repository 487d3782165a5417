//! Table `events`.

use super::{DbError, Session, sql};
use crate::core::{Environment, Event};

pub(crate) async fn insert(tx: &mut Session, event: &Event) -> Result<(), DbError> {
    sql("INSERT INTO events (id, account_id, seq, hostname, hostname_seq, claim_id, application_id, environment, kind,
         data, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
    .bind(&event.id)
    .bind(&event.account_id)
    .bind(event.seq)
    .bind(event.hostname.clone())
    .bind(event.hostname_seq)
    .bind(event.claim_id.clone())
    .bind(event.application_id.clone())
    .bind(event.environment)
    .bind(event.kind)
    .bind(event.data.to_text())
    .bind(event.created_at)
    .run(tx)
    .await
    .map(drop)
}

pub(crate) async fn find(session: &mut Session, id: &str) -> Result<Option<Event>, DbError> {
    sql("SELECT * FROM events WHERE id = $1").bind(id).optional(session).await
}

pub(crate) async fn page(
    session: &mut Session,
    account_id: &str,
    environment: Environment,
    after: i64,
    limit: i64,
) -> Result<Vec<Event>, DbError> {
    sql("SELECT * FROM events WHERE account_id = $1 AND seq > $3 AND environment = $2 ORDER BY seq LIMIT $4")
        .bind(account_id)
        .bind(environment)
        .bind(after)
        .bind(limit)
        .all(session)
        .await
}
