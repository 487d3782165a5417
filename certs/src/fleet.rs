//! [`Fleet`]: what several processes with one store have to agree about.
//!
//! One of them orders for a name at a time: it holds a lease, whose token is never given twice. Everything that it
//! stores at the end is stored under that lease, so a process that was stopped for too long and comes back late changes
//! nothing. A lease ends by itself when nobody keeps it alive.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use names::{Hostname, Subject};
use tokio::{sync::broadcast, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Bundle, ChallengeKind, Scanned, Store, StoreError};

/// A lease is kept alive this many times within its life.
const KEPT_PER_LIFE: u32 = 3;

/// The hint that a certificate was saved.
pub(crate) const CERTIFICATES: &str = "certificates";
/// The hint that a challenge is offered or is not any more.
pub(crate) const OFFERS: &str = "offers";
/// Whoever waits for a short piece of another process's work looks this often …
const LOOK: Duration = Duration::from_millis(250);
/// … and gives up after this time.
const WAIT: Duration = Duration::from_secs(60);

/// The right to do something alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is leased.
    pub name: String,
    /// The fencing token.
    pub token: i64,
}

/// What was stored since a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Certificates, oldest change first; a bounded piece of them.
    pub entries: Vec<Scanned>,
    /// Where the next look goes on.
    pub seq: u64,
    /// Whether there is more right now.
    pub more: bool,
}

/// A challenge of an order in flight.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Offer {
    /// The name that is to be proven.
    pub name: Hostname,
    /// How: HTTP-01 or TLS-ALPN-01.
    pub kind: ChallengeKind,
    /// HTTP-01: the token. TLS-ALPN-01: empty.
    pub token: String,
    /// HTTP-01: the key authorization. TLS-ALPN-01: its SHA-256 in hexadecimal digits.
    pub answer: String,
}

/// A store that other processes use at the same time.
#[async_trait]
pub trait Fleet: Send + Sync {
    /// Leases `name` for `life`; `None` while somebody else's lease stands. A lease that makes no sense is none.
    async fn lease(&self, name: &str, life: Duration) -> Result<Option<Lease>, StoreError>;

    /// Makes a lease last `life` from now; `false` when somebody else has it, or it was given back.
    async fn keep(&self, lease: &Lease, life: Duration) -> Result<bool, StoreError>;

    /// Gives a lease back. One that was lost is left to whoever has it.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Saves a certificate as [`Store::save`] does, unless the lease was lost: then nothing changes and it is `false`.
    async fn save_under(&self, lease: &Lease, name: &Subject, bundle: &Bundle) -> Result<bool, StoreError>;

    /// What was saved after `seq`; without one nothing but the present number.
    async fn changes(&self, seq: Option<u64>) -> Result<Changes, StoreError>;

    /// Shows a challenge to the other processes until it is withdrawn, or its time is up; its number.
    async fn offer(&self, offer: &Offer) -> Result<u64, StoreError>;

    /// Takes an offer back.
    async fn withdraw(&self, offer: u64) -> Result<(), StoreError>;

    /// What the other processes offer, the oldest first.
    async fn offers(&self) -> Result<Vec<(u64, Offer)>, StoreError>;

    /// Tells of what somebody has changed: `certificates`, `offers`, the name of a lease that was given back, or
    /// nothing in particular. Hints: they may come early, late, or never.
    fn hints(&self) -> broadcast::Receiver<Arc<str>>;
}

/// The lease for orders of `name`.
pub(crate) fn order_lease(name: &Subject) -> String {
    format!("order/{name}")
}

