//! Walking over all certificates, and over those that changed.

use clock::Timestamp;
use serde_json::Value;
use sqlx::{Row as _, postgres::PgRow, types::Json};

use super::{PostgresStore, Task, signed, unsigned};
use crate::{
    Changes, IssuerKey, Scanned, StoreError,
    store::{counted_at, tenant_of},
};

/// Rows of one piece.
const PIECE: i64 = 256;

const SCAN: &str = "SELECT name, issuer, meta, not_before, not_after FROM namegate_edge.certificates
    WHERE (name, issuer) > ($1, $2) ORDER BY name, issuer LIMIT $3";
const SEQ: &str = "SELECT seq FROM namegate_edge.changes";
const CHANGED: &str = "SELECT name, issuer, meta, not_before, not_after, seq FROM namegate_edge.certificates
    WHERE seq > $1 ORDER BY seq LIMIT $2";

impl PostgresStore {
    pub(super) async fn scan_certificates(
        &self,
        visit: &mut (dyn FnMut(Vec<Scanned>) -> bool + Send),
    ) -> Result<(), StoreError> {
        let (mut name, mut issuer) = (String::new(), String::new());
        loop {
            let piece = sqlx::query(SCAN).bind(&name).bind(&issuer).bind(PIECE);
            let task = Task { op: "scan", action: "list", entry: "certificates" };
            let rows = self.run(task, piece.fetch_all(&self.pool)).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            let place = |column: &str| last.try_get(column).map_err(|error| unreadable(&error));
            (name, issuer) = (place("name")?, place("issuer")?);
            let entries = self.entries(&rows);
            if !entries.is_empty() && !visit(entries) {
                return Ok(());
            }
        }
    }

    /// A number that is smaller than one seen before is that of a database that was put back: then all is looked at.
    pub(super) async fn changes_after(&self, seq: Option<u64>) -> Result<Changes, StoreError> {
        let task = Task { op: "changes", action: "list", entry: "changes" };
        let now = unsigned(self.run(task, sqlx::query_scalar(SEQ).fetch_one(&self.pool)).await?);
        let after = match seq {
            Some(seq) if seq < now => seq,
            Some(seq) if seq > now => 0,
            Some(_) | None => return Ok(Changes { entries: Vec::new(), seq: now, more: false }),
        };
        let changed = sqlx::query(CHANGED).bind(signed(after)).bind(PIECE);
        let rows = self.run(task, changed.fetch_all(&self.pool)).await?;
        let last = rows.last().and_then(|row| row.try_get("seq").ok()).map(unsigned);
        let more = rows.len() >= usize::try_from(PIECE).unwrap_or(usize::MAX);
        let seq = if more { last.unwrap_or(now) } else { last.unwrap_or(now).max(now) };
        Ok(Changes { entries: self.entries(&rows), seq, more })
    }

    fn entries(&self, rows: &[PgRow]) -> Vec<Scanned> {
        let entry = |row| scanned(row).inspect_err(|error| self.report(error)).ok();
        rows.iter().filter_map(entry).collect()
    }
}

fn scanned(row: &PgRow) -> Result<Scanned, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let moment = |column: &str| row.try_get::<i64, _>(column).map(|at| Timestamp::from_millis(unsigned(at)));
    let read = || Ok((text("name")?, text("issuer")?, moment("not_before")?, moment("not_after")?));
    let (name, issuer, not_before, not_after) = read().map_err(|error: sqlx::Error| unreadable(&error))?;
    let broken = |problem: String| StoreError::Broken { entry: format!("certificates/{issuer}/{name}"), problem };
    let subject = name.parse().map_err(|_| broken("it is kept under no hostname".to_owned()))?;
    // A certificate is planned without its metadata: nothing in them is needed for that.
    let meta: Value = row.try_get("meta").map(|Json(meta)| meta).unwrap_or_default();
    let (tenant, counted_at) = (tenant_of(&meta), counted_at(&meta));
    Ok(Scanned { name: subject, issuer: IssuerKey::new(issuer), tenant, counted_at, not_before, not_after })
}

fn unreadable(error: &sqlx::Error) -> StoreError {
    StoreError::Broken { entry: "certificates".to_owned(), problem: error.to_string() }
}
