//! Idempotency keys: the same request twice is done once and answered twice.
//!
//! The answer is written in the transaction of the request itself, so there is no moment at which the one is true and
//! the other is not. Before that, a row in a transaction of its own says that the request is under way; if its process
//! dies, the row's lease ends and the request may be sent again.

use std::collections::HashSet;

use parking_lot::Mutex;
use sqlx::FromRow;

use super::{Core, CoreError, Moment};
use crate::db::{self, Session};

/// An answer that was given before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// Its HTTP status.
    pub status: u16,
    /// Its body.
    pub body: String,
}

/// What a key means for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is to be done.
    Fresh,
    /// It was done.
    Replay(Replay),
}

/// Requests of this process that ended without an answer and could not be forgotten: their client left, or the database
/// did. Their keys need not wait for the end of the lease.
#[derive(Debug, Default)]
pub(crate) struct Orphans(Mutex<HashSet<(String, String)>>);

/// Beyond that many, leases are waited for.
const MOST_ORPHANS: usize = 10_000;

/// A row of the table.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct IdempotencyRow {
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) status: Option<i64>,
    pub(crate) body: Option<String>,
    pub(crate) lease_until: Moment,
    pub(crate) expires_at: Moment,
}

impl Core {
    /// Begins a request under a key.
    ///
    /// # Errors
    /// [`CoreError::IdempotencyInFlight`], [`CoreError::IdempotencyReused`], [`CoreError::Db`].
    pub async fn begin_idempotent(&self, account_id: &str, key: &str, fingerprint: &[u8]) -> Result<Begun, CoreError> {
        let now = self.now();
        let fresh = IdempotencyRow {
            fingerprint: fingerprint.to_vec(),
            status: None,
            body: None,
            lease_until: now.after(self.settings.idempotency_lease),
            expires_at: now.after(self.settings.idempotency_keep),
        };
        let mut tx = self.begin().await?;
        if db::idempotency::insert(&mut tx, account_id, key, &fresh).await? {
            tx.commit().await?;
            return Ok(Begun::Fresh);
        }
        let found = db::idempotency::find(&mut tx, account_id, key).await?;
        let Some(row) = found else { return Err(CoreError::IdempotencyInFlight) };
        let is_orphan = || self.orphans.0.lock().remove(&(account_id.to_owned(), key.to_owned()));
        let is_dead = row.expires_at <= now || (row.status.is_none() && (row.lease_until <= now || is_orphan()));
        if is_dead {
            db::idempotency::take_over(&mut tx, account_id, key, &fresh).await?;
            tx.commit().await?;
            return Ok(Begun::Fresh);
        }
        if row.fingerprint != fingerprint {
            return Err(CoreError::IdempotencyReused);
        }
        match (row.status.and_then(|status| u16::try_from(status).ok()), row.body) {
            (Some(status), Some(body)) => Ok(Begun::Replay(Replay { status, body })),
            _ => Err(CoreError::IdempotencyInFlight),
        }
    }

    /// Keeps the answer, in the request's own transaction.
    ///
    /// # Errors
    /// [`CoreError::IdempotencyInFlight`] when the request took so long that another one has begun.
    pub async fn finish_idempotent(
        &self,
        tx: &mut Session,
        account_id: &str,
        key: &str,
        replay: &Replay,
    ) -> Result<(), CoreError> {
        match db::idempotency::finish(tx, account_id, key, i64::from(replay.status), &replay.body).await? {
            0 => Err(CoreError::IdempotencyInFlight),
            _ => Ok(()),
        }
    }

    /// Replaces the answer of a request that went on after it was done.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn amend_idempotent(
        &self,
        account_id: &str,
        key: &str,
        before: &Replay,
        after: &Replay,
    ) -> Result<(), CoreError> {
        let mut tx = self.begin().await?;
        db::idempotency::amend(&mut tx, account_id, key, &before.body, &after.body).await?;
        Ok(tx.commit().await?)
    }

    /// Notes that a request ended without an answer, for when there is no time to write it down.
    pub fn orphan_idempotent(&self, account_id: &str, key: &str) {
        let mut orphans = self.orphans.0.lock();
        if orphans.len() < MOST_ORPHANS {
            orphans.insert((account_id.to_owned(), key.to_owned()));
        }
    }

    /// Forgets a request that was not done: its key is free.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn abandon_idempotent(&self, account_id: &str, key: &str) -> Result<(), CoreError> {
        let mut tx = self.begin().await?;
        db::idempotency::abandon(&mut tx, account_id, key).await?;
        Ok(tx.commit().await?)
    }
}
