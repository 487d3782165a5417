//! Webhook endpoints: where an account wants to be told.

use sqlx::FromRow;

use super::{
    Caller, Core, CoreError, DisableReason, Document, Environment, EventKind, Flag, Moment, Scope, Surface,
    applications::check_length, audit, new_id, targets::check_target,
};
use crate::db::{self, Session};

/// Endpoints of an account in one environment: every event may make as many deliveries.
const MAX_ENDPOINTS: usize = 20;

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
    /// The secret before the last rotation, sealed …
    pub sealed_former: Option<Vec<u8>>,
    /// … and until when it signs beside the other.
    pub former_until: Option<Moment>,
    /// Whether it is told at all.
    pub enabled: Flag,
    /// Since when nothing reaches it.
    pub failing_since: Option<Moment>,
    /// Why it is not told anything.
    pub disabled_reason: Option<DisableReason>,
    /// When it was made.
    pub created_at: Moment,
}

/// What a new endpoint is made of.
#[derive(Debug, Clone)]
pub struct NewEndpoint {
    /// Where.
    pub url: String,
    /// Of what; empty is everything.
    pub events: Vec<EventKind>,
}

/// What shall change.
#[derive(Debug, Clone, Default)]
pub struct EndpointPatch {
    /// Where.
    pub url: Option<String>,
    /// Of what.
    pub events: Option<Vec<EventKind>>,
    /// Whether it is told at all. What happened while it was not is not told afterwards.
    pub enabled: Option<bool>,
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
        check_length("/events", new.events.len())?;
        check_target(&new.url, self.settings.dev)?;
        db::accounts::hold(tx, &caller.account_id).await?;
        if db::endpoints::count(tx, &caller.account_id, caller.environment).await? >= MAX_ENDPOINTS as i64 {
            return Err(CoreError::invalid(
                "/url",
                format!("an account has at most {MAX_ENDPOINTS} webhook endpoints"),
            ));
        }
        let id = new_id();
        let (secret, sealed_secret) = self.new_signing_secret(&id)?;
        let endpoint = WebhookEndpoint {
            id,
            account_id: caller.account_id.clone(),
            environment: caller.environment,
            dialect: caller.surface,
            url: new.url,
            events: Document(new.events),
            sealed_secret,
            sealed_former: None,
            former_until: None,
            enabled: Flag(true),
            failing_since: None,
            disabled_reason: None,
            created_at: self.now(),
        };
        db::endpoints::insert(tx, &endpoint).await?;
        let (account, actor) = (&caller.account_id, &caller.actor);
        audit::note(tx, account, actor, "webhook_endpoint.create", &endpoint.id, endpoint.created_at).await?;
        Ok((endpoint, secret))
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

    /// An endpoint of the caller's.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::Db`].
    pub async fn endpoint(&self, caller: &Caller, id: &str) -> Result<WebhookEndpoint, CoreError> {
        own_endpoint(&mut self.read().await?, caller, id).await
    }

    /// Changes an endpoint. Disabling it gives up what it was not told yet; enabling it begins with a clean slate.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::Invalid`], [`CoreError::Db`].
    pub async fn update_endpoint(
        &self,
        caller: &Caller,
        id: &str,
        patch: EndpointPatch,
    ) -> Result<WebhookEndpoint, CoreError> {
        if let Some(url) = &patch.url {
            check_target(url, self.settings.dev)?;
        }
        check_length("/events", patch.events.as_ref().map_or(0, Vec::len))?;
        let now = self.now();
        let mut tx = self.begin().await?;
        db::accounts::hold(&mut tx, &caller.account_id).await?;
        let before = own_endpoint(&mut tx, caller, id).await?;
        let mut after = before.clone();
        patch.url.into_iter().for_each(|url| after.url = url);
        patch.events.into_iter().for_each(|events| after.events = Document(events));
        match patch.enabled {
            Some(true) if !before.enabled.0 => {
                (after.enabled, after.disabled_reason, after.failing_since) = (Flag(true), None, None);
            }
            Some(false) if before.enabled.0 => {
                (after.enabled, after.disabled_reason) = (Flag(false), Some(DisableReason::Asked));
            }
            _ => {}
        }
        db::endpoints::update(&mut tx, &after).await?;
        if !after.enabled.0 {
            db::deliveries::give_up(&mut tx, id, now).await?;
        }
        audit::note(&mut tx, &caller.account_id, &caller.actor, "webhook_endpoint.update", id, now).await?;
        self.commit(tx).await?;
        Ok(after)
    }

    /// Ends an endpoint; what it was not told yet is not told any more.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::Db`].
    pub async fn delete_endpoint(&self, caller: &Caller, id: &str) -> Result<(), CoreError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        db::accounts::hold(&mut tx, &caller.account_id).await?;
        own_endpoint(&mut tx, caller, id).await?;
        db::endpoints::delete(&mut tx, id, now).await?;
        db::deliveries::give_up(&mut tx, id, now).await?;
        audit::note(&mut tx, &caller.account_id, &caller.actor, "webhook_endpoint.delete", id, now).await?;
        Ok(self.commit(tx).await?)
    }
}

pub(crate) async fn own_endpoint(
    session: &mut Session,
    caller: &Caller,
    id: &str,
) -> Result<WebhookEndpoint, CoreError> {
    caller.require_any(&[Scope::WebhooksWrite, Scope::AppsAdmin])?;
    let found = db::endpoints::find(session, id).await?;
    let mine = found.filter(|endpoint| caller.owns(&endpoint.account_id, endpoint.environment));
    mine.ok_or(CoreError::NotFound { what: "webhook endpoint" })
}
