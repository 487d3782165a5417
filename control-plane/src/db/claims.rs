//! Table `claims`.

use names::Hostname;

use super::{DbError, Rows, Session, Sql, sql};
use crate::core::{Claim, ConnectionFilter, Environment, FacetQuery, Moment};

const COLUMNS: &str = "id, account_id, application_id, environment, surface, hostname, kind, setup_type, provider, \
    batch_id, origin, keep_host, redirect, ownership, routing, preflight, dns_write, certificate, lifecycle, deadline, \
    deadline_at, reason_code, reason, error_code, proof, verified_at, pointing_at, live_at, drift_since, absent_streak, check_count, \
    last_checked_at, next_check_at, next_attempt_at, generation, version, created_at, updated_at, archived_at, write_since, written_at";
/// As many as there are columns.
const PLACES: usize = 41;

/// Who holds a name, as the unique index says it: its gate is open, unless a preflight keeps it closed.
pub(crate) const HELD: &str = "lifecycle = 'active' AND ownership = 'proven' AND deadline <> 'passed'";

pub(crate) async fn insert(tx: &mut Session, claim: &Claim) -> Result<(), DbError> {
    let places = (1..=PLACES).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
    bind_all(sql(format!("INSERT INTO claims ({COLUMNS}) VALUES ({places})")), claim).run(tx).await.map(drop)
}

/// Writes the whole row if it still is at `version`.
pub(crate) async fn update(tx: &mut Session, claim: &Claim, version: i64) -> Result<u64, DbError> {
    let sets = COLUMNS.split(", ").enumerate().skip(1);
    let sets = sets.map(|(index, column)| format!("{} = ${}", column.trim(), index + 1)).collect::<Vec<_>>().join(", ");
    let text = format!("UPDATE claims SET {sets} WHERE id = $1 AND version = ${}", PLACES + 1);
    bind_all(sql(text), claim).bind(version).run(tx).await
}

fn bind_all(statement: Sql, claim: &Claim) -> Sql {
    statement
        .bind(&claim.id)
        .bind(&claim.account_id)
        .bind(&claim.application_id)
        .bind(claim.environment)
        .bind(claim.surface)
        .bind(&claim.hostname)
        .bind(claim.kind)
        .bind(claim.setup_type)
        .bind(claim.provider.clone())
        .bind(claim.batch_id.clone())
        .bind(claim.origin.clone())
        .bind(claim.keep_host.0)
        .bind(claim.redirect.clone())
        .bind(claim.ownership)
        .bind(claim.routing)
        .bind(claim.preflight)
        .bind(claim.dns_write)
        .bind(claim.certificate)
        .bind(claim.lifecycle)
        .bind(claim.deadline)
        .bind(claim.deadline_at)
        .bind(claim.reason.as_ref().map(|reason| reason.0.code.clone()))
        .bind(claim.reason.as_ref().map(crate::core::Document::to_text))
        .bind(claim.error_code.clone())
        .bind(claim.proof.map(crate::core::ProofKind::as_str))
        .bind(claim.verified_at)
        .bind(claim.pointing_at)
        .bind(claim.live_at)
        .bind(claim.drift_since)
        .bind(claim.absent_streak)
        .bind(claim.check_count)
        .bind(claim.last_checked_at)
        .bind(claim.next_check_at)
        .bind(claim.next_attempt_at)
        .bind(claim.generation)
        .bind(claim.version)
        .bind(claim.created_at)
        .bind(claim.updated_at)
        .bind(claim.archived_at)
        .bind(claim.write_since)
        .bind(claim.written_at)
}

pub(crate) async fn find(session: &mut Session, id: &str) -> Result<Option<Claim>, DbError> {
    sql(format!("SELECT {COLUMNS} FROM claims WHERE id = $1")).bind(id).optional(session).await
}

/// The claim that holds the name: what is served under it is served for this one.
pub(crate) async fn holder_of_hostname(session: &mut Session, hostname: &Hostname) -> Result<Option<Claim>, DbError> {
    sql(format!("SELECT {COLUMNS} FROM claims WHERE hostname = $1 AND {HELD}")).bind(hostname).optional(session).await
}

pub(crate) async fn active_of_account(
    session: &mut Session,
    account_id: &str,
    hostname: &Hostname,
) -> Result<Option<Claim>, DbError> {
    sql(format!("SELECT {COLUMNS} FROM claims WHERE account_id = $1 AND hostname = $2 AND lifecycle = 'active'"))
        .bind(account_id)
        .bind(hostname)
        .optional(session)
        .await
}

