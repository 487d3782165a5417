//! Accounts: who pays, and what for.

use sqlx::FromRow;

use super::{Core, CoreError, Moment, new_id, words::words};
use crate::db;

words! {
    /// A plan. What each has stands in the settings.
    Plan {
        /// Without limit.
        Enterprise = "enterprise",
        /// For trying.
        Free = "free",
        /// For many.
        Growth = "growth",
        /// For some.
        Pro = "pro",
    }
}

/// An account.
#[derive(Debug, Clone, FromRow)]
pub struct Account {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it pays for.
    pub plan: Plan,
    /// When it was made.
    pub created_at: Moment,
}

impl Core {
    /// Makes an account on the default plan.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn create_account(&self, name: &str) -> Result<Account, CoreError> {
        let account =
            Account { id: new_id(), name: name.to_owned(), plan: self.settings.default_plan, created_at: self.now() };
        let mut tx = self.begin().await?;
        db::accounts::insert(&mut tx, &account).await?;
        self.commit(tx).await?;
        Ok(account)
    }

    /// All accounts, the oldest first. Command line only.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn accounts(&self) -> Result<Vec<Account>, CoreError> {
        Ok(db::accounts::all(&mut self.read().await?).await?)
    }

    /// Puts an account on another plan.
    ///
    /// # Errors
    /// [`CoreError::NotFound`], [`CoreError::Db`].
    pub async fn set_plan(&self, account_id: &str, plan: Plan) -> Result<(), CoreError> {
        let mut tx = self.begin().await?;
        match db::accounts::set_plan(&mut tx, account_id, plan).await? {
            0 => Err(CoreError::NotFound { what: "account" }),
            _ => Ok(self.commit(tx).await?),
        }
    }

    /// Gives an account a limit of its own, `None` for none at all.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn set_limit(
        &self,
        account_id: &str,
        kind: super::UsageKind,
        limit: Option<i64>,
    ) -> Result<(), CoreError> {
        let mut tx = self.begin().await?;
        db::usage::set_limit(&mut tx, account_id, kind, limit).await?;
        Ok(self.commit(tx).await?)
    }
}
