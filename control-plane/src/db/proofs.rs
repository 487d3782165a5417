//! Table `proofs`.

use sqlx::FromRow;

use super::{DbError, Rows, Session, sql};
use crate::core::{Moment, Proof, ProofKind};

/// A row with the claim that it belongs to.
#[derive(Debug, FromRow)]
pub(crate) struct Of<T> {
    pub(crate) claim_id: String,
    #[sqlx(flatten)]
    pub(crate) row: T,
}

/// The challenge of whoever holds a name now.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct HolderRow {
    pub(crate) hostname: String,
    pub(crate) claim_id: String,
    pub(crate) name: String,
    pub(crate) expected: String,
}

pub(crate) async fn insert(tx: &mut Session, claim_id: &str, proof: &Proof) -> Result<(), DbError> {
    sql("INSERT INTO proofs (claim_id, kind, name, expected) VALUES ($1, $2, $3, $4)")
        .bind(claim_id)
        .bind(proof.kind)
        .bind(&proof.name)
        .bind(&proof.expected)
        .run(tx)
        .await
        .map(drop)
}

pub(crate) async fn of_claim(session: &mut Session, claim_id: &str) -> Result<Vec<Proof>, DbError> {
    sql("SELECT kind, name, expected, observed, first_ok_at, last_ok_at FROM proofs WHERE claim_id = $1")
        .bind(claim_id)
        .all(session)
        .await
}

/// Those of many claims.
pub(crate) async fn of_claims(session: &mut Session, ids: Rows) -> Result<Vec<Of<Proof>>, DbError> {
    let wanted = session.rows("$1");
    sql(format!(
        "SELECT claim_id, kind, name, expected, observed, first_ok_at, last_ok_at
         FROM {wanted} JOIN proofs ON claim_id = value ->> 0"
    ))
    .bind(ids)
    .all(session)
    .await
}

/// The challenges of those who hold these hostnames.
pub(crate) async fn of_holders(session: &mut Session, hostnames: Rows) -> Result<Vec<HolderRow>, DbError> {
    let wanted = session.rows("$1");
    sql(format!(
        "SELECT hostname, claim_id, proofs.name, expected
         FROM {wanted} JOIN claims ON hostname = value ->> 0 JOIN proofs ON claim_id = claims.id
         WHERE proofs.kind = 'txt' AND {}",
        super::claims::HELD
    ))
    .bind(hostnames)
    .all(session)
    .await
}

pub(crate) async fn confirm(tx: &mut Session, claim_id: &str, kind: ProofKind, at: Moment) -> Result<(), DbError> {
    sql("UPDATE proofs SET observed = expected, first_ok_at = COALESCE(first_ok_at, $3), last_ok_at = $3
         WHERE claim_id = $1 AND kind = $2")
    .bind(claim_id)
    .bind(kind)
    .bind(at)
    .run(tx)
    .await
    .map(drop)
}

pub(crate) async fn observe(tx: &mut Session, claim_id: &str, kind: ProofKind, seen: &str) -> Result<(), DbError> {
    sql("UPDATE proofs SET observed = $3 WHERE claim_id = $1 AND kind = $2")
        .bind(claim_id)
        .bind(kind)
        .bind(seen)
        .run(tx)
        .await
        .map(drop)
}
