//! What an account has used.
//!
//! What follows from a change is counted in its transaction. API calls are not: a write for every read would make every
//! reader a writer. They are gathered in memory and written together; a process that is killed forgets those of some
//! seconds.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde::Serialize;
use sqlx::FromRow;

use super::{Core, CoreError, words::words};
use crate::db;

words! {
    /// What is counted.
    UsageKind {
        /// Hostnames that went live.
        ActiveDomain = "active_domain",
        /// API calls.
        ApiCall = "api_call",
        /// Certificates issued.
        Cert = "cert",
        /// Connections created.
        Connect = "connect",
    }
}

/// A count of one period.
#[derive(Debug, Clone, FromRow, Serialize)]
pub struct Usage {
    /// Of what.
    pub kind: UsageKind,
    /// The month.
    pub period: String,
    /// How much.
    pub used: i64,
}

/// API calls that are not written yet: one entry an account that called since the last writing.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<BTreeMap<String, i64>>);

impl Core {
    /// Counts an API call.
    pub fn count_call(&self, account_id: &str) {
        let mut calls = self.calls.0.lock();
        match calls.get_mut(account_id) {
            Some(count) => *count += 1,
            None => drop(calls.insert(account_id.to_owned(), 1)),
        }
    }

    /// Writes the calls that were counted since the last time. What could not be written is kept for the next one.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn write_calls(&self) -> Result<(), CoreError> {
        let calls = std::mem::take(&mut *self.calls.0.lock());
        if calls.is_empty() {
            return Ok(());
        }
        let written = self.add_calls(&calls).await;
        if written.is_err() {
            let mut kept = self.calls.0.lock();
            calls.into_iter().for_each(|(account, count)| *kept.entry(account).or_default() += count);
        }
        written
    }

    /// In the order of the accounts, so that two processes never wait for each other.
    async fn add_calls(&self, calls: &BTreeMap<String, i64>) -> Result<(), CoreError> {
        let period = self.now().month();
        let mut tx = self.begin().await?;
        for (account_id, count) in calls {
            db::usage::add(&mut tx, account_id, UsageKind::ApiCall, &period, *count).await?;
        }
        Ok(tx.commit().await?)
    }

    /// What an account has used this month.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn usage(&self, account_id: &str) -> Result<Vec<Usage>, CoreError> {
        Ok(db::usage::of_period(&mut self.read().await?, account_id, &self.now().month()).await?)
    }
}
