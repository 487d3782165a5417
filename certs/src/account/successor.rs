//! The key that is to follow an account's key: kept before the CA hears of it, until the CA's answer is known.
//!
//! `namegate/accounts/<issuer>/<mail or default>/next.json`, where Caddy never looks. It holds a key, so it is a secret.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{SecretBytes, primary_mail};
use crate::{IssuerKey, Store, StoreError, file_store};

/// A key and the account that it is for.
pub(crate) struct Successor {
    /// The account's URL: a key for another account is worth nothing.
    pub(crate) location: String,
    /// The key as PKCS #8.
    pub(crate) key: SecretBytes,
}

#[derive(Serialize, Deserialize)]
struct Document {
    location: String,
    key: String,
}

/// What an interrupted rollover left behind.
pub(crate) async fn load_successor(
    store: &dyn Store,
    issuer: &IssuerKey,
    contact: &[String],
) -> Result<Option<Successor>, StoreError> {
    let entry = entry(issuer, contact);
    let Some(kept) = store.read_secret(&entry).await? else { return Ok(None) };
    let broken = || StoreError::Broken { entry: entry.clone(), problem: "it holds no account key".to_owned() };
    // No parser's error: it could quote the key.
    let document: Document = serde_json::from_slice(&kept).map_err(|_| broken())?;
    let text = Zeroizing::new(document.key);
    let key = BASE64_STANDARD.decode(text.as_bytes()).map_err(|_| broken())?;
    Ok(Some(Successor { location: document.location, key: SecretBytes::new(key) }))
}

/// Keeps a key before anybody else hears of it.
pub(crate) async fn save_successor(
    store: &dyn Store,
    issuer: &IssuerKey,
    contact: &[String],
    successor: &Successor,
) -> Result<(), StoreError> {
    let key = BASE64_STANDARD.encode(successor.key.as_slice());
    let document = Document { location: successor.location.clone(), key };
    // Strings: serializing cannot fail.
    let bytes = Zeroizing::new(serde_json::to_vec(&document).unwrap_or_default());
    store.write_secret(&entry(issuer, contact), &bytes).await
}

/// Forgets it: the CA's answer is known.
pub(crate) async fn remove_successor(
    store: &dyn Store,
    issuer: &IssuerKey,
    contact: &[String],
) -> Result<(), StoreError> {
    store.remove(&entry(issuer, contact)).await
}

fn entry(issuer: &IssuerKey, contact: &[String]) -> String {
    let mail = file_store::safe(&primary_mail(contact));
    format!("namegate/accounts/{}/{mail}/next.json", file_store::safe(issuer.as_str()))
}
