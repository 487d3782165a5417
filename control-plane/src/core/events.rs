//! Events: what happened to a claim, written in the transaction that made it happen.
//!
//! Numbered twice: per account for those who read on from a number, per hostname for those who need order. Each event
//! makes a delivery for every endpoint that wants it, in the same transaction: what is committed is told.

use serde_json::Value;
use sqlx::FromRow;

use super::{Caller, Claim, Core, CoreError, Document, Environment, Moment, Scope, new_id, words::words};
use crate::db::{self, Session};

words! {
    /// The core's own words; each surface has its own names for them.
    EventKind {
        /// A certificate exists, for the first time.
        CertificateIssued = "certificate.issued",
        /// An order failed.
        CertificateFailed = "certificate.failed",
        /// A certificate was followed by another.
        CertificateRenewed = "certificate.renewed",
        /// The claim was deleted.
        ClaimArchived = "claim.archived",
        /// The name points elsewhere.
        ClaimDrifted = "claim.drifted",
        /// The name is served over HTTPS, for the first time.
        ClaimLive = "claim.live",
        /// Another account has the name now.
        ClaimLost = "claim.lost",
        /// The name points here again.
        ClaimRecovered = "claim.recovered",
        /// Its time is over.
        ClaimStalled = "claim.stalled",
        /// A webhook endpoint is told nothing any more. About the account, not about a name.
        EndpointDisabled = "endpoint.disabled",
        /// Ownership was shown.
        OwnershipProven = "ownership.proven",
        /// We wrote its records.
        RecordsWritten = "records.written",
    }
}

/// An event as it is kept.
#[derive(Debug, Clone, FromRow)]
pub struct Event {
    /// Its id; also the id of the webhook message.
    pub id: String,
    /// Whose it is.
    pub account_id: String,
    /// Its number among the account's.
    pub seq: i64,
    /// Of which name; this and the next three are `None` when it is about the account.
    pub hostname: Option<String>,
    /// Its number among the name's.
    pub hostname_seq: Option<i64>,
    /// Of which claim.
    pub claim_id: Option<String>,
    /// Of which application.
    pub application_id: Option<String>,
    /// Test or live.
    pub environment: Environment,
    /// What happened.
    pub kind: EventKind,
    /// More about it.
    pub data: Document<Value>,
    /// When.
    pub created_at: Moment,
}

/// Writes the events of one claim and the deliveries that they need. The caller holds the hostname's row.
pub(crate) async fn publish(
    tx: &mut Session,
    claim: &Claim,
    kinds: &[(EventKind, Value)],
    now: Moment,
) -> Result<(), CoreError> {
    for (kind, data) in kinds {
        let event = Event {
            id: new_id(),
            account_id: claim.account_id.clone(),
            seq: db::accounts::next_event_seq(tx, &claim.account_id).await?,
            hostname: Some(claim.hostname.as_str().to_owned()),
            hostname_seq: Some(db::hostnames::next_event_seq(tx, &claim.hostname).await?),
            claim_id: Some(claim.id.clone()),
            application_id: Some(claim.application_id.clone()),
            environment: claim.environment,
            kind: *kind,
            data: Document(data.clone()),
            created_at: now,
        };
        db::events::insert(tx, &event).await?;
        super::deliveries::fan_out(tx, &event).await?;
    }
    Ok(())
}

/// Writes an event that is about the account and no name.
pub(crate) async fn publish_for_account(
    tx: &mut Session,
    account_id: &str,
    environment: Environment,
    kind: EventKind,
    data: Value,
    now: Moment,
) -> Result<(), CoreError> {
    let event = Event {
        id: new_id(),
        account_id: account_id.to_owned(),
        seq: db::accounts::next_event_seq(tx, account_id).await?,
        hostname: None,
        hostname_seq: None,
        claim_id: None,
        application_id: None,
        environment,
        kind,
        data: Document(data),
        created_at: now,
    };
    db::events::insert(tx, &event).await?;
    super::deliveries::fan_out(tx, &event).await
}

impl Core {
    /// The account's events after number `after`, at most `limit`, in order.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::Db`].
    pub async fn events(&self, caller: &Caller, after: i64, limit: i64) -> Result<Vec<Event>, CoreError> {
        caller.require_any(&[Scope::ConnectionsRead, Scope::AppsAdmin, Scope::WebhooksWrite])?;
        let mut session = self.read().await?;
        Ok(db::events::page(&mut session, &caller.account_id, caller.environment, after, limit).await?)
    }
}
