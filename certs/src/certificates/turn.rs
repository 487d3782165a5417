//! Whose turn it is to order: of several edges with one store, one at a time for each name.
//!
//! Whoever has the lease orders; the others wait for what becomes of it, by looking into the store. A certificate is
//! taken over, a failure is heard, and when the lease ends without either, the next one goes on where the order stands.

use std::{sync::Arc, time::Duration};

use names::{Subject, Tenant};
use tokio::time::Instant;

use super::{ObtainError, Obtained, Shared, errors::store_error, parse};
use crate::{
    Bundle, Fleet, Leaf, budget,
    fleet::{Held, hinted, order_lease},
    life::{Lane, State},
};

/// Another edge's order is looked for this often at least.
const LOOK: Duration = Duration::from_millis(500);
/// An order of another edge is waited for this long; whoever comes later waits anew.
const OTHERS_LONGEST: Duration = Duration::from_secs(600);

/// How asking for the turn ended.
enum Turn {
    /// This process orders; without a lease when nobody shares the store.
    Ours(Option<Held>),
    /// Another one has ordered meanwhile.
    Settled(Obtained),
    /// Another one orders now.
    Theirs,
}

impl Shared {
    /// Orders for a name without a certificate when it is this process's turn, and takes what another one got.
    pub(super) async fn order_in_turn(
        self: &Arc<Self>,
        name: &Subject,
        tenant: Option<&Tenant>,
        lane: Lane,
    ) -> Obtained {
        let (mut hints, began) = (self.store.fleet().map(Fleet::hints), Instant::now());
        loop {
            // Not held while another edge orders: this one's other names need it.
            let waited = self.slots.wait(tenant, &budget::domain(name)).await;
            let Ok(slot) = waited else { return Err(ObtainError::Busy) };
            match self.try_order(name, tenant, lane, None).await {
                Err(ObtainError::Elsewhere) => drop(slot),
                obtained => return obtained,
            }
            let waited = began.elapsed();
            if waited > OTHERS_LONGEST {
                return Err(ObtainError::StillIssuing { waited });
            }
            match &mut hints {
                Some(hints) => hinted(hints, &order_lease(name), LOOK).await,
                None => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Orders if it is this process's turn; else [`ObtainError::Elsewhere`], or what another one got meanwhile.
    pub(super) async fn try_order(
        self: &Arc<Self>,
        name: &Subject,
        tenant: Option<&Tenant>,
        lane: Lane,
        replaces: Option<&Bundle>,
    ) -> Obtained {
        let held = match self.turn(name, tenant, lane, replaces).await? {
            Turn::Ours(None) => return self.order(name, tenant, lane, replaces, None).await,
            Turn::Ours(Some(held)) => held,
            Turn::Settled(obtained) => return obtained,
            Turn::Theirs => return Err(ObtainError::Elsewhere),
        };
        tokio::select! {
            obtained = self.order(name, tenant, lane, replaces, Some(held.lease())) => obtained,
            () = held.lost() => {
                self.metrics.lease("lost");
                Err(ObtainError::Elsewhere)
            }
        }
    }

    async fn turn(
        self: &Arc<Self>,
        name: &Subject,
        tenant: Option<&Tenant>,
        lane: Lane,
        replaces: Option<&Bundle>,
    ) -> Result<Turn, ObtainError> {
        if self.store.fleet().is_none() {
            return Ok(Turn::Ours(None));
        }
        let held = Held::take(&self.store, &order_lease(name), self.settings.lease).await.map_err(store_error)?;
        // Looked for whether or not there is a lease now: it may have been given back since it was refused. With one,
        // whoever had it before may have come to an end since this process looked last.
        let turn = match (self.settled_elsewhere(name, tenant, lane, replaces).await?, held) {
            (Some(obtained), _) => Turn::Settled(obtained),
            (None, Some(held)) => Turn::Ours(Some(held)),
            (None, None) => Turn::Theirs,
        };
        self.metrics.lease(match &turn {
            Turn::Ours(_) => "taken",
            Turn::Settled(_) => "settled",
            Turn::Theirs => "elsewhere",
        });
        Ok(turn)
    }

    /// What another process has got for `name`: a certificate, or a failure that has to be waited out.
    async fn settled_elsewhere(
        self: &Arc<Self>,
        name: &Subject,
        tenant: Option<&Tenant>,
        lane: Lane,
        replaces: Option<&Bundle>,
    ) -> Result<Option<Obtained>, ObtainError> {
        if let Some(leaf) = self.newer(name, tenant, replaces).await? {
            return Ok(Some(Ok(leaf)));
        }
        let Some(failure) = self.failures.load(name).await.map_err(store_error)? else { return Ok(None) };
        let waits = match lane {
            Lane::New | Lane::Renewal => self.clock.now() < failure.next_order(),
            // Its own wait is over, or cut short; a failure that this process knows nothing of is another's.
            Lane::Retry => self.attempt(name).is_some_and(|attempt| attempt <= failure.attempts),
        };
        Ok(waits.then(|| Err(ObtainError::BackingOff { until: failure.next_order(), failure })))
    }

    /// Which attempt the order in flight is, as far as this process knows.
    fn attempt(&self, name: &Subject) -> Option<u32> {
        match self.plan.lock().state(name)? {
            State::Issuing { attempt, .. } => Some(attempt),
            State::Backoff { .. } | State::Missing | State::Refused { .. } | State::Serving { .. } => None,
        }
    }

    /// A certificate that another process has stored in the place of `old`; served from now on.
    async fn newer(
        self: &Arc<Self>,
        name: &Subject,
        tenant: Option<&Tenant>,
        old: Option<&Bundle>,
    ) -> Result<Option<Arc<Leaf>>, ObtainError> {
        let Some(old) = old else { return Ok(self.read(name, tenant).await?) };
        let stored = self.store.load(name).await.map_err(store_error)?;
        let Some(stored) = stored.filter(|stored| stored.chain_pem != old.chain_pem) else { return Ok(None) };
        let (fresh, held) = (parse(&stored)?, parse(old)?);
        let is_newer = fresh.is_valid_at(self.clock.now()) && held.not_before() <= fresh.not_before();
        if !is_newer || !fresh.is_named(name) || !self.may_serve(name, &stored, tenant) {
            return Ok(None);
        }
        Ok(self.serve(name, &fresh, None).then_some(fresh))
    }
}
