//! The journal of orders in flight: what a restart needs to finish an order instead of placing another one.
//!
//! The key is written before it is used to finalize: a certificate that the CA has made is worthless without it. As an
//! entry holds it, an entry is a secret. One that does not open is an error and no reason to place another order.

use std::sync::Arc;

use clock::Timestamp;
use names::{Subject, Tenant};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    IssuerKey, Store, StoreError,
    file_store::{stem, subject},
};

/// An order in flight.
#[derive(Serialize, Deserialize)]
pub(super) struct Entry {
    /// Its URL at the CA.
    pub(super) order: String,
    /// The private key that it is or will be finalized with.
    pub(super) key: String,
    /// Whom it is for, where that is known: the key is nobody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tenant: Option<Tenant>,
    /// When it was placed.
    #[serde(with = "crate::jitter::millis")]
    pub(super) created: Timestamp,
}

/// Entries under `namegate/orders/<issuer>/`.
pub(super) struct Journal {
    store: Arc<dyn Store>,
    folder: String,
}

impl Journal {
    pub(super) fn new(store: Arc<dyn Store>, issuer: &IssuerKey) -> Self {
        Self { store, folder: format!("namegate/orders/{issuer}") }
    }

    /// The order that was cut off, if there is one. A torn entry is no order: it cannot be resumed.
    pub(super) async fn load(&self, name: &Subject) -> Result<Option<Entry>, StoreError> {
        let Some(bytes) = self.store.read_secret(&self.key(name)).await? else { return Ok(None) };
        match serde_json::from_slice(&bytes) {
            Ok(entry) => Ok(Some(entry)),
            Err(_) => {
                tracing::warn!(name: "acme.journal_broken", %name, "an order in the journal cannot be understood; dropped");
                Ok(None)
            }
        }
    }

    pub(super) async fn save(&self, name: &Subject, entry: &Entry) -> Result<(), StoreError> {
        // Strings and a number: serializing cannot fail.
        let bytes = Zeroizing::new(serde_json::to_vec(entry).unwrap_or_default());
        self.store.write_secret(&self.key(name), &bytes).await
    }

    pub(super) async fn remove(&self, name: &Subject) -> Result<(), StoreError> {
        self.store.remove(&self.key(name)).await
    }

    /// The names of all orders in the journal.
    pub(super) async fn names(&self) -> Result<Vec<Subject>, StoreError> {
        let keys = self.store.list(&self.folder).await?;
        let names = keys.iter().filter_map(|key| key.rsplit('/').next()?.strip_suffix(".json").and_then(subject));
        Ok(names.collect())
    }

    fn key(&self, name: &Subject) -> String {
        format!("{}/{}.json", self.folder, stem(name))
    }
}
