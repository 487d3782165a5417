//! [`MemoryStore`]: a store that can be told to fail, for tests of what happens then.

use std::{
    collections::BTreeMap,
    io,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use names::Subject;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::{Bundle, Leaf, Leaving, Scanned, Store, StoreError};

#[derive(Default)]
pub(crate) struct MemoryStore {
    certificates: Mutex<BTreeMap<Subject, Bundle>>,
    documents: Mutex<BTreeMap<String, Vec<u8>>>,
    down: AtomicBool,
    full: AtomicBool,
    loads: AtomicUsize,
}

impl MemoryStore {
    /// Every operation fails from now on.
    pub(crate) fn break_down(&self) {
        self.down.store(true, Ordering::SeqCst);
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
            let tenant = bundle.tenant();
            if !visit(vec![Scanned { name, issuer: bundle.issuer, tenant, not_before, not_after }]) {
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