pub(crate) async fn page(
    session: &mut Session,
    account_id: &str,
    environment: Environment,
    filter: &ConnectionFilter,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Claim>, DbError> {
    let mut text = format!("SELECT {COLUMNS} FROM claims WHERE account_id = $1 AND environment = $2 AND id < $3");
    let mut args = Vec::new();
    let filters = [
        ("hostname", filter.hostname.as_ref().map(Hostname::as_str)),
        ("application_id", filter.application_id.as_deref()),
        ("batch_id", filter.batch_id.as_deref()),
    ];
    for (column, value) in filters.into_iter().filter_map(|(column, value)| Some((column, value?))) {
        args.push(value);
        text.push_str(&format!(" AND {column} = ${}", args.len() + 3));
    }
    if !filter.facets.is_empty() {
        let any = filter.facets.iter().map(condition).collect::<Vec<_>>().join(" OR ");
        text.push_str(&format!(" AND ({any})"));
    }
    text.push_str(&format!(" ORDER BY id DESC LIMIT ${}", args.len() + 4));
    let statement = sql(text).bind(account_id).bind(environment).bind(after.unwrap_or(super::AFTER_ALL));
    args.into_iter().fold(statement, Sql::bind).bind(limit).all(session).await
}

/// The words are ours, from closed sets: none of them needs an argument.
fn condition(facets: &FacetQuery) -> String {
    let mut all = Vec::new();
    let mut say = |word: Option<String>| all.extend(word);
    say(facets.lifecycle.map(|word| format!("lifecycle = '{word}'")));
    say(facets.stalled.map(|yes| format!("deadline {} 'passed'", is(yes))));
    say(facets.ownership.map(|word| format!("ownership = '{word}'")));
    say(facets.was_live.map(|yes| format!("live_at IS {}", if yes { "NOT NULL" } else { "NULL" })));
    say(facets.expired.map(|yes| format!("certificate {} 'expired'", is(yes))));
    say(one_of("routing", facets.routing.iter().map(|word| word.as_str())));
    say(one_of("dns_write", facets.dns_write.iter().map(|word| word.as_str())));
    if all.is_empty() { "1 = 1".to_owned() } else { format!("({})", all.join(" AND ")) }
}

/// No words stand for any.
fn one_of(column: &str, words: impl Iterator<Item = &'static str>) -> Option<String> {
    let words: Vec<_> = words.map(|word| format!("'{word}'")).collect();
    (!words.is_empty()).then(|| format!("{column} IN ({})", words.join(", ")))
}

fn is(yes: bool) -> &'static str {
    if yes { "=" } else { "<>" }
}

/// Looks that changed nothing: rows of id, time of the next one and the version that was looked at. Not a new version:
/// whoever changes the claim meanwhile need not care, and what they wrote is left alone.
pub(crate) async fn note_checks(tx: &mut Session, looks: Rows, at: Moment) -> Result<(), DbError> {
    let looked = tx.rows("$1");
    sql(format!(
        "UPDATE claims SET last_checked_at = $2, next_check_at = look.next, check_count = check_count + 1
         FROM (SELECT value ->> 0 AS id, CAST(value ->> 1 AS BIGINT) AS next, CAST(value ->> 2 AS BIGINT) AS version
               FROM {looked}) AS look
         WHERE claims.id = look.id AND claims.version = look.version"
    ))
    .bind(looks)
    .bind(at)
    .run(tx)
    .await
    .map(drop)
}

/// Active claims, many at once, in no order.
pub(crate) async fn active_of_ids(session: &mut Session, ids: Rows) -> Result<Vec<Claim>, DbError> {
    let (wanted, columns) = (session.rows("$1"), COLUMNS.replace(", ", ", claims."));
    let text = format!(
        "SELECT claims.{columns} FROM {wanted} JOIN claims ON claims.id = value ->> 0 WHERE lifecycle = 'active'"
    );
    sql(text).bind(ids).all(session).await
}

/// Every account's active claims of a hostname, the one that holds it first, then the newest.
pub(crate) async fn wanting(session: &mut Session, hostname: &Hostname, limit: i64) -> Result<Vec<Claim>, DbError> {
    let text = format!(
        "SELECT {COLUMNS} FROM claims WHERE hostname = $1 AND lifecycle = 'active'
         ORDER BY CASE WHEN {HELD} THEN 0 ELSE 1 END, id DESC LIMIT $2"
    );
    sql(text).bind(hostname).bind(limit).all(session).await
}

/// Claims of an application that hold their names and take its default origin, by id.
pub(crate) async fn held_inheriting(
    session: &mut Session,
    application_id: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, DbError> {
    let text = format!(
        "SELECT id FROM claims WHERE application_id = $1 AND id > $2 AND origin IS NULL AND {HELD} ORDER BY id LIMIT $3"
    );
    let ids = sql(text).bind(application_id).bind(after).bind(limit).all::<(String,)>(session).await?;
    Ok(ids.into_iter().map(|(id,)| id).collect())
}
