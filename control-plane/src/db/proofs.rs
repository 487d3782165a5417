//! Table `proofs`.

use super::{DbError, Session, sql};
use crate::core::{Moment, Proof, ProofKind};

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
