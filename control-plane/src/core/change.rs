//! The one way a claim changes: row, events, jobs and gate in one transaction, in the order in which locks are taken.

use serde_json::Value;

use super::{
    Claim, Core, CoreError, EventKind, GateRow, Lifecycle, Moment, events,
    feed::note_tenant,
    jobs::{self, JobKind},
};
use crate::db::{self, Session};

/// What shall become of a claim.
pub(crate) struct Change<'a> {
    /// As it was read in this transaction; `None` makes it.
    pub(crate) before: Option<&'a Claim>,
    /// As it shall be.
    pub(crate) after: Claim,
    /// What happened.
    pub(crate) events: Vec<(EventKind, Value)>,
}

impl Core {
    /// Writes a change. The caller holds the hostname's row.
    pub(crate) async fn save(&self, tx: &mut Session, change: Change<'_>, now: Moment) -> Result<Claim, CoreError> {
        let Change { before, mut after, mut events } = change;
        let was_open = before.is_some_and(Claim::is_open);
        let was_holder = before.is_some_and(Claim::is_holder);
        let serves_otherwise = before.map_or_else(|| after.is_open(), |before| before.serves_otherwise(&after));
        if serves_otherwise || before.is_none() {
            after.generation = db::hostnames::next_generation(tx, &after.hostname).await?;
        }
        after.updated_at = now;
        self.write_row(tx, before, &mut after).await?;
        schedule_jobs(tx, before, &after).await?;
        self.mark(&after, &mut events);
        events::publish(tx, &after, &events, now).await?;
        if after.lifecycle != Lifecycle::Active && was_holder {
            db::hostnames::release(tx, &after.hostname, &after.account_id, now).await?;
        }
        let is_pointing_otherwise = before.is_none_or(|before| before.is_pointing() != after.is_pointing());
        if after.is_open() && (serves_otherwise || is_pointing_otherwise) {
            self.open_gate(tx, &after, now).await?;
        } else if was_open && !after.is_open() {
            let seq = db::gate::next_seq(tx).await?;
            db::gate::close(tx, &after.hostname, &after.id, after.generation, seq, now).await?;
        }
        Ok(after)
    }

    /// Every event about a name that a person should look at says why.
    fn mark(&self, claim: &Claim, events: &mut [(EventKind, Value)]) {
        let review: Vec<_> = match events.is_empty() {
            true => Vec::new(),
            false => self.settings.lookalikes.suspicions(&claim.hostname),
        };
        let marked = events.iter_mut().filter(|_| !review.is_empty());
        for data in marked.filter_map(|(_, data)| data.as_object_mut()) {
            data.insert("review".to_owned(), review.iter().map(|suspicion| suspicion.code()).collect());
        }
    }

    async fn write_row(&self, tx: &mut Session, before: Option<&Claim>, after: &mut Claim) -> Result<(), CoreError> {
        let written = match before {
            None => db::claims::insert(tx, after).await.map(|()| 1),
            Some(before) => {
                after.version = before.version + 1;
                db::claims::update(tx, after, before.version).await
            }
        };
        match written {
            Ok(1..) => Ok(()),
            Ok(0) => Err(CoreError::Raced),
            Err(error) if error.is_conflict("claims_one_", "claims.") => {
                Err(CoreError::HostnameConflict { hostname: after.hostname.as_str().to_owned(), own_connection: None })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes what edges are told. Last of all: the counter's row is held until the commit.
    pub(crate) async fn open_gate(&self, tx: &mut Session, claim: &Claim, now: Moment) -> Result<(), CoreError> {
        let origin = match &claim.origin {
            Some(origin) => Some(origin.clone()),
            None => db::applications::find(tx, &claim.application_id).await?.and_then(|found| found.default_origin),
        };
        let row = GateRow {
            hostname: claim.hostname.clone(),
            seq: db::gate::next_seq(tx).await?,
            is_open: super::Flag(true),
            is_pointing: super::Flag(claim.is_pointing()),
            generation: claim.generation,
            connection_id: claim.id.clone(),
            origin,
            keep_host: claim.keep_host,
            redirect: claim.redirect.clone(),
            tenant: Some(note_tenant(claim)),
            changed_at: now,
        };
        Ok(db::gate::put(tx, &row).await?)
    }
}

async fn schedule_jobs(tx: &mut Session, before: Option<&Claim>, after: &Claim) -> Result<(), CoreError> {
    if after.lifecycle != Lifecycle::Active {
        jobs::cancel(tx, JobKind::Check, &after.id).await?;
        // One that is under way is not cut off; what it wrote stays in the ledger.
        jobs::cancel(tx, JobKind::Write, &after.id).await?;
        return jobs::cancel(tx, JobKind::Deadline, &after.id).await;
    }
    if let Some(at) = after.next_check_at
        && before.is_none_or(|before| before.next_check_at != after.next_check_at)
    {
        jobs::schedule(tx, JobKind::Check, &after.id, at).await?;
    }
    if before.is_some_and(|before| before.deadline_at == after.deadline_at) {
        return Ok(());
    }
    match after.deadline_at {
        Some(at) => jobs::schedule(tx, JobKind::Deadline, &after.id, at).await,
        None => jobs::cancel(tx, JobKind::Deadline, &after.id).await,
    }
}
