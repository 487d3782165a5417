//! Deadlines, on a timer of their own: they pass at their time, however often or seldom a claim was looked at.

use super::{
    Claim, Core, CoreError, Deadline, Document, EventKind, Lifecycle, Moment, Ownership, Reason, ReasonCode,
    change::Change, connections::about,
};
use crate::db;

impl Core {
    /// Lets a claim's deadline pass if it has. Answers when it is to be looked at again, if ever.
    ///
    /// # Errors
    /// [`CoreError::Db`], [`CoreError::Raced`].
    pub async fn pass_deadline(&self, claim_id: &str) -> Result<Option<Moment>, CoreError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let Some(claim) = db::claims::find(&mut tx, claim_id).await? else { return Ok(None) };
        db::hostnames::lock(&mut tx, &claim.hostname).await?;
        let Some(before) = db::claims::find(&mut tx, claim_id).await? else { return Ok(None) };
        let Some(at) = before.deadline_at.filter(|_| before.lifecycle == Lifecycle::Active) else { return Ok(None) };
        if at > now {
            return Ok(Some(at));
        }
        let (after, kind) = match before.deadline {
            Deadline::None => return Ok(None),
            Deadline::Running => (self.stall(&before, now), EventKind::ClaimStalled),
            Deadline::Passed => (give_up(&before), EventKind::ClaimLost),
        };
        let events = vec![(kind, about(&after))];
        let after = self.save(&mut tx, Change { before: Some(&before), after, events }, now).await?;
        self.commit(tx).await?;
        Ok(after.deadline_at)
    }

    /// The gate closes and the proof is stale: reviving it takes a fresh one, since the name may have been sold.
    fn stall(&self, before: &Claim, now: Moment) -> Claim {
        let mut after = before.clone();
        after.deadline = Deadline::Passed;
        after.deadline_at = Some(now.after(self.settings.give_up_after));
        after.ownership = Ownership::Unproven;
        let fix = before.reason.as_ref().and_then(|reason| reason.0.fix.clone());
        after.reason = Some(Document(Reason { fix, ..Reason::new(ReasonCode::DeadlinePassed) }));
        after
    }
}

fn give_up(before: &Claim) -> Claim {
    let mut after = before.clone();
    after.lifecycle = Lifecycle::Failed;
    after.error_code = Some(ReasonCode::DeadlinePassed.to_string());
    (after.deadline, after.deadline_at) = (Deadline::None, None);
    (after.next_check_at, after.next_attempt_at) = (None, None);
    after
}
