//! The sender's side of deliveries: what is due, a lease on it, and what came of a try.
//!
//! A lease moves a delivery's time to the lease's end: who dies while sending leaves one that is due again, and nothing
//! has to clean up. Locks are taken in the order hostname, account, endpoint, delivery.

use std::time::Duration;

use serde_json::json;
use sqlx::FromRow;

use super::{
    Core, CoreError, Delivery, DeliveryAttempt, DeliveryStatus, Event, EventKind, Flag, Moment, WebhookEndpoint, audit,
    events, new_id, words::words,
};
use crate::db::{self, Session};

words! {
    /// Why an endpoint is told nothing any more.
    DisableReason {
        /// Its owner wants it so.
        Asked = "asked",
        /// Nothing reached it for days.
        Failing = "failing",
        /// It answered 410.
        Gone = "gone",
    }
}

/// An endpoint that something is to be sent to.
#[derive(Debug, Clone, FromRow)]
pub struct DueEndpoint {
    /// Its id.
    pub endpoint_id: String,
    /// When the first delivery to it is due.
    pub due_at: Moment,
    /// Whether the last try failed.
    pub is_failing: Flag,
}

/// A delivery that is due, with all that its sender needs. It is leased: others leave it alone until its lease ends.
#[derive(Debug, Clone)]
pub struct DueDelivery {
    /// The delivery, as it was before the lease: `next_retry_at` is when it was due.
    pub delivery: Delivery,
    /// Proof of the lease.
    pub lease_token: String,
    /// To where.
    pub endpoint: WebhookEndpoint,
    /// Of what.
    pub event: Event,
}

/// What follows from a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// None: the endpoint took it.
    Delivered,
    /// It is tried again.
    Retry(Moment),
    /// It was tried often enough.
    GiveUp,
    /// The endpoint wants nothing any more.
    Gone,
}

impl NextStep {
    fn status(self) -> DeliveryStatus {
        match self {
            Self::Delivered => DeliveryStatus::Delivered,
            Self::Retry(_) => DeliveryStatus::Pending,
            Self::GiveUp | Self::Gone => DeliveryStatus::Failed,
        }
    }

    fn again_at(self) -> Option<Moment> {
        match self {
            Self::Retry(at) => Some(at),
            Self::Delivered | Self::GiveUp | Self::Gone => None,
        }
    }
}

/// What became of the record of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// The lease had ended, or the endpoint: nothing was written.
    Lost,
    /// It is written.
    Kept,
    /// It is written, and the endpoint is told nothing any more.
    Disabled(DisableReason),
}

impl Core {
    /// Endpoints with deliveries that have a time, at most `limit`: those that take what they get before those that fail,
    /// and of each the ones that are due first.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn delivery_schedule(&self, limit: i64) -> Result<Vec<DueEndpoint>, CoreError> {
        Ok(db::deliveries::schedule(&mut self.read().await?, limit).await?)
    }

    /// Leases at most `limit` deliveries to an endpoint that are due. What waits for an endpoint that is told nothing any
    /// more is given up instead.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn lease_deliveries(
        &self,
        endpoint_id: &str,
        limit: i64,
        lease: Duration,
    ) -> Result<Vec<DueDelivery>, CoreError> {
        let now = self.now();
        let lease_token = new_id();
        let mut tx = self.begin().await?;
        let endpoint = db::endpoints::find(&mut tx, endpoint_id).await?;
        let Some(endpoint) = endpoint.filter(|endpoint| endpoint.enabled.0) else {
            db::deliveries::give_up(&mut tx, endpoint_id, now).await?;
            tx.commit().await?;
            return Ok(Vec::new());
        };
        let leased = db::deliveries::lease(&mut tx, endpoint_id, now, now.after(lease), &lease_token, limit).await?;
        let mut due = Vec::with_capacity(leased.len());
        for delivery in leased {
            if let Some(event) = db::events::find(&mut tx, &delivery.event_id).await? {
                let (lease_token, endpoint) = (lease_token.clone(), endpoint.clone());
                due.push(DueDelivery { delivery, lease_token, endpoint, event });
            }
        }
        // Without the bell: a lease is no news for anyone.
        tx.commit().await?;
        Ok(due)
    }

    /// Writes down a try and what follows from it, for the next delivery of the name and for the endpoint too.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn record_delivery_attempt(
        &self,
        due: &DueDelivery,
        attempt: &DeliveryAttempt,
        next: NextStep,
    ) -> Result<Recorded, CoreError> {
        let now = self.now();
        let delivery = &due.delivery;
        let mut tx = self.begin().await?;
        if let Some(hostname) = &delivery.hostname {
            db::hostnames::hold(&mut tx, hostname).await?;
        }
        if next.status() == DeliveryStatus::Failed {
            db::accounts::hold(&mut tx, &delivery.account_id).await?;
        }
        let failing_since = match next {
            NextStep::Delivered => db::endpoints::recovered(&mut tx, &delivery.endpoint_id).await?,
            _ => db::endpoints::failed(&mut tx, &delivery.endpoint_id, attempt.at).await?,
        };
        let finished_at = (next.status() != DeliveryStatus::Pending).then_some(now);
        let token = &due.lease_token;
        let held = db::deliveries::settle(&mut tx, &delivery.id, token, next.status(), next.again_at(), finished_at);
        if held.await? == 0 {
            return Ok(Recorded::Lost);
        }
        db::deliveries::insert_attempt(&mut tx, &delivery.id, attempt).await?;
        if let Some(hostname) = delivery.hostname.as_deref().filter(|_| finished_at.is_some()) {
            db::deliveries::wake_next(&mut tx, &delivery.endpoint_id, hostname, now).await?;
        }
        let Some(reason) = self.reason_to_disable(next, failing_since, now) else {
            tx.commit().await?;
            return Ok(Recorded::Kept);
        };
        disable(&mut tx, &due.endpoint, reason, failing_since, now).await?;
        self.commit(tx).await?;
        Ok(Recorded::Disabled(reason))
    }

    /// A delivery must have been given up, not merely failed: an endpoint that is seldom told anything is not disabled
    /// for one bad minute long after another.
    fn reason_to_disable(&self, next: NextStep, failing_since: Option<Moment>, now: Moment) -> Option<DisableReason> {
        let is_long = failing_since.is_some_and(|since| now.since(since) >= self.settings.disable_after);
        match next {
            NextStep::Gone => Some(DisableReason::Gone),
            NextStep::GiveUp if is_long => Some(DisableReason::Failing),
            NextStep::Delivered | NextStep::GiveUp | NextStep::Retry(_) => None,
        }
    }
}

/// The account's row is held: no event is fanned out meanwhile.
async fn disable(
    tx: &mut Session,
    endpoint: &WebhookEndpoint,
    reason: DisableReason,
    failing_since: Option<Moment>,
    now: Moment,
) -> Result<(), CoreError> {
    db::endpoints::disable(tx, &endpoint.id, reason).await?;
    db::deliveries::give_up(tx, &endpoint.id, now).await?;
    let data = json!({
        "endpoint_id": endpoint.id,
        "reason": reason,
        "failing_since_ms": failing_since.map(Moment::as_millis),
    });
    // To the account's other endpoints, and to those who read events.
    let (account, environment) = (&endpoint.account_id, endpoint.environment);
    events::publish_for_account(tx, account, environment, EventKind::EndpointDisabled, data, now).await?;
    audit::note(tx, account, "worker", "webhook_endpoint.disable", &endpoint.id, now).await
}
