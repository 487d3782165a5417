//! Removing certificates with their keys.

use names::Subject;
use serde_json::Value;
use sqlx::{Row as _, types::Json};

use super::{PostgresStore, Task};
use crate::{Leaving, StoreError};

const LOOK: &str = "SELECT issuer, seq, meta FROM namegate_edge.certificates WHERE name = $1";
/// Somebody may have saved another one since the look: that one has another number.
const PURGE: &str = "DELETE FROM namegate_edge.certificates WHERE name = $1 AND issuer = $2 AND seq = $3";

impl PostgresStore {
    /// Removes what is `leaving` of every issuer's entries. How many went.
    pub(super) async fn purge_certificates(&self, name: &Subject, leaving: &Leaving) -> Result<usize, StoreError> {
        let task = Task { op: "purge", action: "remove", entry: name.as_str() };
        let rows = self.run(task, sqlx::query(LOOK).bind(name.as_str()).fetch_all(&self.pool)).await?;
        let mut gone = 0;
        for row in rows {
            // Broken metadata are as good as none.
            let meta = row.try_get("meta").map_or(Value::Null, |Json(meta)| meta);
            if leaving.takes(&meta) {
                let purge = async {
                    let (issuer, seq): (String, i64) = (row.try_get("issuer")?, row.try_get("seq")?);
                    sqlx::query(PURGE).bind(name.as_str()).bind(issuer).bind(seq).execute(&self.pool).await
                };
                gone += usize::try_from(self.run(task, purge).await?.rows_affected()).unwrap_or_default();
            }
        }
        Ok(gone)
    }
}
