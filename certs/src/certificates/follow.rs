//! Following the store: certificates of other edges are served within moments, and planned.

use std::{sync::Arc, time::Duration};

use names::Subject;

use super::{Shared, parse};
use crate::{
    Scanned,
    fleet::{CERTIFICATES, hinted},
    life::Event,
};

/// Another edge's certificates are looked for this often at least.
const LOOK: Duration = Duration::from_secs(1);

impl Shared {
    /// The store's present number, from where [`follow`](Self::follow) goes on: taken before everything is planned.
    pub(super) async fn present(&self) -> Option<u64> {
        let fleet = self.store.fleet()?;
        loop {
            match fleet.changes(None).await {
                Ok(changes) => return Some(changes.seq),
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Takes up what other processes store; never ends by itself when there may be others.
    pub(super) async fn follow(self: &Arc<Self>, mut seq: Option<u64>) {
        let Some(fleet) = self.store.fleet() else { return };
        let mut hints = fleet.hints();
        loop {
            match fleet.changes(seq).await {
                Ok(changes) => {
                    seq = Some(changes.seq);
                    for entry in &changes.entries {
                        self.count(entry);
                        self.take_up(entry).await;
                    }
                    self.changed.notify_one();
                    if changes.more {
                        continue;
                    }
                }
                Err(error) => tracing::debug!(error = %telemetry::chain(&error), "the store's changes are not known"),
            }
            hinted(&mut hints, CERTIFICATES, LOOK).await;
        }
    }

    /// One certificate that was saved, by whomever.
    async fn take_up(&self, entry: &Scanned) {
        let name = &entry.name;
        self.memory.set_found(name);
        match self.memory.kept(name) {
            Some(leaf)
                if entry.not_before < leaf.not_before()
                    || *leaf.issuer() == entry.issuer
                        && leaf.not_after() == entry.not_after
                        && leaf.not_before() == entry.not_before => {}
            Some(_) => self.replace_kept(name).await,
            None => self.plan_found(entry),
        }
    }

    /// A certificate in memory has a younger one in the store.
    async fn replace_kept(&self, name: &Subject) {
        let now = self.clock.now();
        let stored = self.store.load(name).await;
        let stored = stored.inspect_err(
            |error| tracing::warn!(%name, error = %telemetry::chain(error), "a younger certificate is not served yet"),
        );
        let Ok(Some(bundle)) = stored else { return };
        match parse(&bundle) {
            Ok(leaf) if leaf.is_valid_at(now) && leaf.is_named(name) && !self.orders.is_open(name) => {
                tracing::info!(%name, issuer = %leaf.issuer(), serial = leaf.serial(), "another edge's certificate is served");
                self.serve(name, &leaf, None);
            }
            // The order in flight looks for itself.
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%name, error = %telemetry::chain(&error), "a younger certificate cannot be used")
            }
        }
    }

    /// A name that nobody has visited here: its renewal is planned, whoever will order it.
    fn plan_found(&self, entry: &Scanned) {
        let now = self.clock.now();
        if entry.name.is_wildcard() || entry.not_after <= now || self.orders.is_open(&entry.name) {
            return;
        }
        let renew_at = validity_of(entry).renew_at(&entry.name, None);
        let mut plan = self.plan.lock();
        plan.apply(&entry.name, Event::Found { not_after: entry.not_after, renew_at }, now);
        plan.ask_at(&entry.name, super::renewal::first_hint(&entry.name, now, Duration::ZERO));
    }
}

fn validity_of(entry: &Scanned) -> super::Validity {
    super::Validity { not_before: entry.not_before, not_after: entry.not_after }
}
