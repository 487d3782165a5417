//! What we write in customers' zones: what is wanted there, what is ours there, and whose turn it is.
//!
//! Every record of ours is in the ledger **before** it is written, with what takes the whole back. A process that dies
//! between two calls of a provider leaves a job whose lease ends, a ledger that names all that may be there, and that
//! memory; the next run plans from the zone as it finds it and completes it. Deleting a connection leaves zone and
//! ledger as they are, so that the next connection of the name knows which records are ours.

use std::time::Duration;

use sqlx::FromRow;

use super::{
    Caller, Claim, Connection, Core, CoreError, Credential, DnsWrite, Document, Job, JobKind, Lifecycle, Moment,
    Ownership, Proof, WriteEnd, audit, change::Change, checking::challenge_fix, jobs, writing::judge_write,
};
use crate::db::{self, Session, attempts::Attempt};

/// A record of ours in a customer's zone.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct WrittenRecord {
    /// Its full name, in lower case and without the final dot.
    pub name: String,
    /// `A`, `AAAA`, `CNAME` or `TXT`.
    #[sqlx(rename = "type")]
    pub record_type: String,
    /// Its value.
    pub value: String,
}

/// The write of a claim's records that is under way, or was last.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub struct WriteRow {
    /// The mark of the plan that somebody agreed to.
    pub confirm: Option<String>,
    /// With which credential.
    pub credential_id: Option<String>,
    /// At which provider.
    pub provider: Option<String>,
    /// In which zone.
    pub zone: Option<String>,
    /// What takes it back, as JSON; `None` when nothing is half done.
    pub undo: Option<String>,
}

/// Everything that a write needs.
#[derive(Debug, Clone)]
pub struct WriteOrder {
    /// Whose records.
    pub connection: Connection,
    /// What of ours may be in the zone.
    pub written: Vec<WrittenRecord>,
    /// What is known of it.
    pub write: WriteRow,
    /// What it can be written with, the likeliest first.
    pub credentials: Vec<Credential>,
}

impl WriteOrder {
    /// The challenge, when it belongs into the zone: until ownership is shown, and as long as it was shown by ours.
    pub fn challenge(&self) -> Option<&Proof> {
        let proof = self.connection.challenge()?;
        let is_ours = self.written.iter().any(|record| record.value == proof.expected);
        (self.connection.claim.ownership != Ownership::Proven || is_ours).then_some(proof)
    }
}

