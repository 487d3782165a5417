//! Account key rollover: [`Accounts::roll_over`], and what an interrupted one left behind.
//!
//! The new key is kept before the CA hears of it and takes the old one's place after the CA's answer. In between only the
//! CA knows which of the two holds, so whoever loads the account asks it. A rollover that the CA has not heard of is
//! finished then and not given up: its request may still be on the way.

use std::time::Duration;

use super::{
    accounts::Accounts,
    jws,
    key_change::{KeyChangeError, Teller},
};
use crate::{
    IssueError, RolloverError, StoreError,
    account::{StoredAccount, Successor, load_successor, remove_successor, save_account, save_successor},
};

/// Orders in flight have this long to end, and new ones wait as long at most: a challenge that was offered with the old
/// key is worth nothing under the new one. Orders take seconds.
const DRAIN: Duration = Duration::from_secs(60);

impl Accounts {
    /// Has the CA take a new key for the account. `None` when there is no account to have one.
    pub(super) async fn roll_over(&self) -> Result<Option<String>, RolloverError> {
        let alone = tokio::time::timeout(DRAIN, self.orders.write()).await;
        let _no_orders = alone.map_err(|_| RolloverError::Busy { waited: DRAIN })?;
        let mut slot = self.slot.lock().await;
        let Some(old) = self.stored().await? else { return Ok(None) };
        let location = old.location.clone();
        let teller = Teller::at(&self.http, &self.settings.directory, &location).await?;
        if !teller.offers() {
            return Err(RolloverError::NotOffered);
        }
        let key = jws::generate().map_err(|error| IssueError::Store(self.broken(error)))?;
        let next = Successor { location: location.clone(), key };
        let saved = save_successor(&*self.store, &self.issuer, &self.settings.contact, &next).await;
        saved.map_err(IssueError::Store)?;
        // Whatever comes of it, cancelled or not: the next order loads the account.
        slot.current = None;
        self.finish(&teller, old, next).await?;
        tracing::info!(issuer = %self.issuer, account = location, "acme.account_key_changed: the CA has taken a new account key");
        Ok(Some(location))
    }

    /// The account with the key that the CA knows, of its own and the one that was to follow it.
    pub(super) async fn settle(&self, old: StoredAccount) -> Result<StoredAccount, IssueError> {
        let Some(next) = load_successor(&*self.store, &self.issuer, &self.settings.contact).await? else {
            return Ok(old);
        };
        if next.location != old.location || next.key.as_slice() == old.key_pkcs8_der.as_slice() {
            remove_successor(&*self.store, &self.issuer, &self.settings.contact).await?;
            return Ok(old);
        }
        tracing::warn!(issuer = %self.issuer, account = old.location, "acme.account_key_pending: a change of the account key was cut off; asking the CA which key it knows");
        let location = old.location.clone();
        let teller = Teller::at(&self.http, &self.settings.directory, &location).await?;
        if teller.knows(&next.key).await? {
            return Ok(self.promote(old, next).await?);
        }
        if !teller.knows(&old.key_pkcs8_der).await? {
            // Neither, or it refuses everybody now: both keys are kept until it says something else.
            return Ok(old);
        }
        match self.finish(&teller, old.clone(), next).await {
            Ok(new) => Ok(new),
            Err(RolloverError::Issue(error @ (IssueError::Unreachable { .. } | IssueError::Store(_)))) => Err(error),
            Err(error) => {
                tracing::warn!(issuer = %self.issuer, error = %telemetry::chain(&error), "acme.account_key_kept: the CA does not take the new account key; the old one stays");
                Ok(old)
            }
        }
    }

    /// Tells the CA, and keeps what it says. The successor stays where it is when the answer is lost.
    async fn finish(
        &self,
        teller: &Teller<'_>,
        old: StoredAccount,
        next: Successor,
    ) -> Result<StoredAccount, RolloverError> {
        let refused = match teller.change(&old.key_pkcs8_der, &next.key).await {
            Ok(()) => return Ok(self.promote(old, next).await.map_err(IssueError::Store)?),
            Err(KeyChangeError::Issue(error @ IssueError::Refused { .. })) => RolloverError::Issue(error),
            Err(KeyChangeError::Issue(error)) => return Err(error.into()),
            Err(KeyChangeError::NotOffered) => RolloverError::NotOffered,
        };
        // A refusal may mean that it has the key already: from a request whose answer was lost, or from another process.
        if teller.knows(&next.key).await? {
            return Ok(self.promote(old, next).await.map_err(IssueError::Store)?);
        }
        let removed = remove_successor(&*self.store, &self.issuer, &self.settings.contact).await;
        removed.map_err(IssueError::Store)?;
        Err(refused)
    }

    /// The new key takes the old one's place. A crash in between leaves two places with one key.
    async fn promote(&self, old: StoredAccount, next: Successor) -> Result<StoredAccount, StoreError> {
        let contact = self.settings.contact.clone();
        let new = StoredAccount { location: old.location, key_pkcs8_der: next.key, contact };
        save_account(&*self.store, &self.issuer, &new).await?;
        remove_successor(&*self.store, &self.issuer, &self.settings.contact).await?;
        Ok(new)
    }

    fn broken(&self, error: jws::KeyError) -> StoreError {
        StoreError::Broken { entry: format!("the account key of {}", self.issuer), problem: error.to_string() }
    }
}
