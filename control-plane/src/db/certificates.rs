//! Tables `certificates` and `certificate_reports`.

use names::Hostname;

use super::{DbError, Session, sql};
use crate::core::{Certificate, Moment};

pub(crate) async fn of_claim(
    session: &mut Session,
    hostname: &Hostname,
    claim_id: &str,
) -> Result<Option<Certificate>, DbError> {
    sql("SELECT status, not_before, not_after, ca, serial, problem, next_attempt_at, updated_at FROM certificates
         WHERE hostname = $1 AND claim_id = $2")
    .bind(hostname)
    .bind(claim_id)
    .optional(session)
    .await
}

pub(crate) async fn put(
    tx: &mut Session,
    hostname: &Hostname,
    claim_id: &str,
    certificate: &Certificate,
) -> Result<(), DbError> {
    sql("INSERT INTO certificates (hostname, claim_id, status, not_before, not_after, ca, serial, problem,
         next_attempt_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (hostname) DO UPDATE SET claim_id = excluded.claim_id, status = excluded.status,
         not_before = excluded.not_before, not_after = excluded.not_after, ca = excluded.ca,
         serial = excluded.serial, problem = excluded.problem, next_attempt_at = excluded.next_attempt_at,
         updated_at = excluded.updated_at")
    .bind(hostname)
    .bind(claim_id)
    .bind(certificate.status)
    .bind(certificate.not_before)
    .bind(certificate.not_after)
    .bind(certificate.ca.clone())
    .bind(certificate.serial.clone())
    .bind(certificate.problem.as_ref().map(crate::core::Document::to_text))
    .bind(certificate.next_attempt_at)
    .bind(certificate.updated_at)
    .run(tx)
    .await
    .map(drop)
}

pub(crate) async fn delete(tx: &mut Session, hostname: &Hostname, claim_id: &str) -> Result<(), DbError> {
    sql("DELETE FROM certificates WHERE hostname = $1 AND claim_id = $2")
        .bind(hostname)
        .bind(claim_id)
        .run(tx)
        .await
        .map(drop)
}

/// Whether a report is seen for the first time; it is noted as seen.
pub(crate) async fn first_sight(tx: &mut Session, id: &str, at: Moment) -> Result<bool, DbError> {
    let insert = sql("INSERT INTO certificate_reports (id, at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING");
    insert.bind(id).bind(at).run(tx).await.map(|rows| rows == 1)
}

pub(crate) async fn forget_reports(tx: &mut Session, before: Moment) -> Result<(), DbError> {
    sql("DELETE FROM certificate_reports WHERE at < $1").bind(before).run(tx).await.map(drop)
}

/// Claims whose certificate has ended.
pub(crate) async fn ended(session: &mut Session, now: Moment, limit: i64) -> Result<Vec<String>, DbError> {
    let ended = sql("SELECT claim_id FROM certificates WHERE status = 'valid' AND not_after < $1 LIMIT $2");
    let ids = ended.bind(now).bind(limit).all::<(String,)>(session).await?;
    Ok(ids.into_iter().map(|(id,)| id).collect())
}

pub(crate) async fn expire(tx: &mut Session, hostname: &Hostname, claim_id: &str, now: Moment) -> Result<(), DbError> {
    sql("UPDATE certificates SET status = 'expired', updated_at = $3 WHERE hostname = $1 AND claim_id = $2")
        .bind(hostname)
        .bind(claim_id)
        .bind(now)
        .run(tx)
        .await
        .map(drop)
}
