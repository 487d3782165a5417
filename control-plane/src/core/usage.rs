//! What an account has used.

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

impl Core {
    /// What an account has used this month.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn usage(&self, account_id: &str) -> Result<Vec<Usage>, CoreError> {
        Ok(db::usage::of_period(&mut self.read().await?, account_id, &self.now().month()).await?)
    }
}
