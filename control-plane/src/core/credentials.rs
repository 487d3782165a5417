//! Credentials of DNS providers: sealed when they come, opened to be used, never shown again.

use dns::provider::Secret;
use sqlx::FromRow;

use super::{Caller, Core, CoreError, Environment, Moment, Scope, SealError, audit, new_id};
use crate::db::{self, Session};

/// Credentials of one application: a service whose customers each bring their own.
const MAX_CREDENTIALS: i64 = 1000;
/// Credentials that are tried for one name: each costs the provider a question.
const MAX_TRIED: i64 = 20;
/// Bytes of a credential; the longest, a service account's key file, has about 2,400.
const MAX_TOKEN: usize = 8 * 1024;
/// Characters of a zone's id.
const MAX_ZONE_ID: usize = 255;

/// A credential as it is kept.
#[derive(Clone, FromRow)]
pub struct Credential {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub account_id: String,
    /// The application that writes with it.
    pub application_id: String,
    /// Test or live.
    pub environment: Environment,
    /// The key of the provider.
    pub provider: String,
    /// The provider's id of the zone, where its owner gave one.
    pub zone_id: Option<String>,
    /// The credential, sealed.
    pub(crate) sealed_token: Vec<u8>,
    /// When it was stored.
    pub created_at: Moment,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, provider, zone_id, .. } = self;
        f.debug_struct("Credential").field("id", id).field("provider", provider).field("zone_id", zone_id).finish()
    }
}

/// What a new credential is made of.
pub struct NewCredential {
    /// The key of the provider, which the caller has checked.
    pub provider: String,
    /// The credential, whose form the caller has checked.
    pub token: Secret,
    /// The provider's id of the zone.
    pub zone_id: Option<String>,
}

fn context(id: &str) -> String {
    format!("dns_credentials.sealed_token.{id}")
}

impl Core {
    /// Stores a credential of an application.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::Invalid`], [`CoreError::NoKeyring`],
    /// [`CoreError::Db`].
    pub async fn create_credential(
        &self,
        tx: &mut Session,
        caller: &Caller,
        application_id: &str,
        new: NewCredential,
    ) -> Result<Credential, CoreError> {
        caller.require(Scope::AppsAdmin)?;
        let application = self.application_in(tx, caller, application_id).await?;
        let keyring = self.keyring().ok_or(CoreError::NoKeyring)?;
        check(&new)?;
        db::accounts::hold(tx, &caller.account_id).await?;
        if db::credentials::count(tx, application_id).await? >= MAX_CREDENTIALS {
            let detail = format!("an application has at most {MAX_CREDENTIALS} credentials");
            return Err(CoreError::invalid("/provider", detail));
        }
        let id = new_id();
        let sealed_token = new.token.with(|token| keyring.seal(&context(&id), token.as_bytes()))?;
        let credential = Credential {
            id,
            account_id: application.account_id,
            application_id: application.id,
            environment: caller.environment,
            provider: new.provider,
            zone_id: new.zone_id,
            sealed_token,
            created_at: self.now(),
        };
        db::credentials::insert(tx, &credential).await?;
        let (id, at) = (&credential.id, credential.created_at);
        audit::note(tx, &caller.account_id, &caller.actor, "dns_credential.create", id, at).await?;
        Ok(credential)
    }

    /// The credentials of an application, the newest first.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::Db`].
    pub async fn credentials(
        &self,
        caller: &Caller,
        application_id: &str,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<Credential>, CoreError> {
        caller.require(Scope::AppsAdmin)?;
        let mut session = self.read().await?;
        self.application_in(&mut session, caller, application_id).await?;
        Ok(db::credentials::page(&mut session, application_id, after, limit).await?)
    }

    /// What an application can write with, the newest first.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn usable_credentials(&self, application_id: &str) -> Result<Vec<Credential>, CoreError> {
        Ok(db::credentials::page(&mut self.read().await?, application_id, None, MAX_TRIED).await?)
    }

    /// A credential of an application.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::Db`].
    pub async fn credential(&self, caller: &Caller, application_id: &str, id: &str) -> Result<Credential, CoreError> {
        self.credential_in(&mut self.read().await?, caller, application_id, id).await
    }

    async fn credential_in(
        &self,
        session: &mut Session,
        caller: &Caller,
        application_id: &str,
        id: &str,
    ) -> Result<Credential, CoreError> {
        caller.require(Scope::AppsAdmin)?;
        self.application_in(session, caller, application_id).await?;
        let found = db::credentials::find(session, application_id, id).await?;
        found.ok_or(CoreError::NotFound { what: "credential" })
    }

    /// Takes a credential away. Records that were written with it stay.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::Db`].
    pub async fn delete_credential(&self, caller: &Caller, application_id: &str, id: &str) -> Result<(), CoreError> {
        let mut tx = self.begin().await?;
        self.credential_in(&mut tx, caller, application_id, id).await?;
        db::credentials::delete(&mut tx, id).await?;
        audit::note(&mut tx, &caller.account_id, &caller.actor, "dns_credential.delete", id, self.now()).await?;
        Ok(self.commit(tx).await?)
    }

    /// Opens a credential, to be used.
    ///
    /// # Errors
    /// [`CoreError::NoKeyring`], [`CoreError::Seal`].
    pub fn open_credential(&self, credential: &Credential) -> Result<Secret, CoreError> {
        let keyring = self.keyring().ok_or(CoreError::NoKeyring)?;
        let opened = keyring.open(&context(&credential.id), &credential.sealed_token)?;
        let text = std::str::from_utf8(&opened).map_err(|_| SealError::Refused)?;
        Ok(Secret::new(text))
    }
}

fn check(new: &NewCredential) -> Result<(), CoreError> {
    let length = new.token.with(str::len);
    if length == 0 || length > MAX_TOKEN {
        return Err(CoreError::invalid("/token", format!("between 1 and {MAX_TOKEN} bytes")));
    }
    let odd = |id: &str| id.is_empty() || id.len() > MAX_ZONE_ID || id.contains(|c: char| c.is_control());
    match new.zone_id.as_deref().is_some_and(odd) {
        true => Err(CoreError::invalid("/zone_id", format!("between 1 and {MAX_ZONE_ID} visible characters"))),
        false => Ok(()),
    }
}