/// Ends at the next hint about `topic`, or `most` from now.
pub(crate) async fn hinted(hints: &mut broadcast::Receiver<Arc<str>>, topic: &str, most: Duration) {
    let heard = async {
        loop {
            match hints.recv().await {
                Ok(about) if *about != *topic && !about.is_empty() => {}
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    };
    // What is true is found by looking; a hint only makes the wait shorter.
    let _ = tokio::time::timeout(most, heard).await;
}

/// Leases `name` for `life`, waiting for whoever has it; `None` when nobody shares the store.
pub(crate) async fn alone(store: &dyn Store, name: &str, life: Duration) -> Result<Option<Lease>, StoreError> {
    let Some(fleet) = store.fleet() else { return Ok(None) };
    let (mut hints, began) = (fleet.hints(), Instant::now());
    loop {
        match fleet.lease(name, life).await? {
            Some(lease) => return Ok(Some(lease)),
            None if began.elapsed() < WAIT => hinted(&mut hints, name, LOOK).await,
            None => {
                let source = std::io::Error::from(std::io::ErrorKind::TimedOut);
                return Err(StoreError::Io { action: "write", entry: name.to_owned(), source });
            }
        }
    }
}

/// A lease that is kept alive until it is dropped or lost.
pub(crate) struct Held {
    lease: Lease,
    lost: CancellationToken,
    _done: DropGuard,
}

impl Held {
    /// Leases `name` in a store that is shared; `None` while somebody else's lease stands.
    pub(crate) async fn take(store: &Arc<dyn Store>, name: &str, life: Duration) -> Result<Option<Self>, StoreError> {
        let Some(fleet) = store.fleet() else { return Ok(None) };
        let asked = Instant::now();
        let Some(lease) = fleet.lease(name, life).await? else { return Ok(None) };
        Ok(Some(Self::start(store, lease, life, asked)))
    }

    fn start(store: &Arc<dyn Store>, lease: Lease, life: Duration, asked: Instant) -> Self {
        let (lost, done) = (CancellationToken::new(), CancellationToken::new());
        let keeper = Keeper { store: Arc::clone(store), lease: lease.clone(), life, lost: lost.clone() };
        tokio::spawn(keeper.run(asked + life, done.clone()));
        Self { lease, lost, _done: done.drop_guard() }
    }

    /// The same, waiting for whoever has it; `None` when nobody shares the store.
    pub(crate) async fn wait(store: &Arc<dyn Store>, name: &str, life: Duration) -> Result<Option<Self>, StoreError> {
        let Some(lease) = alone(&**store, name, life).await? else { return Ok(None) };
        // Counted from now: what the statement took is far below what is left when it is kept first.
        Ok(Some(Self::start(store, lease, life, Instant::now())))
    }

    /// The lease.
    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Ends when the lease is lost, or may be: nobody could be asked for as long as it lasts.
    pub(crate) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

/// What keeps a lease alive; it gives it back in the end.
struct Keeper {
    store: Arc<dyn Store>,
    lease: Lease,
    life: Duration,
    lost: CancellationToken,
}

impl Keeper {
    async fn run(self, ends: Instant, done: CancellationToken) {
        // Whoever holds it may go on only while somebody keeps it.
        let _lost = self.lost.clone().drop_guard();
        let Some(fleet) = self.store.fleet() else { return };
        if done.run_until_cancelled(self.keep(fleet, ends)).await.is_none()
            && let Err(error) = fleet.release(&self.lease).await
        {
            let error = telemetry::chain(&error).to_string();
            tracing::debug!(lease = self.lease.name, error, "a lease is left to end by itself");
        }
    }

    /// Ends when the lease is lost.
    async fn keep(&self, fleet: &dyn Fleet, mut ends: Instant) {
        let pace = self.life / KEPT_PER_LIFE;
        loop {
            tokio::time::sleep_until((Instant::now() + pace).min(ends)).await;
            let asked = Instant::now();
            match tokio::time::timeout_at(ends, fleet.keep(&self.lease, self.life)).await {
                Ok(Ok(true)) => ends = asked + self.life,
                Ok(Ok(false)) => break,
                Ok(Err(_)) | Err(_) if ends <= Instant::now() => break,
                Ok(Err(_)) | Err(_) => {}
            }
        }
        tracing::warn!(name: "fleet.lease_lost", lease = self.lease.name, "a lease was lost; its work is given up");
    }
}

#[cfg(test)]
mod tests;
