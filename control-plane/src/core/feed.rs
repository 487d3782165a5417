//! What edges read: the gate, its changes by number, and all of it at once.

use names::{Hostname, Tenant};
use sqlx::FromRow;

use super::{Claim, Core, CoreError, Flag, Moment};
use crate::db;

/// How long edges are told that a restored list is meant: long enough for those that were away for a restart.
const CONFIRMED_FOR: std::time::Duration = std::time::Duration::from_hours(1);

/// What an edge is told of a name.
#[derive(Debug, Clone, FromRow)]
pub struct GateRow {
    /// The name.
    #[sqlx(try_from = "String")]
    pub hostname: Hostname,
    /// Its place in the feed.
    pub seq: i64,
    /// Whether it may be served. Closed rows are tombstones.
    pub is_open: Flag,
    /// Whether it points here.
    pub is_pointing: Flag,
    /// Version of what is served.
    pub generation: i64,
    /// For logs.
    pub connection_id: String,
    /// Where requests go.
    pub origin: Option<String>,
    /// Whether the customer's Host is kept.
    pub keep_host: Flag,
    /// Answer with a redirect instead.
    pub redirect: Option<String>,
    /// For which connection it is open, and whose that is; `tenant()` reads it.
    pub tenant: Option<String>,
    /// When it was written.
    pub changed_at: Moment,
}

/// What the ask answers.
#[derive(Debug, Clone, FromRow)]
pub struct Allowed {
    /// The name.
    #[sqlx(try_from = "String")]
    pub hostname: Hostname,
    /// Version of what is served.
    pub generation: i64,
    /// For logs.
    pub connection_id: String,
    /// Where requests go.
    pub origin: Option<String>,
    /// Whether the customer's Host is kept.
    pub keep_host: Flag,
    /// Answer with a redirect instead.
    pub redirect: Option<String>,
    /// For which connection it is open, and whose that is; `tenant()` reads it.
    pub tenant: Option<String>,
}

impl GateRow {
    /// Whose the name is.
    pub fn tenant(&self) -> Option<Tenant> {
        read_tenant(self.tenant.as_deref()?, &self.connection_id)
    }
}

impl Allowed {
    /// Whose the name is.
    pub fn tenant(&self) -> Option<Tenant> {
        read_tenant(self.tenant.as_deref()?, &self.connection_id)
    }
}

/// Whose a connection's name is: the application's, which belongs to one account for ever. Its id says nothing but which
/// names have the same owner. With the connection before it: a release that knows no tenants writes its rows over ours,
/// and leaves this as it was.
pub(crate) fn note_tenant(claim: &Claim) -> String {
    format!("{} {}", claim.id, claim.application_id)
}

fn read_tenant(noted: &str, connection_id: &str) -> Option<Tenant> {
    noted.strip_prefix(connection_id)?.strip_prefix(' ')?.parse().ok()
}

/// Where the feed stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Which run of the sequence.
    pub epoch: u64,
    /// The newest number.
    pub head: i64,
    /// Changes up to this number may be gone.
    pub floor: i64,
    /// The operator means it, however little is left.
    pub confirmed: bool,
}

