//! ACME accounts as CertMagic keeps them: `acme/<issuer>/users/<mail or default>/<user>.{json,key}`.
//!
//! An account that Caddy registered is used as it is, and Caddy goes on with ours. Nothing here talks to a CA.

mod successor;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use rustls_pki_types::PrivateKeyDer;
use serde_json::{Map, Value};

use crate::{IssuerKey, Store, StoreError, file_store, leaf};

pub(crate) use successor::{Successor, load_successor, remove_successor, save_successor};

/// CertMagic's folder and file name when no mail address is given.
const NO_MAIL: &str = "default";

/// An account that a CA knows.
#[derive(Clone)]
pub(crate) struct StoredAccount {
    /// The account's URL, which is its `kid`.
    pub(crate) location: String,
    /// Its key as PKCS #8, as instant-acme's `from_parts` takes it.
    pub(crate) key_pkcs8_der: SecretBytes,
    /// Its contacts, such as `mailto:ops@example.com`.
    pub(crate) contact: Vec<String>,
}

/// Bytes of a private key: never printed, overwritten when dropped.
#[derive(Clone)]
pub(crate) struct SecretBytes(zeroize::Zeroizing<Vec<u8>>);

impl SecretBytes {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(zeroize::Zeroizing::new(bytes))
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

/// Finds the account that `contact` has at an issuer.
pub(crate) async fn load_account(
    store: &dyn Store,
    issuer: &IssuerKey,
    contact: &[String],
) -> Result<Option<StoredAccount>, StoreError> {
    let keys = Keys::of(issuer, contact);
    // Both or none: an account whose key is lost cannot be used, and one that is not registered has no location.
    let (Some(json), Some(key)) = (store.read(&keys.json).await?, store.read_secret(&keys.key).await?) else {
        return Ok(None);
    };
    let broken = |entry: &str, problem: String| StoreError::Broken { entry: entry.to_owned(), problem };
    let json: Value = serde_json::from_slice(&json).map_err(|error| broken(&keys.json, error.to_string()))?;
    let key_pkcs8_der = to_pkcs8(&key).map_err(|problem| broken(&keys.key, problem.to_owned()))?;
    // Without a location it was never registered; deactivated or revoked, it can order nothing.
    let usable = matches!(json.get("status").and_then(Value::as_str), None | Some("valid"));
    let location = json.get("location").and_then(Value::as_str).filter(|location| usable && !location.is_empty());
    Ok(location.map(|location| StoredAccount {
        location: location.to_owned(),
        key_pkcs8_der,
        contact: strings(json.get("contact")),
    }))
}

/// Keeps an account where Caddy would look for it. Fields that only CertMagic knows stay.
pub(crate) async fn save_account(
    store: &dyn Store,
    issuer: &IssuerKey,
    account: &StoredAccount,
) -> Result<(), StoreError> {
    let keys = Keys::of(issuer, &account.contact);
    let failed = |source| StoreError::Io { action: "write", entry: keys.json.clone(), source };
    let old = store.read(&keys.json).await?;
    let mut json: Map<String, Value> = old.and_then(|old| serde_json::from_slice(&old).ok()).unwrap_or_default();
    if json.get("location").and_then(Value::as_str) != Some(&account.location) {
        // A list of orders belongs to the account that stood here before.
        json.remove("orders");
        // No crash may leave its location beside our key.
        store.remove(&keys.json).await?;
    }
    json.insert("status".to_owned(), "valid".into());
    json.insert("termsOfServiceAgreed".to_owned(), true.into());
    json.insert("location".to_owned(), account.location.clone().into());
    match account.contact.is_empty() {
        true => json.remove("contact"),
        false => json.insert("contact".to_owned(), account.contact.clone().into()),
    };
    let json = file_store::to_json(&Value::Object(json)).map_err(failed)?;
    store.write_secret(&keys.key, to_pem(&account.key_pkcs8_der).as_bytes()).await?;
    store.write(&keys.json, &json).await
}

/// Where an account's two documents stand.
struct Keys {
    json: String,
    key: String,
}

impl Keys {
    fn of(issuer: &IssuerKey, contact: &[String]) -> Self {
        let mail = primary_mail(contact);
        let folder = format!("acme/{}/users/{}", file_store::safe(issuer.as_str()), file_store::safe(&mail));
        let user = file_store::safe(user_of(&mail));
        let (json, key) = match user.is_empty() {
            true => ("registration", "private"),
            false => (user.as_str(), user.as_str()),
        };
        Self { json: format!("{folder}/{json}.json"), key: format!("{folder}/{key}.key") }
    }
}

/// The first contact without its scheme, lower-cased.
fn primary_mail(contact: &[String]) -> String {
    let first = contact.first().map(String::as_str).unwrap_or_default();
    let mail = first.split_once(':').map_or(first, |(_, rest)| rest).trim().to_lowercase();
    match mail.is_empty() {
        true => NO_MAIL.to_owned(),
        false => mail,
    }
}

/// The part before the `@`; what follows it when nothing stands before.
fn user_of(mail: &str) -> &str {
    match mail.split_once('@') {
        None => mail,
        Some(("", rest)) => rest,
        Some((user, _)) => user,
    }
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Account keys of CertMagic are ECDSA P-256, as are ours; instant-acme signs with no other.
fn to_pkcs8(pem: &[u8]) -> Result<SecretBytes, &'static str> {
    let key = leaf::parse_key(pem).map_err(|_| "the account key is not valid PEM")?;
    match &key {
        PrivateKeyDer::Pkcs8(key) => {
            let der = key.secret_pkcs8_der();
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
                .map_err(|_| "the account key is not an ECDSA P-256 key")?;
            Ok(SecretBytes::new(der.to_vec()))
        }
        PrivateKeyDer::Sec1(key) => {
            let key = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_sec1_der())
                .map_err(|_| "the account key is not an ECDSA P-256 key")?;
            let der = key.to_pkcs8v1().map_err(|_| "the account key cannot be turned into PKCS #8")?;
            Ok(SecretBytes::new(der.as_ref().to_vec()))
        }
        _ => Err("the account key is not an ECDSA P-256 key"),
    }
}

/// Every version of CertMagic reads PKCS #8 under this label.
fn to_pem(key: &SecretBytes) -> zeroize::Zeroizing<String> {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let text = zeroize::Zeroizing::new(BASE64_STANDARD.encode(key.as_slice()));
    let mut pem = zeroize::Zeroizing::new(String::with_capacity(text.len() + 128));
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    pem
}

#[cfg(test)]
mod tests;
