//! The one primitive that takes from a limit.
//!
//! It is a single statement on a single row: concurrent takers wait for each other there, and the one that finds nothing
//! left is refused. Undoing the transaction gives back what was taken.

use super::{Core, CoreError, UsageKind};
use crate::db::{self, Session};

impl Core {
    /// Takes one of `kind` from what `account_id` has left this month.
    pub(crate) async fn reserve(&self, tx: &mut Session, account_id: &str, kind: UsageKind) -> Result<(), CoreError> {
        let account = db::accounts::find(tx, account_id).await?.ok_or(CoreError::NotFound { what: "account" })?;
        let of_plan = match kind {
            UsageKind::Connect => self.settings.limits(account.plan).connect,
            UsageKind::ActiveDomain | UsageKind::ApiCall | UsageKind::Cert => None,
        };
        let limit = db::usage::limit(tx, account_id, kind).await?.unwrap_or(of_plan);
        let period = self.now().month();
        match db::usage::take(tx, account_id, kind, &period, limit.unwrap_or(i64::MAX)).await? {
            true => Ok(()),
            false => {
                Err(CoreError::QuotaExceeded { kind, limit: limit.unwrap_or(i64::MAX), plan: account.plan.to_string() })
            }
        }
    }
}