impl Core {
    /// The gate's answer for one name: what to serve, or nothing. One read of one index.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn ask(&self, hostname: &Hostname) -> Result<Option<Allowed>, CoreError> {
        Ok(self.db.ask(hostname).await?)
    }

    /// Where the feed stands.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn feed_standing(&self) -> Result<Standing, CoreError> {
        let now = self.clock().now().as_secs();
        let mut session = self.read().await?;
        Ok(Standing {
            epoch: db::facts::number(&mut session, db::facts::EPOCH).await?.unwrap_or(0),
            confirmed: db::facts::number(&mut session, db::facts::CONFIRMED).await?.is_some_and(|until| until > now),
            floor: db::gate::counter(&mut session, db::gate::FLOOR).await?,
            head: db::gate::counter(&mut session, db::gate::HEAD).await?,
        })
    }

    /// Changes after number `after`, at most `limit`, in order. Only the newest of each name.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn gate_changes(&self, after: i64, limit: i64) -> Result<Vec<GateRow>, CoreError> {
        Ok(db::gate::changes(&mut self.read().await?, after, limit).await?)
    }

    /// Open names after `after` in their order, at most `limit`.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn gate_page(&self, after: &str, limit: i64) -> Result<Vec<GateRow>, CoreError> {
        Ok(db::gate::open_page(&mut self.read().await?, after, limit).await?)
    }

    /// How many names are open.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn gate_count(&self) -> Result<i64, CoreError> {
        Ok(db::gate::count_open(&mut self.read().await?).await?)
    }

    /// Names the run of the sequence if it has no name yet. Called once after migrating.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn begin_epoch(&self) -> Result<(), CoreError> {
        let mut tx = self.begin().await?;
        db::facts::set_if_missing(&mut tx, db::facts::EPOCH, &self.now().as_secs().to_string()).await?;
        Ok(tx.commit().await?)
    }

    /// Says that the database came from a backup and is meant: the sequence gets another name, so that edges read
    /// everything anew, and for an hour they believe a list that is much shorter than theirs. Answers the end of that
    /// hour.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn resume_from_backup(&self) -> Result<Moment, CoreError> {
        let now = self.clock().now().as_secs();
        let until = self.now().after(CONFIRMED_FOR);
        let mut tx = self.begin().await?;
        let last = db::facts::number(&mut tx, db::facts::EPOCH).await?.unwrap_or(0);
        // Above every name that an edge may have heard: names are the times at which they were given.
        let epoch = now.max(last.saturating_add(1));
        db::facts::set(&mut tx, db::facts::EPOCH, &epoch.to_string()).await?;
        db::facts::set(&mut tx, db::facts::CONFIRMED, &until.as_secs().to_string()).await?;
        tx.commit().await?;
        Ok(until)
    }

    /// Writes the gate rows of an application's connections anew, for those that inherit its origin. Each only moves on
    /// in the feed when something differs.
    ///
    /// # Errors
    /// [`CoreError::Db`], [`CoreError::Raced`].
    pub async fn reroute(&self, application_id: &str) -> Result<(), CoreError> {
        const PAGE: i64 = 200;
        let mut after = String::new();
        loop {
            let mut session = self.read().await?;
            let ids = db::claims::held_inheriting(&mut session, application_id, &after, PAGE).await?;
            drop(session);
            let Some(last) = ids.last() else { return Ok(()) };
            after.clone_from(last);
            for id in &ids {
                self.reroute_one(id).await?;
            }
        }
    }

    async fn reroute_one(&self, claim_id: &str) -> Result<(), CoreError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let Some(claim) = db::claims::find(&mut tx, claim_id).await? else { return Ok(()) };
        db::hostnames::lock(&mut tx, &claim.hostname).await?;
        let Some(before) = db::claims::find(&mut tx, claim_id).await?.filter(|c| c.is_open() && c.origin.is_none())
        else {
            return Ok(());
        };
        let application = db::applications::find(&mut tx, &before.application_id).await?;
        let row = db::gate::find(&mut tx, &before.hostname).await?;
        if row.map(|row| row.origin) == application.map(|application| application.default_origin) {
            return Ok(());
        }
        let mut after = before.clone();
        after.generation = db::hostnames::next_generation(&mut tx, &after.hostname).await?;
        after.version += 1;
        db::claims::update(&mut tx, &after, before.version).await?;
        self.open_gate(&mut tx, &after, now).await?;
        Ok(self.commit(tx).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_read_for_its_own_connection_and_no_other() {
        let tenant = |noted: &str, id: &str| read_tenant(noted, id).map(|tenant| tenant.to_string());
        assert_eq!(tenant("conn_1 app_1", "conn_1").as_deref(), Some("app_1"));
        for (noted, id) in
            [("conn_1 app_1", "conn_2"), ("conn_11 app_1", "conn_1"), ("conn_1", "conn_1"), ("", "conn_1")]
        {
            assert_eq!(tenant(noted, id), None, "{noted} of {id}");
        }
    }
}
