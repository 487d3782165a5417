//! Carrying out what [`Moves`](super::moves::Moves) and [`Releases`](super::releases::Releases) say is to go.

use std::sync::Arc;

use clock::Timestamp;
use names::{Subject, Tenant};

use super::{
    LoadError, Permission, Shared, Tenancy,
    errors::store_error,
    moves::Purge,
    releases::{Duty, Note},
};
use crate::{Bundle, IssueError, Leaving, StoreError};

/// Why certificates went; the word for metrics and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The name is another tenant's.
    Moved,
    /// The name is served no more, and its time was over.
    Released,
}

impl Reason {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Released => "released",
        }
    }
}

impl Shared {
    /// The name is `to`'s from now on.
    pub(super) fn hand_over(self: &Arc<Self>, name: &Subject, to: &Tenant) {
        self.moves.tell(name, to, self.clock.now());
        self.memory.forget_unless(name, |leaf| leaf.tenant() == Some(to));
        self.plan.lock().forget(name);
        self.changed.notify_one();
    }

    /// The name is `tenant`'s, as it was or not.
    pub(super) fn welcome(self: &Arc<Self>, name: &Subject, tenant: &Tenant) {
        let released = self.releases.known(name).and_then(|note| note.tenant);
        if released.is_some_and(|former| former != *tenant) && self.permit.tenancy(name) != Tenancy::Nobodys {
            self.hand_over(name, tenant);
        }
    }

