//! What happens once to a new installation, and what is thrown away when it is old.

use std::time::Duration;

use super::{
    Application, Caller, CertificateState, Core, CoreError, Document, Environment, Lifecycle, Moment, NewApplication,
    NewKey, Reason, ReasonCode, Scope, SecretKey, Surface, change::Change, checking::settle, jobs::JobKind,
};
use crate::db;

/// Between two sweeps.
const SWEEP_PERIOD: Duration = Duration::from_mins(1);
/// Reports are recognised for this long; an edge gives up on one far sooner.
const REPORTS_KEEP: Duration = Duration::from_hours(7 * 24);
/// Expired certificates per sweep; the rest waits for the next one.
const EXPIRED_PER_SWEEP: i64 = 500;
/// Old deliveries per sweep: twice as many a minute as any installation makes for long.
const DELIVERIES_PER_SWEEP: i64 = 2000;
/// The one sweep job.
pub(crate) const SWEEP: &str = "all";

impl Core {
    /// Makes what every installation has: the sweep's job and the feed's epoch. May be called at every start.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn prepare(&self) -> Result<(), CoreError> {
        self.begin_epoch().await?;
        let mut tx = self.begin().await?;
        let key = format!("{}:{SWEEP}", JobKind::Sweep);
        db::jobs::ensure(&mut tx, &key, JobKind::Sweep, SWEEP, self.now()).await?;
        Ok(tx.commit().await?)
    }

    /// Makes the demo account, its application and the key that the surface's documents use, if they use one, unless
    /// they are there. Development only.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn seed_demo(&self, default_origin: Option<&str>, surface: Surface) -> Result<(), CoreError> {
        let Some(key) = self.settings.policy(surface).demo_key.as_deref() else { return Ok(()) };
        let secret = SecretKey::demo(key);
        if db::api_keys::find_by_hash(&mut self.read().await?, secret.sha256()).await?.is_some() {
            return Ok(());
        }
        let account = self.create_account("Demo").await?;
        let caller = Caller::operator(&account.id, Environment::Test, surface);
        let mut tx = self.begin().await?;
        let new = NewApplication {
            name: "Demo".to_owned(),
            default_origin: default_origin.map(str::to_owned),
            ..NewApplication::default()
        };
        let Application { id, .. } = self.create_application(&mut tx, &caller, new).await?;
        let key = NewKey { name: "demo".to_owned(), scopes: Scope::ALL.to_vec() };
        self.insert_key(&mut tx, &account.id, &id, &caller, key, &secret).await?;
        Ok(self.commit(tx).await?)
    }

    /// Throws away what is too old and lets certificates end. Answers when to come again.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn sweep(&self) -> Result<Moment, CoreError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        db::idempotency::forget(&mut tx, now).await?;
        db::certificates::forget_reports(&mut tx, now.before(REPORTS_KEEP)).await?;
        db::gate::bury(&mut tx, now.before(self.settings.tombstone_keep)).await?;
        db::endpoints::forget_former(&mut tx, now).await?;
        db::visits::forget(&mut tx, now).await?;
        db::deliveries::forget(&mut tx, now.before(self.settings.deliveries_keep), DELIVERIES_PER_SWEEP).await?;
        tx.commit().await?;
        let ended = db::certificates::ended(&mut self.read().await?, now, EXPIRED_PER_SWEEP).await?;
        for claim_id in ended {
            self.expire_certificate(&claim_id, now).await?;
        }
        Ok(now.after(SWEEP_PERIOD))
    }

    async fn expire_certificate(&self, claim_id: &str, now: Moment) -> Result<(), CoreError> {
        let mut tx = self.begin().await?;
        let Some(claim) = db::claims::find(&mut tx, claim_id).await? else { return Ok(()) };
        db::hostnames::lock(&mut tx, &claim.hostname).await?;
        let Some(before) = db::claims::find(&mut tx, claim_id).await? else { return Ok(()) };
        // Its successor may have been reported until the lock was ours.
        let known = db::certificates::of_claim(&mut tx, &before.hostname, claim_id).await?;
        let has_ended = known.and_then(|known| known.not_after).is_some_and(|end| end < now);
        if !has_ended || before.lifecycle != Lifecycle::Active {
            return Ok(());
        }
        db::certificates::expire(&mut tx, &before.hostname, claim_id, now).await?;
        let mut after = before.clone();
        after.certificate = CertificateState::Expired;
        after.reason = Some(Document(Reason::new(ReasonCode::CertificateExpired)));
        after.error_code = Some(ReasonCode::CertificateExpired.to_string());
        let mut events = Vec::new();
        settle(&before, &mut after, &mut events, now, &self.settings);
        self.save(&mut tx, Change { before: Some(&before), after, events }, now).await?;
        Ok(self.commit(tx).await?)
    }
}
