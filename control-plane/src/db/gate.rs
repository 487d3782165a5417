//! Table `gate` and its counters.

use names::Hostname;
use sqlx::PgConnection;

use super::{DbError, Session, sql};
use crate::core::{Allowed, GateRow, Moment};

/// The newest number of the feed.
pub(crate) const HEAD: &str = "gate";
/// Changes up to this number may be gone.
pub(crate) const FLOOR: &str = "gate_floor";

/// The next number. The counter's row is held until the commit, so that numbers are seen in their order.
pub(crate) async fn next_seq(tx: &mut Session) -> Result<i64, DbError> {
    let next = sql("UPDATE counters SET value = value + 1 WHERE name = 'gate' RETURNING value");
    next.one::<(i64,)>(tx).await.map(|(seq,)| seq)
}

pub(crate) async fn counter(session: &mut Session, name: &str) -> Result<i64, DbError> {
    Ok(sql("SELECT value FROM counters WHERE name = $1").bind(name).number(session).await?.unwrap_or(0))
}

pub(crate) async fn put(tx: &mut Session, row: &GateRow) -> Result<(), DbError> {
    sql("INSERT INTO gate (hostname, seq, is_open, is_pointing, generation, connection_id, origin, keep_host, redirect,
         tenant, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (hostname) DO UPDATE SET seq = excluded.seq, is_open = excluded.is_open,
         is_pointing = excluded.is_pointing, generation = excluded.generation,
         connection_id = excluded.connection_id, origin = excluded.origin, keep_host = excluded.keep_host,
         redirect = excluded.redirect, tenant = excluded.tenant,
         changed_at = excluded.changed_at")
    .bind(&row.hostname)
    .bind(row.seq)
    .bind(row.is_open.0)
    .bind(row.is_pointing.0)
    .bind(row.generation)
    .bind(&row.connection_id)
    .bind(row.origin.clone())
    .bind(row.keep_host.0)
    .bind(row.redirect.clone())
    .bind(row.tenant.clone())
    .bind(row.changed_at)
    .run(tx)
    .await
    .map(drop)
}

/// Closes the gate if it is this connection's: another one may have taken the name over.
pub(crate) async fn close(
    tx: &mut Session,
    hostname: &Hostname,
    connection_id: &str,
    generation: i64,
    seq: i64,
    at: Moment,
) -> Result<(), DbError> {
    sql("UPDATE gate SET is_open = 0, is_pointing = 0, origin = NULL, redirect = NULL, generation = $3, seq = $4,
         changed_at = $5 WHERE hostname = $1 AND connection_id = $2")
    .bind(hostname)
    .bind(connection_id)
    .bind(generation)
    .bind(seq)
    .bind(at)
    .run(tx)
    .await
    .map(drop)
}

/// The ask: what the primary key covers and no more. SQLite's table is its own index.
pub(crate) async fn ask(session: &mut Session, hostname: &Hostname) -> Result<Option<Allowed>, DbError> {
    sql("SELECT hostname, generation, connection_id, origin, keep_host, redirect, tenant FROM gate
         WHERE hostname = $1 AND is_open = 1")
    .bind(hostname)
    .optional(session)
    .await
}

/// The same about many names at once, on a connection that does nothing else.
pub(crate) async fn ask_many(on: &mut PgConnection, names: &[&str]) -> Result<Vec<Allowed>, DbError> {
    let text = "SELECT hostname, generation, connection_id, origin, keep_host, redirect, tenant FROM gate
                WHERE hostname = ANY($1) AND is_open = 1";
    Ok(sqlx::query_as(text).bind(names).fetch_all(on).await?)
}

/// A whole row.
pub(crate) async fn find(session: &mut Session, hostname: &Hostname) -> Result<Option<GateRow>, DbError> {
    sql("SELECT * FROM gate WHERE hostname = $1").bind(hostname).optional(session).await
}

pub(crate) async fn changes(session: &mut Session, after: i64, limit: i64) -> Result<Vec<GateRow>, DbError> {
    sql("SELECT * FROM gate WHERE seq > $1 ORDER BY seq LIMIT $2").bind(after).bind(limit).all(session).await
}

pub(crate) async fn open_page(session: &mut Session, after: &str, limit: i64) -> Result<Vec<GateRow>, DbError> {
    sql("SELECT * FROM gate WHERE hostname > $1 AND is_open = 1 ORDER BY hostname LIMIT $2")
        .bind(after)
        .bind(limit)
        .all(session)
        .await
}

pub(crate) async fn count_open(session: &mut Session) -> Result<i64, DbError> {
    Ok(sql("SELECT COUNT(*) FROM gate WHERE is_open = 1").number(session).await?.unwrap_or(0))
}

/// Forgets tombstones that are older; the floor rises to the newest of them.
pub(crate) async fn bury(tx: &mut Session, before: Moment) -> Result<(), DbError> {
    let newest = sql("SELECT COALESCE(MAX(seq), 0) FROM gate WHERE is_open = 0 AND changed_at < $1").bind(before);
    let newest = newest.number(tx).await?.unwrap_or(0);
    if newest == 0 {
        return Ok(());
    }
    sql("UPDATE counters SET value = $1 WHERE name = 'gate_floor' AND value < $1").bind(newest).run(tx).await?;
    sql("DELETE FROM gate WHERE is_open = 0 AND seq <= $1").bind(newest).run(tx).await.map(drop)
}
