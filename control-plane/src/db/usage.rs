//! Tables `usage_counters` and `account_limits`.

use super::{DbError, Session, sql};
use crate::core::{Usage, UsageKind};

/// Takes one, unless `limit` are taken already. One statement: takers wait for each other at the row.
pub(crate) async fn take(
    tx: &mut Session,
    account_id: &str,
    kind: UsageKind,
    period: &str,
    limit: i64,
) -> Result<bool, DbError> {
    if limit < 1 {
        return Ok(false);
    }
    sql("INSERT INTO usage_counters (account_id, kind, period, used) VALUES ($1, $2, $3, 1)
         ON CONFLICT (account_id, kind, period) DO UPDATE SET used = usage_counters.used + 1
         WHERE usage_counters.used < $4")
    .bind(account_id)
    .bind(kind)
    .bind(period)
    .bind(limit)
    .run(tx)
    .await
    .map(|rows| rows == 1)
}

/// Adds to what has no limit.
pub(crate) async fn add(
    tx: &mut Session,
    account_id: &str,
    kind: UsageKind,
    period: &str,
    count: i64,
) -> Result<(), DbError> {
    sql("INSERT INTO usage_counters (account_id, kind, period, used) VALUES ($1, $2, $3, $4)
         ON CONFLICT (account_id, kind, period) DO UPDATE SET used = usage_counters.used + excluded.used")
    .bind(account_id)
    .bind(kind)
    .bind(period)
    .bind(count)
    .run(tx)
    .await
    .map(drop)
}

/// The account's own limit: outer `None` when it has none of its own, inner `None` when it is without limit.
pub(crate) async fn limit(
    session: &mut Session,
    account_id: &str,
    kind: UsageKind,
) -> Result<Option<Option<i64>>, DbError> {
    let row =
        sql("SELECT max_value FROM account_limits WHERE account_id = $1 AND kind = $2").bind(account_id).bind(kind);
    Ok(row.optional::<(Option<i64>,)>(session).await?.map(|(value,)| value))
}

pub(crate) async fn set_limit(
    tx: &mut Session,
    account_id: &str,
    kind: UsageKind,
    limit: Option<i64>,
) -> Result<(), DbError> {
    sql("INSERT INTO account_limits (account_id, kind, max_value) VALUES ($1, $2, $3)
         ON CONFLICT (account_id, kind) DO UPDATE SET max_value = excluded.max_value")
    .bind(account_id)
    .bind(kind)
    .bind(limit)
    .run(tx)
    .await
    .map(drop)
}

pub(crate) async fn of_period(session: &mut Session, account_id: &str, period: &str) -> Result<Vec<Usage>, DbError> {
    sql("SELECT kind, period, used FROM usage_counters WHERE account_id = $1 AND period = $2 ORDER BY kind")
        .bind(account_id)
        .bind(period)
        .all(session)
        .await
}
