//! Table `audit_log`.

use super::{DbError, Session, sql};
use crate::core::Moment;

pub(crate) async fn insert(
    tx: &mut Session,
    id: &str,
    account_id: &str,
    actor: &str,
    action: &str,
    subject: &str,
    at: Moment,
) -> Result<(), DbError> {
    sql("INSERT INTO audit_log (id, account_id, actor, action, subject, detail, at) VALUES ($1, $2, $3, $4, $5, '', $6)")
        .bind(id)
        .bind(account_id)
        .bind(actor)
        .bind(action)
        .bind(subject)
        .bind(at)
        .run(tx)
        .await
        .map(drop)
}
