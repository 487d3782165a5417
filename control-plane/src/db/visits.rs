//! Table `domain_connect_visits`.

use sqlx::FromRow;

use super::{DbError, Session, sql};
use crate::core::Moment;

/// A customer who was sent to their DNS provider's page.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct VisitRow {
    pub(crate) claim_id: String,
    pub(crate) application_id: String,
    pub(crate) return_url: Option<String>,
    pub(crate) expires_at: Moment,
}

pub(crate) async fn insert(
    tx: &mut Session,
    state_hash: Vec<u8>,
    visit: &VisitRow,
    created_at: Moment,
) -> Result<(), DbError> {
    sql("INSERT INTO domain_connect_visits (state_hash, claim_id, application_id, return_url, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)")
    .bind(state_hash)
    .bind(&visit.claim_id)
    .bind(&visit.application_id)
    .bind(visit.return_url.clone())
    .bind(created_at)
    .bind(visit.expires_at)
    .run(tx)
    .await
    .map(drop)
}

/// Forgets the oldest of a claim beyond `keep`.
pub(crate) async fn trim(tx: &mut Session, claim_id: &str, keep: i64) -> Result<(), DbError> {
    sql("DELETE FROM domain_connect_visits WHERE claim_id = $1 AND state_hash NOT IN
         (SELECT state_hash FROM domain_connect_visits WHERE claim_id = $1 ORDER BY created_at DESC, state_hash LIMIT $2)")
    .bind(claim_id)
    .bind(keep)
    .run(tx)
    .await
    .map(drop)
}

pub(crate) async fn find(session: &mut Session, state_hash: Vec<u8>) -> Result<Option<VisitRow>, DbError> {
    sql("SELECT claim_id, application_id, return_url, expires_at FROM domain_connect_visits WHERE state_hash = $1")
        .bind(state_hash)
        .optional(session)
        .await
}

/// Whether it was there: whoever takes it first has it.
pub(crate) async fn take(tx: &mut Session, state_hash: Vec<u8>) -> Result<bool, DbError> {
    sql("DELETE FROM domain_connect_visits WHERE state_hash = $1").bind(state_hash).run(tx).await.map(|rows| rows == 1)
}

pub(crate) async fn forget(tx: &mut Session, now: Moment) -> Result<(), DbError> {
    sql("DELETE FROM domain_connect_visits WHERE expires_at < $1").bind(now).run(tx).await.map(drop)
}
