//! What the other edges of a fleet offer, in memory.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use names::Hostname;
use parking_lot::RwLock;
use rustls::sign::CertifiedKey;
use tokio::sync::{Notify, watch};

use super::{Offers, Token, alpn_certificate};
use crate::{
    ChallengeKind, Offer, Store, StoreError,
    fleet::{OFFERS, hinted},
};

/// Others' offers are looked for this often at least …
const LOOK: Duration = Duration::from_secs(1);
/// … and not sooner than this after the last look, whoever asks: strangers choose the names.
const GAP: Duration = Duration::from_millis(50);
/// Longest that a question waits for a look.
const WAIT: Duration = Duration::from_secs(2);

pub(super) struct Others {
    store: Arc<dyn Store>,
    table: RwLock<HashMap<Hostname, Offers>>,
    /// Looks that have begun.
    begun: AtomicU64,
    /// The last one that has ended.
    done: watch::Sender<u64>,
    wanted: Notify,
}

impl Others {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        let (table, begun, wanted) = (RwLock::default(), AtomicU64::new(0), Notify::new());
        Self { store, table, begun, done: watch::Sender::new(0), wanted }
    }

    pub(super) fn find<T>(&self, name: &Hostname, find: impl FnOnce(&Offers) -> Option<T>) -> Option<T> {
        self.table.read().get(name).and_then(find)
    }

    pub(super) async fn show(&self, offer: &Offer) -> Result<u64, StoreError> {
        match self.store.fleet() {
            Some(fleet) => fleet.offer(offer).await,
            None => Ok(0),
        }
    }

    /// Takes an offer back, behind whoever has made it. One that stays runs out.
    pub(super) fn withdraw(&self, row: u64) {
        let store = Arc::clone(&self.store);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let Some(fleet) = store.fleet() else { return };
            if let Err(error) = fleet.withdraw(row).await {
                tracing::debug!(error = %telemetry::chain(&error), "an offered challenge is left to run out");
            }
        });
    }

    /// Waits for a look that begins after this call.
    pub(super) async fn looked(&self) {
        let mut done = self.done.subscribe();
        let next = self.begun.load(Ordering::SeqCst) + 1;
        self.wanted.notify_one();
        // The sender lives as long as this.
        let _ = tokio::time::timeout(WAIT, done.wait_for(|done| next <= *done)).await;
    }

    pub(super) async fn follow(&self) {
        let Some(fleet) = self.store.fleet() else { return };
        let mut hints = fleet.hints();
        loop {
            let look = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            match fleet.offers().await {
                Ok(offers) => self.take(offers),
                Err(error) => tracing::debug!(error = %telemetry::chain(&error), "others' challenges are not known"),
            }
            self.done.send_replace(look);
            tokio::time::sleep(GAP).await;
            tokio::select! {
                () = self.wanted.notified() => {}
                () = hinted(&mut hints, OFFERS, LOOK) => {}
            }
        }
    }

    /// Puts `offers` in the place of those known so far. Certificates are made once.
    fn take(&self, offers: Vec<(u64, Offer)>) {
        let mut table: HashMap<Hostname, Offers> = HashMap::new();
        for (id, offer) in offers {
            let entry = table.entry(offer.name.clone()).or_default();
            match offer.kind {
                ChallengeKind::Http01 => {
                    entry.http.push((id, Token { token: offer.token.into(), answer: offer.answer.into() }));
                }
                ChallengeKind::TlsAlpn01 => entry.alpn.extend(self.certificate(id, &offer).map(|made| (id, made))),
                ChallengeKind::Dns01 => {}
            }
        }
        *self.table.write() = table;
    }

    fn certificate(&self, id: u64, offer: &Offer) -> Option<Arc<CertifiedKey>> {
        let known = self.find(&offer.name, |offers| offers.alpn.iter().find(|(known, _)| *known == id).cloned());
        match known {
            Some((_, certificate)) => Some(certificate),
            None => alpn_certificate(&offer.name, &unhex(&offer.answer)?).ok(),
        }
    }
}

/// Hexadecimal digits.
pub(super) fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, start) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(text.get(start..start + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