impl Core {
    /// What is to be written for a claim. `None` when it does not stand any more.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn write_order(&self, claim_id: &str) -> Result<Option<WriteOrder>, CoreError> {
        let mut session = self.read().await?;
        let found = db::claims::find(&mut session, claim_id).await?;
        let Some(claim) = found.filter(|claim| claim.lifecycle == Lifecycle::Active) else { return Ok(None) };
        let written = db::writes::ledger(&mut session, &claim).await?;
        let write = db::writes::find(&mut session, claim_id).await?.unwrap_or_default();
        let application_id = claim.application_id.clone();
        let connection = self.load(&mut session, claim).await?;
        drop(session);
        let mut credentials = self.usable_credentials(&application_id).await?;
        // The one that wrote last has the zone, if it is still there. The order of the others stays.
        credentials.sort_by_key(|credential| Some(&credential.id) != write.credential_id.as_ref());
        Ok(Some(WriteOrder { connection, written, write, credentials }))
    }

    /// Takes on the first write of a connection in the transaction that makes it. `None` when there is nothing to write.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn take_first_write(
        &self,
        tx: &mut Session,
        made: &Connection,
        lease: Duration,
    ) -> Result<Option<Job>, CoreError> {
        match made.claim.dns_write {
            DnsWrite::Writing => jobs::begin(tx, JobKind::Write, &made.claim.id, self.now(), lease).await.map(Some),
            DnsWrite::None | DnsWrite::Done | DnsWrite::Failed => Ok(None),
        }
    }

    /// Asks for a write of a connection's records and takes it on, as its caller wishes it: `confirm` is the mark of a
    /// plan that removes records that are not ours.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::WrongState`], [`CoreError::Db`].
    pub async fn begin_apply(
        &self,
        caller: &Caller,
        id: &str,
        confirm: Option<&str>,
        lease: Duration,
    ) -> Result<Job, CoreError> {
        caller.require(super::Scope::ConnectionsWrite)?;
        let now = self.now();
        let mut tx = self.begin().await?;
        let claim = self.lock_own_claim(&mut tx, caller, id).await?;
        if claim.lifecycle != Lifecycle::Active {
            return Err(CoreError::WrongState { lifecycle: claim.lifecycle });
        }
        db::writes::confirm(&mut tx, id, confirm, now).await?;
        let job = jobs::begin(&mut tx, JobKind::Write, id, now, lease).await?;
        audit::note(&mut tx, &caller.account_id, &caller.actor, "connection.apply", id, now).await?;
        self.commit(tx).await?;
        Ok(job)
    }

    /// Writes down what is about to be written, and what takes it back. What an earlier, unfinished run wrote down
    /// stands: it began where the customer's zone was untouched.
    ///
    /// # Errors
    /// [`CoreError::Raced`] when somebody else does the job by now; [`CoreError::Db`].
    pub async fn begin_write(&self, job: &Job, row: &WriteRow, adds: &[WrittenRecord]) -> Result<(), CoreError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        if !db::jobs::holds(&mut tx, &job.key, &job.lease_token).await? {
            return Err(CoreError::Raced);
        }
        db::writes::begin(&mut tx, &job.subject, row, now).await?;
        for record in adds {
            db::writes::intend(&mut tx, &job.subject, record).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Writes down how a write ended, and ends its job or sets when it is tried again. `there` is what of ours the zone
    /// holds now; `None` when that cannot be told. Answers the connection as it is with this.
    ///
    /// # Errors
    /// [`CoreError::NotFound`], [`CoreError::Raced`], [`CoreError::Db`].
    pub async fn end_write(
        &self,
        job: &Job,
        end: &WriteEnd,
        there: Option<&[WrittenRecord]>,
    ) -> Result<Connection, CoreError> {
        let now = self.now();
        let id = &job.subject;
        let mut tx = self.begin().await?;
        let missing = CoreError::NotFound { what: "connection" };
        let Some(claim) = db::claims::find(&mut tx, id).await? else { return Err(missing) };
        db::hostnames::lock(&mut tx, &claim.hostname).await?;
        let Some(before) = db::claims::find(&mut tx, id).await? else { return Err(missing) };
        if let Some(there) = there {
            db::writes::settle(&mut tx, &before, there).await?;
        }
        let verdict = {
            let connection = self.load(&mut tx, before.clone()).await?;
            judge_write(&before, end, challenge_fix(&connection).as_ref(), now)
        };
        let goes_on = matches!(end, WriteEnd::Later { .. }) && still_waits(&before, &verdict.claim);
        match end {
            WriteEnd::Later { after, .. } if goes_on && before.lifecycle == Lifecycle::Active => {
                let again = jobs::released(std::iter::once((job, now.after(*after))));
                db::jobs::release(&mut tx, again).await?;
            }
            _ => {
                db::writes::end(&mut tx, id, now).await?;
                db::jobs::finish(&mut tx, &job.key, &job.lease_token).await?;
            }
        }
        let mut after = before.clone();
        if before.lifecycle == Lifecycle::Active && verdict.claim != before {
            note_attempt(&mut tx, &verdict.claim, end, now, self.settings.attempts_keep).await?;
            let change = Change { before: Some(&before), after: verdict.claim, events: verdict.events };
            after = self.save(&mut tx, change, now).await?;
        }
        let connection = self.load(&mut tx, after).await?;
        self.commit(tx).await?;
        Ok(connection)
    }

    /// Takes the turn of a zone for a while, or lengthens it. `false`: it is another's.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn take_turn(&self, zone: &str, holder: &str, lease: Duration) -> Result<bool, CoreError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let taken = db::writes::take_turn(&mut tx, zone, holder, now, now.after(lease)).await?;
        tx.commit().await?;
        Ok(taken)
    }

    /// Gives a turn back.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn give_turn(&self, zone: &str, holder: &str) -> Result<(), CoreError> {
        let mut tx = self.begin().await?;
        db::writes::give_turn(&mut tx, zone, holder).await?;
        Ok(tx.commit().await?)
    }
}

/// Whether a write that was put off is still wanted: of a claim that waits for it, or of one that never did (an `apply`
/// of a live name), which is completed rather than left half done.
fn still_waits(before: &Claim, after: &Claim) -> bool {
    before.dns_write != DnsWrite::Writing || after.dns_write == DnsWrite::Writing
}

async fn note_attempt(
    tx: &mut Session,
    claim: &Claim,
    end: &WriteEnd,
    now: Moment,
    keep: i64,
) -> Result<(), CoreError> {
    let outcome = match end {
        WriteEnd::Written { .. } => "ok",
        WriteEnd::Later { .. } => "waiting",
        WriteEnd::Refused { .. } | WriteEnd::NotOurs => "failed",
    };
    let reason = match end {
        WriteEnd::Later { reason, .. } | WriteEnd::Refused { reason } => Some(reason),
        WriteEnd::Written { .. } | WriteEnd::NotOurs => None,
    };
    let attempt = Attempt {
        n: 0,
        at: now,
        kind: "dns_write".to_owned(),
        outcome: outcome.to_owned(),
        reason_code: reason.map(|reason| reason.code.clone()),
        detail: reason.and_then(|reason| serde_json::to_value(reason).ok()).map(Document),
    };
    Ok(db::attempts::insert(tx, &claim.id, &attempt, keep).await?)
}
