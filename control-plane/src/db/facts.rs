//! Table `facts`.

use super::{DbError, Session, sql};

/// Which run of the gate's sequence this is.
pub(crate) const EPOCH: &str = "gate_epoch";
/// Until when, in seconds since the epoch, the operator means a snapshot that edges would refuse.
pub(crate) const CONFIRMED: &str = "snapshot_confirmed";

pub(crate) async fn number(session: &mut Session, name: &str) -> Result<Option<u64>, DbError> {
    let value = sql("SELECT value FROM facts WHERE name = $1").bind(name).optional::<(String,)>(session).await?;
    Ok(value.and_then(|(value,)| value.parse().ok()))
}

pub(crate) async fn set_if_missing(tx: &mut Session, name: &str, value: &str) -> Result<(), DbError> {
    let insert = sql("INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING");
    insert.bind(name).bind(value).run(tx).await.map(drop)
}

pub(crate) async fn set(tx: &mut Session, name: &str, value: &str) -> Result<(), DbError> {
    let insert =
        "INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    sql(insert).bind(name).bind(value).run(tx).await.map(drop)
}
