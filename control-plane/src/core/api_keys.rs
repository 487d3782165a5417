//! API keys and who calls with them.

use sqlx::FromRow;

use super::{
    Core, CoreError, Document, Environment, Moment, Policy, Scope, SecretKey, Surface, applications::check_name, audit,
    new_id,
};
use crate::db::{self, Session};

/// `last_used_at` is written at most this often: a write per request would make every reader a writer.
const LAST_USED_GRAIN: std::time::Duration = std::time::Duration::from_mins(1);

/// A key as it is kept: everything but the secret.
#[derive(Debug, Clone, FromRow)]
pub struct ApiKey {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub account_id: String,
    /// The application that it was made under.
    pub application_id: String,
    /// Its name.
    pub name: String,
    /// Test or live.
    pub environment: Environment,
    /// The dialect that it speaks.
    pub surface: Surface,
    /// What it may do.
    pub scopes: Document<Vec<Scope>>,
    /// Its first characters.
    pub prefix: String,
    /// Its last characters.
    pub last4: String,
    /// When it was made.
    pub created_at: Moment,
    /// About when it was last used.
    pub last_used_at: Option<Moment>,
    /// When it was revoked.
    pub revoked_at: Option<Moment>,
}

/// What a new key is made of.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Its name.
    pub name: String,
    /// What it shall be allowed.
    pub scopes: Vec<Scope>,
}

/// A key that was just made; the secret is not kept and not shown again.
pub struct SealedKey {
    /// What is kept.
    pub key: ApiKey,
    secret: SecretKey,
}

impl SealedKey {
    /// The secret, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        self.secret.expose()
    }
}

impl std::fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedKey").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Who calls: an account in one environment with some scopes. Every core function of a surface takes one.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account.
    pub account_id: String,
    /// Its environment.
    pub environment: Environment,
    /// The dialect.
    pub surface: Surface,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// For the audit log.
    pub actor: String,
    /// A widget token is bound to one application …
    pub only_application: Option<String>,
    /// … and perhaps to one hostname.
    pub only_hostname: Option<String>,
}

impl Caller {
    /// The operator, by the command line: everything of one account, in the words of one surface.
    pub fn operator(account_id: &str, environment: Environment, surface: Surface) -> Self {
        Self {
            account_id: account_id.to_owned(),
            environment,
            surface,
            scopes: Scope::ALL.to_vec(),
            actor: "cli".to_owned(),
            only_application: None,
            only_hostname: None,
        }
    }

    /// Refuses a caller without the scope.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`].
    pub fn require(&self, scope: Scope) -> Result<(), CoreError> {
        if self.scopes.contains(&scope) { Ok(()) } else { Err(CoreError::LacksScope { scope }) }
    }

    /// Refuses a caller that has none of the scopes.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], naming the first.
    pub fn require_any(&self, scopes: &[Scope]) -> Result<(), CoreError> {
        match scopes {
            [] => Ok(()),
            _ if scopes.iter().any(|scope| self.scopes.contains(scope)) => Ok(()),
            [first, ..] => Err(CoreError::LacksScope { scope: *first }),
        }
    }

    pub(crate) fn owns(&self, account_id: &str, environment: Environment) -> bool {
        self.account_id == account_id && self.environment == environment
    }

    pub(crate) fn may_see_application(&self, id: &str) -> bool {
        self.only_application.as_deref().is_none_or(|only| only == id)
    }

    pub(crate) fn may_see_hostname(&self, hostname: &str) -> bool {
        self.only_hostname.as_deref().is_none_or(|only| only == hostname)
    }
}

impl Core {
    /// What was sent, if it can be a key; in development also one that a surface's documents use.
    fn key(&self, text: &str) -> Option<SecretKey> {
        let demo = |policy: &Policy| policy.demo_key.as_deref() == Some(text);
        match self.settings.dev && self.settings.policies.values().any(demo) {
            true => Some(SecretKey::demo(text)),
            false => SecretKey::parse(text),
        }
    }

    /// Who calls with this secret. Asks the database every time, so that a revoked key is refused at once.
    ///
    /// # Errors
    /// [`CoreError::Unauthorized`], [`CoreError::Db`].
    pub async fn authenticate(&self, secret: &str) -> Result<Caller, CoreError> {
        let secret = self.key(secret).ok_or(CoreError::Unauthorized)?;
        let mut session = self.read().await?;
        let key = db::api_keys::find_by_hash(&mut session, secret.sha256()).await?.ok_or(CoreError::Unauthorized)?;
        drop(session);
        if key.revoked_at.is_some() {
            return Err(CoreError::Unauthorized);
        }
        self.note_use(&key).await;
        Ok(Caller {
            account_id: key.account_id,
            environment: key.environment,
            surface: key.surface,
            scopes: key.scopes.0,
            actor: key.id,
            only_application: None,
            only_hostname: None,
        })
    }

