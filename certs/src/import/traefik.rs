//! Traefik 2 and 3: `acme.json`, one object per resolver.

use std::{collections::BTreeMap, path::Path};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Deserialize;
use serde_json::Value;

use super::{ImportError, Out, UNKNOWN_ISSUER, from_pem, issuer_of};
use crate::{IssuerKey, file_store};

/// Largest `acme.json`, about 50,000 certificates: it is read as a whole, as Traefik does.
const MAX_DOCUMENT: u64 = 512 * 1024 * 1024;

#[derive(Deserialize)]
struct Resolver {
    #[serde(rename = "Account")]
    account: Option<Account>,
    #[serde(rename = "Certificates")]
    /// Taken one by one: a broken one must not make the document unreadable.
    certificates: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Account {
    #[serde(rename = "Registration")]
    registration: Option<Registration>,
}

#[derive(Deserialize)]
struct Registration {
    uri: Option<String>,
}

#[derive(Deserialize)]
struct Certificate {
    certificate: String,
    key: String,
}

pub(super) fn read(path: &Path, out: &Out) -> Result<(), ImportError> {
    let read_failed = |source| ImportError::Read { path: path.to_owned(), source };
    let bytes = file_store::read_bounded(path, MAX_DOCUMENT).map_err(read_failed)?;
    let bytes = bytes.ok_or_else(|| read_failed(std::io::ErrorKind::NotFound.into()))?;
    let resolvers: BTreeMap<String, Option<Resolver>> = serde_json::from_slice(&bytes).map_err(|source| {
        ImportError::Form { path: path.to_owned(), expected: "Traefik's acme.json", source: source.into() }
    })?;
    for (name, resolver) in resolvers {
        let Some(resolver) = resolver else { continue };
        let issuer = issuer(&resolver);
        for (index, certificate) in resolver.certificates.into_iter().flatten().enumerate() {
            let main = certificate.pointer("/domain/main").and_then(Value::as_str).unwrap_or_default();
            read_certificate(format!("{name}[{index}] {main}"), certificate, issuer.clone(), out);
        }
    }
    Ok(())
}

fn read_certificate(entry: String, certificate: Value, issuer: IssuerKey, out: &Out) {
    // No source: serde's error could quote the key.
    let Ok(Certificate { certificate, key }) = serde_json::from_value(certificate) else {
        return out.skip(entry, "the certificate or its key is missing");
    };
    match (BASE64_STANDARD.decode(certificate), BASE64_STANDARD.decode(key)) {
        (Ok(chain), Ok(key)) => from_pem(entry, issuer, chain, key, out),
        _ => out.skip(entry, "the certificate or its key is not base64"),
    }
}

/// Traefik keeps the account's URL but not the directory's. For Let's Encrypt the one tells the other.
fn issuer(resolver: &Resolver) -> IssuerKey {
    let registration = resolver.account.as_ref().and_then(|account| account.registration.as_ref());
    let uri = registration.and_then(|registration| registration.uri.as_deref()).unwrap_or_default();
    match uri.split('/').nth(2).filter(|host| !host.is_empty()) {
        None => IssuerKey::new(UNKNOWN_ISSUER),
        Some(host) if host.ends_with(".api.letsencrypt.org") => issuer_of(&format!("https://{host}/directory")),
        Some(host) => issuer_of(host),
    }
}
