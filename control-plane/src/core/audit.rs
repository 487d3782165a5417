//! The audit log: who did what, in the transaction that did it.

use super::{CoreError, Moment, new_id};
use crate::db::{self, Session};

/// Notes that `actor` (a key's id, `worker`, `cli`) has done something.
pub(crate) async fn note(
    tx: &mut Session,
    account_id: &str,
    actor: &str,
    action: &str,
    subject: &str,
    at: Moment,
) -> Result<(), CoreError> {
    Ok(db::audit::insert(tx, &new_id(), account_id, actor, action, subject, at).await?)
}
