//! Deliveries: one event on its way to one endpoint.
//!
//! Of the deliveries of one name to one endpoint only the first that is not finished has a time; the others wait without
//! one until it is delivered or given up ([`delivering`](super::delivering)). Both ends of that are done under the
//! hostname's row, so that none is woken twice or never. Replays stand outside the order.

use sqlx::FromRow;

use super::{Caller, Core, CoreError, Environment, Event, Moment, Scope, audit, new_id};
use crate::db::{self, Session};

super::words::words! {
    /// How far a delivery is.
    DeliveryStatus {
        /// The endpoint took it.
        Delivered = "delivered",
        /// Given up.
        Failed = "failed",
        /// It is tried (again) at its time.
        Pending = "pending",
    }
}

/// A delivery.
#[derive(Debug, Clone, FromRow)]
pub struct Delivery {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub account_id: String,
    /// Test or live.
    pub environment: Environment,
    /// To where.
    pub endpoint_id: String,
    /// Of what.
    pub event_id: String,
    /// Of which name: deliveries of one name to one endpoint keep their order.
    pub hostname: Option<String>,
    /// The event's number among the name's.
    pub hostname_seq: Option<i64>,
    /// The delivery that this one repeats.
    pub replay_of: Option<String>,
    /// How far it is.
    pub status: DeliveryStatus,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next; while it is under way, when it is believed dead. `None` while it waits for an earlier one.
    pub next_retry_at: Option<Moment>,
    /// When it was made.
    pub created_at: Moment,
    /// When it was delivered or given up.
    pub finished_at: Option<Moment>,
}

/// One try.
#[derive(Debug, Clone, FromRow)]
pub struct DeliveryAttempt {
    /// From 1.
    pub n: i64,
    /// When.
    pub at: Moment,
    /// What the endpoint answered.
    pub status_code: Option<i64>,
    /// What went wrong instead.
    pub error: Option<String>,
    /// How long it took.
    pub duration_ms: i64,
    /// The start of the answer.
    pub response: Option<String>,
}

pub(crate) async fn fan_out(tx: &mut Session, event: &Event) -> Result<(), CoreError> {
    for endpoint in db::endpoints::listening(tx, &event.account_id, event.environment).await? {
        if endpoint.events.0.is_empty() || endpoint.events.0.contains(&event.kind) {
            let mut delivery = delivery_of(event, &endpoint.id, None, event.created_at);
            if let Some(hostname) = &event.hostname
                && db::deliveries::is_awaited(tx, &endpoint.id, hostname).await?
            {
                delivery.next_retry_at = None;
            }
            db::deliveries::insert(tx, &delivery).await?;
        }
    }
    Ok(())
}

fn delivery_of(event: &Event, endpoint_id: &str, replay_of: Option<String>, now: Moment) -> Delivery {
    Delivery {
        id: new_id(),
        account_id: event.account_id.clone(),
        environment: event.environment,
        endpoint_id: endpoint_id.to_owned(),
        event_id: event.id.clone(),
        hostname: event.hostname.clone(),
        hostname_seq: event.hostname_seq,
        replay_of,
        status: DeliveryStatus::Pending,
        attempts: 0,
        next_retry_at: Some(now),
        created_at: now,
        finished_at: None,
    }
}

impl Core {
    /// The caller's deliveries, the newest first.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::Db`].
    pub async fn deliveries(
        &self,
        caller: &Caller,
        status: Option<DeliveryStatus>,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<(Delivery, Event)>, CoreError> {
        caller.require_any(&[Scope::WebhooksWrite, Scope::AppsAdmin])?;
        let mut session = self.read().await?;
        let (account, environment) = (&caller.account_id, caller.environment);
        let page = db::deliveries::page(&mut session, account, environment, status, after, limit).await?;
        let mut rows = Vec::with_capacity(page.len());
        for delivery in page {
            if let Some(event) = db::events::find(&mut session, &delivery.event_id).await? {
                rows.push((delivery, event));
            }
        }
        Ok(rows)
    }

    /// One delivery with every try.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::Db`].
    pub async fn delivery(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<(Delivery, Event, Vec<DeliveryAttempt>), CoreError> {
        caller.require_any(&[Scope::WebhooksWrite, Scope::AppsAdmin])?;
        let mut session = self.read().await?;
        let (delivery, event) = own_delivery(&mut session, caller, id).await?;
        let attempts = db::deliveries::attempts(&mut session, id).await?;
        Ok((delivery, event, attempts))
    }

    /// Sends an event again, as a delivery of its own.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::EndpointDisabled`], [`CoreError::Db`].
    pub async fn replay_delivery(&self, caller: &Caller, id: &str) -> Result<(Delivery, Event), CoreError> {
        caller.require_any(&[Scope::WebhooksWrite, Scope::AppsAdmin])?;
        let now = self.now();
        let mut tx = self.begin().await?;
        let (delivery, event) = own_delivery(&mut tx, caller, id).await?;
        // Held, so that nothing is added behind the back of who disables it.
        db::accounts::hold(&mut tx, &caller.account_id).await?;
        let endpoint = db::endpoints::find(&mut tx, &delivery.endpoint_id).await?;
        let endpoint = endpoint.ok_or(CoreError::NotFound { what: "webhook endpoint" })?;
        if !endpoint.enabled.0 {
            return Err(CoreError::EndpointDisabled);
        }
        let replay = delivery_of(&event, &delivery.endpoint_id, Some(delivery.id), now);
        db::deliveries::insert(&mut tx, &replay).await?;
        audit::note(&mut tx, &caller.account_id, &caller.actor, "delivery.replay", id, now).await?;
        self.commit(tx).await?;
        Ok((replay, event))
    }
}

async fn own_delivery(session: &mut Session, caller: &Caller, id: &str) -> Result<(Delivery, Event), CoreError> {
    let missing = || CoreError::NotFound { what: "webhook delivery" };
    let found = db::deliveries::find(session, id).await?;
    let mine = found.filter(|delivery| caller.owns(&delivery.account_id, delivery.environment));
    let delivery = mine.ok_or_else(missing)?;
    let event = db::events::find(session, &delivery.event_id).await?.ok_or_else(missing)?;
    Ok((delivery, event))
}
