//! Table `records`.

use super::{DbError, Rows, Session, proofs::Of, sql};
use crate::core::{DesiredRecord, Moment, Record};

pub(crate) async fn insert_all(tx: &mut Session, claim_id: &str, records: &[DesiredRecord]) -> Result<(), DbError> {
    for (position, record) in (0_i64..).zip(records) {
        sql("INSERT INTO records (claim_id, position, host, type, value, ttl, priority)
             VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(claim_id)
        .bind(position)
        .bind(&record.host)
        .bind(&record.record_type)
        .bind(&record.value)
        .bind(record.ttl)
        .bind(record.priority)
        .run(tx)
        .await?;
    }
    Ok(())
}

pub(crate) async fn of_claim(session: &mut Session, claim_id: &str) -> Result<Vec<Record>, DbError> {
    sql("SELECT position, host, type, value, ttl, priority, propagated, observed_value, observed_at FROM records
         WHERE claim_id = $1 ORDER BY position")
    .bind(claim_id)
    .all(session)
    .await
}

/// Those of many claims.
pub(crate) async fn of_claims(session: &mut Session, ids: Rows) -> Result<Vec<Of<Record>>, DbError> {
    let wanted = session.rows("$1");
    sql(format!(
        "SELECT claim_id, position, host, type, records.value, ttl, priority, propagated, observed_value, observed_at
         FROM (SELECT value ->> 0 AS id FROM {wanted}) AS wanted JOIN records ON claim_id = wanted.id
         ORDER BY claim_id, position"
    ))
    .bind(ids)
    .all(session)
    .await
}

pub(crate) async fn observe(
    tx: &mut Session,
    claim_id: &str,
    position: i64,
    propagated: bool,
    observed: Option<&str>,
    at: Moment,
) -> Result<(), DbError> {
    sql("UPDATE records SET propagated = $3, observed_value = $4, observed_at = $5
         WHERE claim_id = $1 AND position = $2")
    .bind(claim_id)
    .bind(position)
    .bind(propagated)
    .bind(observed)
    .bind(at)
    .run(tx)
    .await
    .map(drop)
}
