//! Leases: one statement each, so that whoever comes at the same moment sees the other.

use std::time::Duration;

use super::{PostgresStore, Task};
use crate::{Lease, StoreError};

/// Takes what is free, has run out, or makes no sense: a row without token or end, or one that ends in more than an
/// hour, which none of ours does.
const TAKE: &str = "INSERT INTO namegate_edge.leases AS standing (name, token, holder, expires)
    VALUES ($1, nextval('namegate_edge.lease_tokens'), $2, clock_timestamp() + $3 * interval '1 millisecond')
    ON CONFLICT (name) DO UPDATE
        SET token = EXCLUDED.token, holder = EXCLUDED.holder, expires = EXCLUDED.expires
        WHERE standing.token IS NULL OR standing.holder IS NULL OR standing.expires IS NULL
            OR standing.expires <= clock_timestamp()
            OR standing.expires > clock_timestamp() + interval '1 hour'
    RETURNING token";
const KEEP: &str = "UPDATE namegate_edge.leases SET expires = clock_timestamp() + $3 * interval '1 millisecond'
    WHERE name = $1 AND token = $2";
/// Whoever waits is told.
const RELEASE: &str =
    "WITH released AS (DELETE FROM namegate_edge.leases WHERE name = $1 AND token = $2 RETURNING name)
    SELECT pg_notify('namegate_edge', name) FROM released";

impl PostgresStore {
    pub(super) async fn take_lease(&self, name: &str, life: Duration) -> Result<Option<Lease>, StoreError> {
        let take = sqlx::query_scalar(TAKE).bind(name).bind(&self.edge).bind(millis(life));
        let token: Option<i64> = self.run(task("lease", name), take.fetch_optional(&self.pool)).await?;
        Ok(token.map(|token| Lease { name: name.to_owned(), token }))
    }

    pub(super) async fn keep_lease(&self, lease: &Lease, life: Duration) -> Result<bool, StoreError> {
        let keep = sqlx::query(KEEP).bind(&lease.name).bind(lease.token).bind(millis(life));
        let kept = self.run(task("keep_lease", &lease.name), keep.execute(&self.pool)).await?;
        Ok(kept.rows_affected() == 1)
    }

    pub(super) async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        let release = sqlx::query(RELEASE).bind(&lease.name).bind(lease.token);
        self.run(task("release_lease", &lease.name), release.execute(&self.pool)).await.map(|_| ())
    }
}

fn task<'a>(op: &'static str, entry: &'a str) -> Task<'a> {
    Task { op, action: "write", entry }
}

fn millis(life: Duration) -> i64 {
    i64::try_from(life.as_millis()).unwrap_or(i64::MAX)
}
