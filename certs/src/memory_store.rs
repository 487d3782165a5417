//! [`MemoryStore`]: a store that can be told to fail, for tests of what happens then.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use names::Subject;
use parking_lot::Mutex;
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};
use zeroize::Zeroizing;

use crate::{
    Bundle, Changes, Fleet, Leaf, Lease, Leaving, Offer, Scanned, Store, StoreError, fleet, store::counted_at,
};

#[derive(Default)]
pub(crate) struct MemoryStore {
    certificates: Mutex<BTreeMap<Subject, Bundle>>,
    documents: Mutex<BTreeMap<String, Vec<u8>>>,
    down: AtomicBool,
    full: AtomicBool,
    loads: AtomicUsize,
    /// What several processes see of one another, if there are several.
    fleet: OnceLock<MemoryFleet>,
}

/// The part of a store that is shared.
pub(crate) struct MemoryFleet {
    leases: Mutex<BTreeMap<String, (Lease, Instant)>>,
    tokens: AtomicI64,
    changes: Mutex<Vec<Scanned>>,
    hints: broadcast::Sender<Arc<str>>,
    /// What other processes offer.
    offers: Mutex<Vec<(u64, Offer)>>,
    withdrawn: Mutex<Vec<u64>>,
    /// Looks at the offers that have begun.
    looks: watch::Sender<usize>,
    /// Looks end only while it is open.
    door: watch::Sender<bool>,
}

impl MemoryStore {
    /// Other processes use it too from now on.
    pub(crate) fn share(&self) {
        self.fleet.get_or_init(|| MemoryFleet {
            leases: Mutex::default(),
            tokens: AtomicI64::new(0),
            changes: Mutex::default(),
            hints: broadcast::Sender::new(64),
            offers: Mutex::default(),
            withdrawn: Mutex::default(),
            looks: watch::Sender::new(0),
            door: watch::Sender::new(true),
        });
    }

    /// Another process offers this from now on.
    pub(crate) fn others_offer(&self, offer: Offer) {
        let mut offers = self.shared().offers.lock();
        let id = offers.len() as u64;
        offers.push((id, offer));
    }

    /// None of them offers anything any more.
    pub(crate) fn nobody_offers(&self) {
        self.shared().offers.lock().clear();
    }

    /// Everybody hears this.
    pub(crate) fn hint(&self, about: &str) {
        let _ = self.shared().hints.send(about.into());
    }

    /// Offers of this process that were taken back.
    pub(crate) fn withdrawn(&self) -> Vec<u64> {
        self.shared().withdrawn.lock().clone()
    }

    /// How often others' offers were looked at.
    pub(crate) fn looks(&self) -> watch::Receiver<usize> {
        self.shared().looks.subscribe()
    }

    /// Whether a look at others' offers comes to its end.
    pub(crate) fn let_looks_end(&self, ends: bool) {
        self.shared().door.send_replace(ends);
    }

    /// Whoever holds a lease has lost it, as if it had run out and somebody else had it now.
    pub(crate) fn steal_leases(&self) {
        for (lease, until) in self.shared().leases.lock().values_mut() {
            lease.token = self.shared().tokens.fetch_add(1, Ordering::SeqCst);
            *until = Instant::now() + Duration::from_secs(3600);
        }
    }

    /// Nobody holds a lease any more.
    pub(crate) fn end_leases(&self) {
        self.shared().leases.lock().clear();
        let _ = self.shared().hints.send("".into());
    }

    /// Names that are leased now.
    pub(crate) fn leased(&self) -> Vec<String> {
        self.shared().leases.lock().keys().cloned().collect()
    }

    fn shared(&self) -> &MemoryFleet {
        self.fleet.get().unwrap()
    }

    /// Every operation fails from now on.
    pub(crate) fn break_down(&self) {
        self.down.store(true, Ordering::SeqCst);
    }

    /// Operations succeed again.
    pub(crate) fn mend(&self) {
        self.down.store(false, Ordering::SeqCst);
    }

    /// Certificates cannot be saved while the disk is full.
    pub(crate) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    /// How many certificates were looked for.
    pub(crate) fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    fn works(&self, action: &'static str, entry: &str) -> Result<(), StoreError> {
        match self.down.load(Ordering::SeqCst) {
            true => Err(failed(action, entry)),
            false => Ok(()),
        }
    }
}

fn failed(action: &'static str, entry: &str) -> StoreError {
    StoreError::Io { action, entry: entry.to_owned(), source: io::Error::from(io::ErrorKind::StorageFull) }
}

#[async_trait]
impl Store for MemoryStore {
    fn fleet(&self) -> Option<&dyn Fleet> {
        self.fleet.get().map(|_| self as &dyn Fleet)
    }

