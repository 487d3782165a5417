//! The [`Store`] trait: what must outlive the process.
//!
//! An error of a store is never "not found": only `Ok(None)` may lead to an order.

use async_trait::async_trait;
use clock::Timestamp;
use names::{Subject, Tenant};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::{Fleet, IssuerKey};

/// A certificate with its key, as text, exactly as the store keeps it.
#[derive(Clone)]
pub struct Bundle {
    /// Who issued it.
    pub issuer: IssuerKey,
    /// The chain in PEM, leaf first.
    pub chain_pem: String,
    /// The private key in PEM (PKCS #8, SEC1 or PKCS #1).
    pub key_pem: String,
    /// Facts about the certificate that are not in it (CertMagic's `<name>.json`), kept as they were found.
    pub meta: Value,
}

/// Where the metadata hold our notes: a field of our own, which CertMagic passes over. The tenant …
pub(crate) const OWN: &str = "namegate";
const TENANT: &str = "tenant";
/// … and, in milliseconds since the epoch, when it was ordered, if the CA counts it as new.
const COUNTED_AT: &str = "counted_at";

impl Bundle {
    /// Whom it was ordered for, where that was known.
    pub fn tenant(&self) -> Option<Tenant> {
        tenant_of(&self.meta)
    }

    /// Notes whom it was ordered for.
    #[must_use]
    pub fn of(self, tenant: Option<&Tenant>) -> Self {
        self.noted(TENANT, tenant.map(|tenant| json!(tenant)))
    }

    /// Notes when it was ordered as a new certificate, by which CAs count.
    #[must_use]
    pub(crate) fn counted_at(self, at: Option<Timestamp>) -> Self {
        self.noted(COUNTED_AT, at.map(|at| json!(at.as_millis())))
    }

    fn noted(mut self, field: &str, note: Option<Value>) -> Self {
        let mut own = match self.meta.get_mut(OWN).map(Value::take) {
            Some(Value::Object(own)) => own,
            Some(_) | None => Map::new(),
        };
        match note {
            Some(note) => own.insert(field.to_owned(), note),
            None => own.remove(field),
        };
        match &mut self.meta {
            Value::Object(meta) if own.is_empty() => drop(meta.remove(OWN)),
            Value::Object(meta) => drop(meta.insert(OWN.to_owned(), own.into())),
            _ if own.is_empty() => {}
            meta => *meta = json!({ OWN: own }),
        }
        self
    }
}

/// Whom a certificate with these metadata was ordered for.
pub(crate) fn tenant_of(meta: &Value) -> Option<Tenant> {
    meta.get(OWN)?.get(TENANT)?.as_str()?.parse().ok()
}

/// When a certificate with these metadata was ordered, if it counts as new.
pub(crate) fn counted_at(meta: &Value) -> Option<Timestamp> {
    meta.get(OWN)?.get(COUNTED_AT)?.as_u64().map(Timestamp::from_millis)
}

/// Which certificates of a name go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaving {
    /// Every one.
    All,
    /// Those that were ordered for another tenant than this one.
    Others(Tenant),
    /// Those, and those of which nobody knows for whom they were ordered.
    OthersAndUnknown(Tenant),
}

impl Leaving {
    /// Whether a certificate with these metadata goes.
    pub fn takes(&self, meta: &Value) -> bool {
        match (self, tenant_of(meta)) {
            (Self::All, _) => true,
            (Self::Others(stays) | Self::OthersAndUnknown(stays), Some(tenant)) => *stays != tenant,
            (Self::Others(_), None) => false,
            (Self::OthersAndUnknown(_), None) => true,
        }
    }
}

/// One certificate met while walking the store: enough to plan its renewal, no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// The name the entry is kept under.
    pub name: Subject,
    /// Who issued it.
    pub issuer: IssuerKey,
    /// Whom it was ordered for, where that was known.
    pub tenant: Option<Tenant>,
    /// When it was ordered, if the CA counted that as a new certificate.
    pub counted_at: Option<Timestamp>,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
}