    /// Whom a certificate of the name is to be ordered for. What the operator manages is nobody's.
    pub(super) fn tenant_for<'a>(&self, name: &Subject, told: Option<&'a Tenant>) -> Option<&'a Tenant> {
        told.filter(|_| self.permit.tenancy(name) != Tenancy::Nobodys)
    }

    /// Whether the gate says now that the name is another's than `tenant`'s.
    pub(super) fn is_anothers(&self, name: &Subject, tenant: Option<&Tenant>) -> bool {
        match self.permit.tenancy(name) {
            Tenancy::Of(current) => !Tenant::may_share(Some(&current), tenant),
            Tenancy::Gone | Tenancy::Nobodys | Tenancy::Unknown => false,
        }
    }

    /// Makes sure that nothing is read which is on its way out, for a name that is served for `tenant`.
    pub(super) async fn before_reading(
        self: &Arc<Self>,
        name: &Subject,
        tenant: Option<&Tenant>,
    ) -> Result<(), LoadError> {
        if let Some(Note { tenant: former, .. }) = self.releases.find(name).await.map_err(store_error)? {
            match tenant {
                Some(tenant) if former.as_ref().is_some_and(|former| former != tenant) => self.hand_over(name, tenant),
                _ if self.permit.tenancy(name) == Tenancy::Gone => {}
                _ => self.end_release(name),
            }
        }
        match self.moves.before_reading(name, self.clock.now()) {
            Some(purge) => self.purge(&purge).await.map_err(store_error),
            None => Ok(()),
        }
    }

    /// Whether a stored certificate may be served for `tenant`. One that may not is looked at again.
    pub(super) fn may_serve(&self, name: &Subject, bundle: &Bundle, tenant: Option<&Tenant>) -> bool {
        match (bundle.tenant(), tenant) {
            (Some(noted), Some(tenant)) if noted != *tenant => {
                self.moves.suspect(name, tenant, self.clock.now());
                self.changed.notify_one();
                false
            }
            _ => true,
        }
    }

    /// The name came back: its certificate stays.
    fn end_release(self: &Arc<Self>, name: &Subject) {
        self.releases.drop(name);
        let (shared, name) = (Arc::clone(self), name.clone());
        self.tasks.spawn(async move {
            if let Err(error) = shared.releases.end(&name).await {
                tracing::warn!(%name, error = %telemetry::chain(&error), "the note of a release is still there");
            }
        });
    }

    /// Starts whatever is due.
    pub(super) fn start_departures(self: &Arc<Self>, now: Timestamp) {
        let (purges, duties) = (self.moves.due(now), self.releases.due(now));
        if purges.is_empty() && duties.is_empty() {
            return;
        }
        let shared = Arc::clone(self);
        self.tasks.spawn(async move {
            for purge in purges {
                if let Err(error) = shared.purge(&purge).await {
                    let name = &purge.name;
                    tracing::error!(%name, error = %telemetry::chain(&error), "the certificate of a former tenant is still stored");
                }
            }
            for duty in duties {
                let (name, done) = match &duty {
                    Duty::Note(name) => (name, shared.note_release(name).await),
                    Duty::Remove(name) => (name, shared.remove_released(name).await),
                };
                if let Err(error) = done {
                    tracing::warn!(%name, error = %telemetry::chain(&error), "a released name waits for the store");
                }
            }
            shared.changed.notify_one();
        });
    }

    /// When to look again.
    pub(super) fn next_departure(&self) -> Timestamp {
        self.moves.next().min(self.releases.next())
    }

    /// Removes what is a former tenant's.
    pub(super) async fn purge(&self, purge: &Purge) -> Result<(), StoreError> {
        let Purge { name, to, leaving, suspected } = purge;
        if *suspected && !self.is_confirmed(name, to).await {
            return Ok(());
        }
        self.memory.forget_unless(name, |leaf| leaf.tenant().is_none_or(|tenant| tenant == to));
        let gone = self.store.purge(name, leaving).await?;
        for line in &self.lines {
            line.issuer.abandon(name, to).await.map_err(into_store_error)?;
        }
        self.releases.end(name).await?;
        self.moves.purged(purge, self.clock.now());
        self.removed(name, Reason::Moved, gone);
        Ok(())
    }

    /// Whether the gate says now that a name of which that is suspected is `to`'s.
    async fn is_confirmed(&self, name: &Subject, to: &Tenant) -> bool {
        match (self.ask_permit(name).await, self.permit.tenancy(name)) {
            (Permission::Renew, Tenancy::Of(current)) if current == *to => true,
            // Nobody can say now; what is suspected is not served meanwhile.
            (Permission::Unknown, _) | (_, Tenancy::Unknown) => false,
            (Permission::Renew | Permission::Stop, _) => {
                self.moves.clear(name);
                false
            }
        }
    }

    /// What the gate says, within its limit.
    pub(super) async fn ask_permit(&self, name: &Subject) -> Permission {
        let asked = tokio::time::timeout(self.settings.permit_timeout, self.permit.may_renew(name)).await;
        asked.unwrap_or(Permission::Unknown)
    }

    fn removed(&self, name: &Subject, reason: Reason, gone: usize) {
        if gone > 0 {
            self.metrics.removed(reason, gone);
            tracing::info!(%name, reason = reason.as_str(), certificates = gone, "cert.removed");
        }
    }

    /// Notes the release of a name, if there is anything that it is about.
    async fn note_release(&self, name: &Subject) -> Result<(), StoreError> {
        let kept = match self.store.load(name).await {
            // What is the wildcard's stays with the wildcard.
            Ok(bundle) => bundle.is_some_and(|bundle| super::parse(&bundle).is_ok_and(|leaf| leaf.is_named(name))),
            // Its key may be sound.
            Err(StoreError::Broken { .. }) => true,
            Err(error) => return Err(error),
        };
        // An order that is in flight may yet leave something to remove.
        match kept || self.orders.is_open(name) {
            true => self.releases.note(name).await,
            false => self.releases.end(name).await,
        }
    }

    /// The time of a released name is over. The gate has the last word: what it wants, or may want, stays.
    async fn remove_released(self: &Arc<Self>, name: &Subject) -> Result<(), StoreError> {
        match self.ask_permit(name).await {
            Permission::Unknown => return Ok(()),
            Permission::Renew => return self.releases.end(name).await,
            Permission::Stop => {}
        }
        if !self.releases.stands(name).await? {
            // Another process of this store has taken the name back.
            self.releases.drop(name);
            return Ok(());
        }
        self.memory.forget(name);
        self.plan.lock().forget(name);
        let gone = self.store.purge(name, &Leaving::All).await?;
        for line in &self.lines {
            line.issuer.settled(name).await.map_err(into_store_error)?;
        }
        self.failures.clear(name).await?;
        self.releases.end(name).await?;
        self.removed(name, Reason::Released, gone);
        Ok(())
    }

    /// Takes up the notes of earlier processes.
    pub(super) async fn load_releases(self: &Arc<Self>) {
        match self.releases.load().await {
            Ok(names) if names.is_empty() => {}
            Ok(names) => {
                tracing::info!(names = names.len(), "certificates of released names are kept for a while");
                for name in &names {
                    // It may have come back while nobody knew of the note.
                    if let Tenancy::Of(tenant) = self.permit.tenancy(name) {
                        self.welcome(name, &tenant);
                    }
                }
            }
            Err(error) => {
                tracing::error!(error = %telemetry::chain(&error), "the notes of released names could not be read");
            }
        }
        self.changed.notify_one();
    }
}

/// Letting go of an order asks nothing of a CA: what can fail is the store.
fn into_store_error(error: IssueError) -> StoreError {
    match error {
        IssueError::Store(error) => error,
        error => StoreError::Io {
            action: "remove",
            entry: "an order in flight".to_owned(),
            source: std::io::Error::other(telemetry::chain(&error).to_string()),
        },
    }
}