    async fn load(&self, name: &Subject) -> Result<Option<Bundle>, StoreError> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.works("read", name.as_str())?;
        let certificates = self.certificates.lock();
        let above = || certificates.get(&Subject::above(&name.hostname()?)?);
        Ok(certificates.get(name).or_else(above).cloned())
    }

    async fn save(&self, name: &Subject, bundle: &Bundle) -> Result<(), StoreError> {
        self.works("write", name.as_str())?;
        if self.full.load(Ordering::SeqCst) {
            return Err(failed("write", name.as_str()));
        }
        self.certificates.lock().insert(name.clone(), bundle.clone());
        if let (Some(fleet), Ok(leaf)) = (self.fleet.get(), Leaf::parse(bundle)) {
            let (name, issuer) = (name.clone(), bundle.issuer.clone());
            let (not_before, not_after) = (leaf.not_before(), leaf.not_after());
            let (tenant, counted_at) = (bundle.tenant(), counted_at(&bundle.meta));
            fleet.changes.lock().push(Scanned { name, issuer, tenant, counted_at, not_before, not_after });
            let _ = fleet.hints.send(fleet::CERTIFICATES.into());
        }
        Ok(())
    }

    async fn purge(&self, name: &Subject, leaving: &Leaving) -> Result<usize, StoreError> {
        self.works("remove", name.as_str())?;
        let mut certificates = self.certificates.lock();
        let goes = certificates.get(name).is_some_and(|bundle| leaving.takes(&bundle.meta));
        Ok(usize::from(goes && certificates.remove(name).is_some()))
    }

    async fn scan(&self, visit: &mut (dyn FnMut(Vec<Scanned>) -> bool + Send)) -> Result<(), StoreError> {
        self.works("list", "certificates")?;
        let entries = self.certificates.lock().clone();
        for (name, bundle) in entries {
            let Ok(leaf) = Leaf::parse(&bundle) else { continue };
            let (not_before, not_after) = (leaf.not_before(), leaf.not_after());
            let (issuer, tenant, counted_at) = (bundle.issuer.clone(), bundle.tenant(), counted_at(&bundle.meta));
            if !visit(vec![Scanned { name, issuer, tenant, counted_at, not_before, not_after }]) {
                break;
            }
        }
        Ok(())
    }

    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.works("read", key)?;
        Ok(self.documents.lock().get(key).cloned())
    }

    async fn write(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.works("write", key)?;
        self.documents.lock().insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    async fn read_secret(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        Ok(self.read(key).await?.map(Zeroizing::new))
    }

    async fn write_secret(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.write(key, value).await
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.works("remove", key)?;
        self.documents.lock().remove(key);
        Ok(())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.works("list", prefix)?;
        let documents = self.documents.lock();
        Ok(documents.keys().filter(|key| key.starts_with(&format!("{prefix}/"))).cloned().collect())
    }
}

#[async_trait]
impl Fleet for MemoryStore {
    async fn lease(&self, name: &str, life: Duration) -> Result<Option<Lease>, StoreError> {
        self.works("write", name)?;
        let (mut leases, now) = (self.shared().leases.lock(), Instant::now());
        if leases.get(name).is_some_and(|(_, until)| now < *until) {
            return Ok(None);
        }
        let lease = Lease { name: name.to_owned(), token: self.shared().tokens.fetch_add(1, Ordering::SeqCst) };
        leases.insert(name.to_owned(), (lease.clone(), now + life));
        Ok(Some(lease))
    }

    async fn keep(&self, lease: &Lease, life: Duration) -> Result<bool, StoreError> {
        self.works("write", &lease.name)?;
        match self.shared().leases.lock().get_mut(&lease.name) {
            Some((standing, until)) if standing == lease => {
                *until = Instant::now() + life;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.works("write", &lease.name)?;
        self.shared().leases.lock().retain(|_, (standing, _)| standing != lease);
        let _ = self.shared().hints.send(lease.name.as_str().into());
        Ok(())
    }

    async fn save_under(&self, lease: &Lease, name: &Subject, bundle: &Bundle) -> Result<bool, StoreError> {
        self.works("write", name.as_str())?;
        let stands = self.shared().leases.lock().get(&lease.name).is_some_and(|(standing, _)| standing == lease);
        if stands {
            self.save(name, bundle).await?;
        }
        Ok(stands)
    }

    async fn changes(&self, seq: Option<u64>) -> Result<Changes, StoreError> {
        self.works("list", "changes")?;
        let all = self.shared().changes.lock();
        let from = seq.map_or(all.len(), |seq| usize::try_from(seq).unwrap());
        Ok(Changes { entries: all[from..].to_vec(), seq: all.len() as u64, more: false })
    }

    async fn offer(&self, _: &Offer) -> Result<u64, StoreError> {
        Ok(7)
    }

    async fn withdraw(&self, offer: u64) -> Result<(), StoreError> {
        self.shared().withdrawn.lock().push(offer);
        Ok(())
    }

    async fn offers(&self) -> Result<Vec<(u64, Offer)>, StoreError> {
        let seen = self.shared().offers.lock().clone();
        self.shared().looks.send_modify(|looks| *looks += 1);
        let _ = self.shared().door.subscribe().wait_for(|open| *open).await;
        self.works("list", "challenges")?;
        Ok(seen)
    }

    fn hints(&self) -> broadcast::Receiver<Arc<str>> {
        self.shared().hints.subscribe()
    }
}