/// A store could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The entry is there and cannot be understood; other entries are not touched by it.
    #[error("the stored entry {entry} is broken: {problem}")]
    Broken {
        /// Which entry (a path for the file store).
        entry: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The store could not be read or written.
    #[error("the store failed to {action} {entry}")]
    Io {
        /// What was tried: `read`, `write`, `list`, `remove`.
        action: &'static str,
        /// Which entry.
        entry: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Where certificates, accounts, orders in flight and failures are kept.
///
/// Writes are atomic and durable: after a crash an entry is the old one or the new one, whole. A certificate's key and
/// the documents of `write_secret` are sealed where there is a key file; nothing else here is a secret.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// What the processes that share this store agree about; `None` when it is this one's alone.
    fn fleet(&self) -> Option<&dyn Fleet> {
        None
    }

    /// Whether an entry of this name can be kept at all: asked before an order, which would be lost otherwise.
    fn can_keep(&self, _name: &Subject) -> bool {
        true
    }

    /// The certificate for `name`: of several issuers' the one whose validity began last. A broken entry of one issuer
    /// is reported (log, counter) and skipped when another issuer's is sound; it is an error when it is the only one.
    async fn load(&self, name: &Subject) -> Result<Option<Bundle>, StoreError>;

    /// Saves a certificate with its key, replacing the one of the same issuer.
    async fn save(&self, name: &Subject, bundle: &Bundle) -> Result<(), StoreError>;

    /// Removes those certificates of `name` that are `leaving`, with their keys, whoever issued them; broken ones too. What
    /// is not there is fine. A certificate that is saved meanwhile and is not leaving stays. How many went.
    async fn purge(&self, name: &Subject, leaving: &Leaving) -> Result<usize, StoreError>;

    /// Walks over all certificates in pieces of bounded size, calling `visit` with each piece; broken entries are
    /// reported and skipped. Ends early when `visit` returns `false`.
    async fn scan(&self, visit: &mut (dyn FnMut(Vec<Scanned>) -> bool + Send)) -> Result<(), StoreError>;

    /// Reads a small document: an ACME account, an order in flight, a failure record, a renewal hint.
    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Writes a small document.
    async fn write(&self, key: &str, value: &[u8]) -> Result<(), StoreError>;

    /// Reads a small document that holds a private key, opened if it is kept sealed. One that does not open is broken,
    /// never "not found".
    async fn read_secret(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError>;

    /// Writes a small document that holds a private key: sealed, if the store has something to seal with.
    async fn write_secret(&self, key: &str, value: &[u8]) -> Result<(), StoreError>;

    /// Removes a small document; removing what is not there is fine.
    async fn remove(&self, key: &str) -> Result<(), StoreError>;

    /// The keys directly under `prefix` (a folder for the file store), in no particular order.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError>;
}

#[cfg(test)]
mod contract;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_comes_back_and_goes_with_an_order_for_nobody() {
        let tenant: Tenant = "app_1".parse().unwrap();
        for meta in [Value::Null, json!({"sans": ["a.example"]}), json!({"namegate": {"tenant": "app_2"}})] {
            let (chain_pem, key_pem) = (String::new(), String::new());
            let bundle = Bundle { issuer: IssuerKey::new("ca"), chain_pem, key_pem, meta: meta.clone() };
            let noted = bundle.of(Some(&tenant));
            assert_eq!(noted.tenant().as_ref(), Some(&tenant), "{meta}");
            assert_eq!(noted.meta.get("sans"), meta.get("sans"));
            let counted = noted.counted_at(Some(Timestamp::from_millis(7)));
            assert_eq!(
                (counted.tenant().as_ref(), counted_at(&counted.meta)),
                (Some(&tenant), Some(Timestamp::from_millis(7))),
                "{meta}"
            );
            let counted = counted.of(None);
            assert_eq!(
                (counted.tenant(), counted_at(&counted.meta)),
                (None, Some(Timestamp::from_millis(7))),
                "{meta}"
            );
            assert_eq!(counted.counted_at(None).meta.get(OWN), None, "{meta}");
        }
    }

    #[test]
    fn what_goes_depends_on_whose_it_is() {
        let tenant: Tenant = "app_1".parse().unwrap();
        let [own, other] = ["app_1", "app_2"].map(|id| json!({"namegate": {"tenant": id}}));
        let unknown = [Value::Null, json!({}), json!({"namegate": {"tenant": 7}}), json!({"namegate": "app_2"})];
        for (leaving, goes) in [
            (Leaving::All, [true, true, true]),
            (Leaving::Others(tenant.clone()), [false, true, false]),
            (Leaving::OthersAndUnknown(tenant), [false, true, true]),
        ] {
            assert_eq!([leaving.takes(&own), leaving.takes(&other)], goes[..2], "{leaving:?}");
            unknown.iter().for_each(|meta| assert_eq!(leaving.takes(meta), goes[2], "{leaving:?} {meta}"));
        }
    }
}
