//! Table `accounts`.

use super::{DbError, Session, sql};
use crate::core::{Account, Plan};

pub(crate) async fn insert(tx: &mut Session, account: &Account) -> Result<(), DbError> {
    sql("INSERT INTO accounts (id, name, plan, created_at) VALUES ($1, $2, $3, $4)")
        .bind(&account.id)
        .bind(&account.name)
        .bind(account.plan)
        .bind(account.created_at)
        .run(tx)
        .await
        .map(drop)
}

pub(crate) async fn find(session: &mut Session, id: &str) -> Result<Option<Account>, DbError> {
    sql("SELECT id, name, plan, created_at FROM accounts WHERE id = $1").bind(id).optional(session).await
}

pub(crate) async fn all(session: &mut Session) -> Result<Vec<Account>, DbError> {
    sql("SELECT id, name, plan, created_at FROM accounts ORDER BY created_at, id").all(session).await
}

pub(crate) async fn set_plan(tx: &mut Session, id: &str, plan: Plan) -> Result<u64, DbError> {
    sql("UPDATE accounts SET plan = $2 WHERE id = $1").bind(id).bind(plan).run(tx).await
}

/// Holds the account until the end of the transaction: no event of it is written meanwhile.
pub(crate) async fn hold(tx: &mut Session, id: &str) -> Result<(), DbError> {
    sql("UPDATE accounts SET event_seq = event_seq WHERE id = $1").bind(id).run(tx).await.map(drop)
}

/// The number of the account's next event. Its row stays locked until the commit.
pub(crate) async fn next_event_seq(tx: &mut Session, id: &str) -> Result<i64, DbError> {
    let next = sql("UPDATE accounts SET event_seq = event_seq + 1 WHERE id = $1 RETURNING event_seq").bind(id);
    next.one::<(i64,)>(tx).await.map(|(seq,)| seq)
}