    /// Refuses what was handed out by a key that is revoked: its tokens die with it.
    ///
    /// # Errors
    /// [`CoreError::Unauthorized`], [`CoreError::Db`].
    pub async fn check_key_stands(&self, account_id: &str, id: &str) -> Result<(), CoreError> {
        match db::api_keys::stands(&mut self.read().await?, account_id, id).await? {
            true => Ok(()),
            false => Err(CoreError::Unauthorized),
        }
    }

    async fn note_use(&self, key: &ApiKey) {
        let now = self.now();
        if key.last_used_at.is_some_and(|at| now.since(at) < LAST_USED_GRAIN) {
            return;
        }
        // A comfort: a request is never refused because it could not be written down.
        let noted = async {
            let mut tx = self.begin().await?;
            db::api_keys::touch(&mut tx, &key.id, now).await?;
            tx.commit().await
        };
        if let Err(error) = noted.await {
            tracing::debug!(error = %telemetry::chain(&error), "last_used_at was not written");
        }
    }

    /// Makes a key under an application. It never gets a scope that its maker lacks.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::Invalid`], [`CoreError::Db`].
    pub async fn create_key(
        &self,
        tx: &mut Session,
        caller: &Caller,
        application_id: &str,
        new: NewKey,
    ) -> Result<SealedKey, CoreError> {
        caller.require(Scope::AppsAdmin)?;
        let application = self.application_in(tx, caller, application_id).await?;
        check_name("/name", &new.name)?;
        if new.scopes.is_empty() {
            return Err(CoreError::invalid("/scopes", "a key needs at least one scope"));
        }
        new.scopes.iter().try_for_each(|scope| caller.require(*scope))?;
        let secret = SecretKey::generate(&self.settings.policy(caller.surface).key_prefix, caller.environment);
        let key = self.insert_key(tx, &application.account_id, application_id, caller, new, &secret).await?;
        Ok(SealedKey { key, secret })
    }

    pub(crate) async fn insert_key(
        &self,
        tx: &mut Session,
        account_id: &str,
        application_id: &str,
        caller: &Caller,
        new: NewKey,
        secret: &SecretKey,
    ) -> Result<ApiKey, CoreError> {
        let mut scopes = new.scopes;
        scopes.sort_unstable();
        scopes.dedup();
        let key = ApiKey {
            id: new_id(),
            account_id: account_id.to_owned(),
            application_id: application_id.to_owned(),
            name: new.name,
            environment: caller.environment,
            surface: caller.surface,
            scopes: Document(scopes),
            prefix: secret.prefix(),
            last4: secret.last4(),
            created_at: self.now(),
            last_used_at: None,
            revoked_at: None,
        };
        db::api_keys::insert(tx, &key, secret.sha256()).await?;
        audit::note(tx, account_id, &caller.actor, "key.create", &key.id, key.created_at).await?;
        Ok(key)
    }

    /// The keys of an application, revoked ones too, the newest first.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::Db`].
    pub async fn keys(
        &self,
        caller: &Caller,
        application_id: &str,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<ApiKey>, CoreError> {
        caller.require(Scope::AppsAdmin)?;
        let mut session = self.read().await?;
        self.application_in(&mut session, caller, application_id).await?;
        Ok(db::api_keys::page(&mut session, application_id, after, limit).await?)
    }

    /// Revokes a key: the next request with it is refused. Revoking twice changes nothing.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::Db`].
    pub async fn revoke_key(&self, caller: &Caller, application_id: &str, id: &str) -> Result<ApiKey, CoreError> {
        caller.require(Scope::AppsAdmin)?;
        let now = self.now();
        let mut tx = self.begin().await?;
        self.application_in(&mut tx, caller, application_id).await?;
        let key = db::api_keys::find(&mut tx, application_id, id).await?.ok_or(CoreError::NotFound { what: "key" })?;
        if key.revoked_at.is_some() {
            return Ok(key);
        }
        db::api_keys::revoke(&mut tx, id, now).await?;
        audit::note(&mut tx, &caller.account_id, &caller.actor, "key.revoke", id, now).await?;
        self.commit(tx).await?;
        Ok(ApiKey { revoked_at: Some(now), ..key })
    }
}
