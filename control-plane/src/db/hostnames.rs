//! Table `hostnames`: the lock under which the claims of one name change, and the numbers that outlive them.

use names::Hostname;
use sqlx::FromRow;

use super::{DbError, Session, sql};
use crate::core::Moment;

/// What outlives a name's claims.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct HostnameRow {
    pub(crate) last_account_id: Option<String>,
    pub(crate) released_at: Option<Moment>,
}

/// Holds the name until the end of the transaction.
pub(crate) async fn lock(tx: &mut Session, hostname: &Hostname) -> Result<HostnameRow, DbError> {
    sql("INSERT INTO hostnames (hostname) VALUES ($1)
         ON CONFLICT (hostname) DO UPDATE SET hostname = excluded.hostname
         RETURNING last_account_id, released_at")
    .bind(hostname)
    .one(tx)
    .await
}

/// Holds a name that has a row already.
pub(crate) async fn hold(tx: &mut Session, hostname: &str) -> Result<(), DbError> {
    sql("UPDATE hostnames SET event_seq = event_seq WHERE hostname = $1").bind(hostname).run(tx).await.map(drop)
}

pub(crate) async fn next_generation(tx: &mut Session, hostname: &Hostname) -> Result<i64, DbError> {
    let next = sql("UPDATE hostnames SET generation = generation + 1 WHERE hostname = $1 RETURNING generation");
    next.bind(hostname).one::<(i64,)>(tx).await.map(|(number,)| number)
}

pub(crate) async fn next_event_seq(tx: &mut Session, hostname: &Hostname) -> Result<i64, DbError> {
    let next = sql("UPDATE hostnames SET event_seq = event_seq + 1 WHERE hostname = $1 RETURNING event_seq");
    next.bind(hostname).one::<(i64,)>(tx).await.map(|(number,)| number)
}

pub(crate) async fn release(
    tx: &mut Session,
    hostname: &Hostname,
    account_id: &str,
    at: Moment,
) -> Result<(), DbError> {
    sql("UPDATE hostnames SET last_account_id = $2, released_at = $3 WHERE hostname = $1")
        .bind(hostname)
        .bind(account_id)
        .bind(at)
        .run(tx)
        .await
        .map(drop)
}
