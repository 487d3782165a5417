//! Table `attempts`.

use serde_json::Value;
use sqlx::FromRow;

use super::{DbError, Session, sql};
use crate::core::{Document, Moment};

/// Something that was tried for a claim.
#[derive(Debug, Clone, FromRow)]
pub struct Attempt {
    /// Its number.
    pub n: i64,
    /// When.
    pub at: Moment,
    /// `ownership`, `routing`, `certificate`.
    pub kind: String,
    /// `ok`, `waiting`, `failed`.
    pub outcome: String,
    /// Why.
    pub reason_code: Option<String>,
    /// More about it: the reason, or the edge's report with the authority's problem document.
    pub detail: Option<Document<Value>>,
}

/// Adds one (its number is given here) and forgets the oldest beyond `keep`.
pub(crate) async fn insert(tx: &mut Session, claim_id: &str, attempt: &Attempt, keep: i64) -> Result<(), DbError> {
    let n = sql("SELECT COALESCE(MAX(n), 0) + 1 FROM attempts WHERE claim_id = $1").bind(claim_id).number(tx).await?;
    let n = n.unwrap_or(1);
    sql("INSERT INTO attempts (claim_id, n, at, kind, outcome, reason_code, detail) VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(claim_id)
        .bind(n)
        .bind(attempt.at)
        .bind(&attempt.kind)
        .bind(&attempt.outcome)
        .bind(attempt.reason_code.clone())
        .bind(attempt.detail.as_ref().map(Document::to_text))
        .run(tx)
        .await?;
    sql("DELETE FROM attempts WHERE claim_id = $1 AND n <= $2").bind(claim_id).bind(n - keep).run(tx).await.map(drop)
}

pub(crate) async fn of_claim(session: &mut Session, claim_id: &str) -> Result<Vec<Attempt>, DbError> {
    sql("SELECT n, at, kind, outcome, reason_code, detail FROM attempts WHERE claim_id = $1 ORDER BY n DESC")
        .bind(claim_id)
        .all(session)
        .await
}
