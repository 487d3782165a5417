//! Webhook endpoints: where an account wants to be told.

use sqlx::FromRow;

use super::{
    Caller, Core, CoreError, Document, Environment, EventKind, Flag, Moment, Scope, Surface,
    applications::check_length, audit, new_id, secret_key::random_base62,
};
use crate::db::{self, Session};

/// Characters of a signing secret: 190 bits.
const SECRET_LEN: usize = 32;

/// An endpoint as it is kept.
#[derive(Debug, Clone, FromRow)]
pub struct WebhookEndpoint {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub account_id: String,
    /// Test or live.
    pub environment: Environment,
    /// Which headers and names it expects.
    pub dialect: Surface,
    /// Where.
    pub url: String,
    /// Of what; empty is everything.
    pub events: Document<Vec<EventKind>>,
    /// The signing secret, sealed.
    pub sealed_secret: Vec<u8>,
    /// Whether it is told at all.
    pub enabled: Flag,
    /// Since when nothing reaches it.
    pub failing_since: Option<Moment>,
    /// When it was made.
    pub created_at: Moment,
}

impl WebhookEndpoint {
    /// The place that its secret is sealed for.
    pub fn secret_context(&self) -> String {
        format!("webhook_endpoints.sealed_secret.{}", self.id)
    }
}

/// What a new endpoint is made of.
#[derive(Debug, Clone)]
pub struct NewEndpoint {
    /// Where.
    pub url: String,
    /// Of what; empty is everything.
    pub events: Vec<EventKind>,
}

impl Core {
    /// Makes an endpoint and its secret, `whsec_…`, which is returned once.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::Invalid`], [`CoreError::NoKeyring`], [`CoreError::Db`].
    pub async fn create_endpoint(
        &self,
        tx: &mut Session,
        caller: &Caller,
        new: NewEndpoint,
    ) -> Result<(WebhookEndpoint, String), CoreError> {
        caller.require_any(&[Scope::WebhooksWrite, Scope::AppsAdmin])?;
        self.check_target(&new)?;
        let keyring = self.keyring().ok_or(CoreError::NoKeyring)?;
        // Standard Webhooks: what follows `whsec_` is the key in base64, which 32 letters and digits always are.
        let secret = format!("whsec_{}", random_base62(SECRET_LEN));
        let mut endpoint = WebhookEndpoint {
            id: new_id(),
            account_id: caller.account_id.clone(),
            environment: caller.environment,
            dialect: caller.surface,
            url: new.url,
            events: Document(new.events),
            sealed_secret: Vec::new(),
            enabled: Flag(true),
            failing_since: None,
            created_at: self.now(),
        };
        endpoint.sealed_secret = keyring.seal(&endpoint.secret_context(), secret.as_bytes())?;
        db::endpoints::insert(tx, &endpoint).await?;
        let (account, actor) = (&caller.account_id, &caller.actor);
        audit::note(tx, account, actor, "webhook_endpoint.create", &endpoint.id, endpoint.created_at).await?;
        Ok((endpoint, secret))
    }

    fn check_target(&self, new: &NewEndpoint) -> Result<(), CoreError> {
        check_length("/events", new.events.len())?;
        let refuse = |detail: &str| Err(CoreError::invalid("/url", detail));
        let Ok(url) = url::Url::parse(&new.url) else { return refuse("not a URL") };
        match url.scheme() {
            "https" => {}
            "http" if self.settings.dev => {}
            _ => return refuse("a webhook URL begins with https://"),
        }
        if url.host().is_none() || !url.username().is_empty() || url.password().is_some() {
            return refuse("a webhook URL has a host, no user and no password");
        }
        let origin = url.origin().ascii_serialization();
        super::name_rules::check_origin(&origin, "/url", self.settings.dev)
    }

    /// The caller's endpoints, the newest first.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::Db`].
    pub async fn endpoints(
        &self,
        caller: &Caller,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<WebhookEndpoint>, CoreError> {
        caller.require_any(&[Scope::WebhooksWrite, Scope::AppsAdmin])?;
        let mut session = self.read().await?;
        Ok(db::endpoints::page(&mut session, &caller.account_id, caller.environment, after, limit).await?)
    }

    /// Ends an endpoint; what it was not told yet is not told any more.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::Db`].
    pub async fn delete_endpoint(&self, caller: &Caller, id: &str) -> Result<(), CoreError> {
        caller.require_any(&[Scope::WebhooksWrite, Scope::AppsAdmin])?;
        let now = self.now();
        let mut tx = self.begin().await?;
        let found = db::endpoints::find(&mut tx, id).await?;
        found
            .filter(|endpoint| caller.owns(&endpoint.account_id, endpoint.environment))
            .ok_or(CoreError::NotFound { what: "webhook endpoint" })?;
        db::endpoints::delete(&mut tx, id, now).await?;
        db::deliveries::give_up(&mut tx, id, now).await?;
        audit::note(&mut tx, &caller.account_id, &caller.actor, "webhook_endpoint.delete", id, now).await?;
        Ok(self.commit(tx).await?)
    }
}
