//! Table `applications`.

use super::{DbError, Session, sql};
use crate::core::{Application, Document, Environment};

pub(crate) async fn insert(tx: &mut Session, application: &Application) -> Result<(), DbError> {
    sql("INSERT INTO applications (id, account_id, name, environment, allowed_origins, record_template, default_origin,
         default_keep_host, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
    .bind(&application.id)
    .bind(&application.account_id)
    .bind(&application.name)
    .bind(application.environment)
    .bind(application.allowed_origins.to_text())
    .bind(application.record_template.to_text())
    .bind(application.default_origin.clone())
    .bind(application.default_keep_host.0)
    .bind(application.created_at)
    .bind(application.updated_at)
    .run(tx)
    .await
    .map(drop)
}

pub(crate) async fn update(tx: &mut Session, application: &Application) -> Result<(), DbError> {
    sql("UPDATE applications SET name = $2, allowed_origins = $3, record_template = $4, default_origin = $5,
         default_keep_host = $6, updated_at = $7 WHERE id = $1")
    .bind(&application.id)
    .bind(&application.name)
    .bind(application.allowed_origins.to_text())
    .bind(application.record_template.to_text())
    .bind(application.default_origin.clone())
    .bind(application.default_keep_host.0)
    .bind(application.updated_at)
    .run(tx)
    .await
    .map(drop)
}

pub(crate) async fn find(session: &mut Session, id: &str) -> Result<Option<Application>, DbError> {
    sql("SELECT * FROM applications WHERE id = $1").bind(id).optional(session).await
}

/// The lists of those that have one.
pub(crate) async fn allowed_origins(session: &mut Session) -> Result<Vec<Document<Vec<String>>>, DbError> {
    let lists = sql("SELECT DISTINCT allowed_origins FROM applications WHERE allowed_origins <> '[]'");
    let lists = lists.all::<(Document<Vec<String>>,)>(session).await?;
    Ok(lists.into_iter().map(|(list,)| list).collect())
}

/// The newest first: ids grow with time.
pub(crate) async fn page(
    session: &mut Session,
    account_id: &str,
    environment: Environment,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Application>, DbError> {
    sql("SELECT * FROM applications WHERE account_id = $1 AND environment = $2 AND id < $3 ORDER BY id DESC LIMIT $4")
        .bind(account_id)
        .bind(environment)
        .bind(after.unwrap_or(super::AFTER_ALL))
        .bind(limit)
        .all(session)
        .await
}
