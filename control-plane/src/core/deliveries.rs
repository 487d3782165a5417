//! Deliveries: one event on its way to one endpoint. The webhook engine takes them from here and reports back.

use std::time::Duration;

use sqlx::FromRow;

use super::{Caller, Core, CoreError, Environment, Event, Moment, Scope, WebhookEndpoint, audit, new_id};
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
    pub hostname: String,
    /// The event's number among the name's.
    pub hostname_seq: i64,
    /// The delivery that this one repeats.
    pub replay_of: Option<String>,
    /// How far it is.
    pub status: DeliveryStatus,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next.
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

/// A delivery that is due, with all that its sender needs. It is leased: others leave it alone until its lease ends.
#[derive(Debug, Clone)]
pub struct DueDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// Proof of the lease.
    pub lease_token: String,
    /// To where.
    pub endpoint: WebhookEndpoint,
    /// Of what.
    pub event: Event,
}

pub(crate) async fn fan_out(tx: &mut Session, event: &Event) -> Result<(), CoreError> {
    for endpoint in db::endpoints::listening(tx, &event.account_id, event.environment).await? {
        if endpoint.events.0.is_empty() || endpoint.events.0.contains(&event.kind) {
            db::deliveries::insert(tx, &delivery_of(event, &endpoint.id, None, event.created_at)).await?;
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
    /// Leases at most `limit` deliveries that are due. One whose forerunner (same endpoint, same name) is not finished
    /// is not due. Replays stand outside the order.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn lease_deliveries(&self, limit: i64, lease: Duration) -> Result<Vec<DueDelivery>, CoreError> {
        let now = self.now();
        let token = new_id();
        let mut tx = self.begin().await?;
        let leased = db::deliveries::lease(&mut tx, now, now.after(lease), &token, limit).await?;
        let mut due = Vec::with_capacity(leased.len());
        for delivery in leased {
            let endpoint = db::endpoints::find(&mut tx, &delivery.endpoint_id).await?;
            let event = db::events::find(&mut tx, &delivery.event_id).await?;
            if let (Some(endpoint), Some(event)) = (endpoint, event) {
                due.push(DueDelivery { delivery, lease_token: token.clone(), endpoint, event });
            }
        }
        self.commit(tx).await?;
        Ok(due)
    }

    /// Writes down a try and what follows from it: `next_retry_at` for another one, `None` with `delivered` or not for
    /// the end. Answers whether the lease still held; if not, nothing is written.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn record_delivery_attempt(
        &self,
        due: &DueDelivery,
        attempt: &DeliveryAttempt,
        status: DeliveryStatus,
        next_retry_at: Option<Moment>,
    ) -> Result<bool, CoreError> {
        let mut tx = self.begin().await?;
        let delivery = &due.delivery;
        let finished_at = (status != DeliveryStatus::Pending).then_some(attempt.at);
        let held = db::deliveries::settle(&mut tx, &delivery.id, &due.lease_token, status, next_retry_at, finished_at);
        if held.await? == 0 {
            return Ok(false);
        }
        db::deliveries::insert_attempt(&mut tx, &delivery.id, attempt).await?;
        let failing_since = match status {
            DeliveryStatus::Delivered => None,
            DeliveryStatus::Failed | DeliveryStatus::Pending => due.endpoint.failing_since.or(Some(attempt.at)),
        };
        db::endpoints::set_failing_since(&mut tx, &delivery.endpoint_id, failing_since).await?;
        self.commit(tx).await?;
        Ok(true)
    }

    /// Stops telling an endpoint (it answered 410, or failed for days).
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn disable_endpoint(&self, id: &str) -> Result<(), CoreError> {
        let mut tx = self.begin().await?;
        db::endpoints::disable(&mut tx, id).await?;
        db::deliveries::give_up(&mut tx, id, self.now()).await?;
        Ok(self.commit(tx).await?)
    }

    /// When the next delivery is due.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn next_delivery_at(&self) -> Result<Option<Moment>, CoreError> {
        Ok(db::deliveries::next_due(&mut self.read().await?).await?.map(Moment::from_millis))
    }

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
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::Db`].
    pub async fn replay_delivery(&self, caller: &Caller, id: &str) -> Result<(Delivery, Event), CoreError> {
        caller.require_any(&[Scope::WebhooksWrite, Scope::AppsAdmin])?;
        let now = self.now();
        let mut tx = self.begin().await?;
        let (delivery, event) = own_delivery(&mut tx, caller, id).await?;
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
