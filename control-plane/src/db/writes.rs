//! Tables `dns_writes`, `dns_written` and `zone_turns`.

use super::{DbError, Session, sql};
use crate::core::{Claim, Moment, WriteRow, WrittenRecord};

/// The claims whose records are this claim's to answer for: itself, and those of its account and name that were deleted.
const OWN: &str = "claim_id IN (SELECT id FROM claims WHERE id = $1
    OR (account_id = $2 AND hostname = $3 AND lifecycle <> 'active'))";

pub(crate) async fn find(session: &mut Session, claim_id: &str) -> Result<Option<WriteRow>, DbError> {
    sql("SELECT confirm, credential_id, provider, zone, undo FROM dns_writes WHERE claim_id = $1")
        .bind(claim_id)
        .optional(session)
        .await
}

/// Notes what its caller agreed to.
pub(crate) async fn confirm(tx: &mut Session, claim_id: &str, mark: Option<&str>, now: Moment) -> Result<(), DbError> {
    sql("INSERT INTO dns_writes (claim_id, confirm, updated_at) VALUES ($1, $2, $3)
         ON CONFLICT (claim_id) DO UPDATE SET confirm = excluded.confirm, updated_at = excluded.updated_at")
    .bind(claim_id)
    .bind(mark)
    .bind(now)
    .run(tx)
    .await
    .map(drop)
}

/// Notes where it is written, and what takes it back unless an earlier run has said that.
pub(crate) async fn begin(tx: &mut Session, claim_id: &str, row: &WriteRow, now: Moment) -> Result<(), DbError> {
    sql("INSERT INTO dns_writes (claim_id, credential_id, provider, zone, undo, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (claim_id) DO UPDATE SET credential_id = excluded.credential_id, provider = excluded.provider,
             zone = excluded.zone, undo = COALESCE(dns_writes.undo, excluded.undo), updated_at = excluded.updated_at")
    .bind(claim_id)
    .bind(row.credential_id.clone())
    .bind(row.provider.clone())
    .bind(row.zone.clone())
    .bind(row.undo.clone())
    .bind(now)
    .run(tx)
    .await
    .map(drop)
}

/// Nothing is half done any more.
pub(crate) async fn end(tx: &mut Session, claim_id: &str, now: Moment) -> Result<(), DbError> {
    sql("UPDATE dns_writes SET undo = NULL, confirm = NULL, updated_at = $2 WHERE claim_id = $1")
        .bind(claim_id)
        .bind(now)
        .run(tx)
        .await
        .map(drop)
}

pub(crate) async fn intend(tx: &mut Session, claim_id: &str, record: &WrittenRecord) -> Result<(), DbError> {
    sql("INSERT INTO dns_written (claim_id, name, type, value, is_there) VALUES ($1, $2, $3, $4, 0)
         ON CONFLICT (claim_id, name, type, value) DO NOTHING")
    .bind(claim_id)
    .bind(&record.name)
    .bind(&record.record_type)
    .bind(&record.value)
    .run(tx)
    .await
    .map(drop)
}

/// What of ours may be in the zone of a claim.
pub(crate) async fn ledger(session: &mut Session, claim: &Claim) -> Result<Vec<WrittenRecord>, DbError> {
    sql(format!("SELECT DISTINCT name, type, value FROM dns_written WHERE {OWN} ORDER BY name, type, value"))
        .bind(&claim.id)
        .bind(&claim.account_id)
        .bind(&claim.hostname)
        .all(session)
        .await
}

/// Of the records of a claim's ledger these are there, and no others.
pub(crate) async fn settle(tx: &mut Session, claim: &Claim, there: &[WrittenRecord]) -> Result<(), DbError> {
    let known = ledger(tx, claim).await?;
    let of_claim = |text: String| sql(text).bind(&claim.id).bind(&claim.account_id).bind(&claim.hostname);
    of_claim(format!("DELETE FROM dns_written WHERE {OWN}")).run(tx).await?;
    for record in known.iter().filter(|record| there.contains(record)) {
        sql("INSERT INTO dns_written (claim_id, name, type, value, is_there) VALUES ($1, $2, $3, $4, 1)")
            .bind(&claim.id)
            .bind(&record.name)
            .bind(&record.record_type)
            .bind(&record.value)
            .run(tx)
            .await?;
    }
    Ok(())
}

pub(crate) async fn take_turn(
    tx: &mut Session,
    zone: &str,
    holder: &str,
    now: Moment,
    until: Moment,
) -> Result<bool, DbError> {
    let taken = sql("INSERT INTO zone_turns (zone, holder, ends_at) VALUES ($1, $2, $3)
         ON CONFLICT (zone) DO UPDATE SET holder = excluded.holder, ends_at = excluded.ends_at
         WHERE zone_turns.ends_at <= $4 OR zone_turns.holder = excluded.holder");
    Ok(taken.bind(zone).bind(holder).bind(until).bind(now).run(tx).await? > 0)
}

pub(crate) async fn give_turn(tx: &mut Session, zone: &str, holder: &str) -> Result<(), DbError> {
    sql("DELETE FROM zone_turns WHERE zone = $1 AND holder = $2").bind(zone).bind(holder).run(tx).await.map(drop)
}
