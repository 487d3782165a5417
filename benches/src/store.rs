//! A store with very many certificates, in CertMagic's layout, made once and kept in the cache folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::CertificateDer;

use crate::{pki::Authority, progress::say};

/// The issuer's folder in the layout; any will do.
const ISSUER: &str = "bench";
/// Beside the storage folder: the root its certificates chain up to.
const ROOT_FILE: &str = "root.der";

/// The files of one certificate, by their path in the store.
pub fn entry(name: &str, chain_pem: &str, key_pem: &str) -> [(String, String); 3] {
    let stem = format!("certificates/{ISSUER}/{name}/{name}");
    let meta = format!("{{\"sans\":[\"{name}\"],\"issuer_data\":null}}");
    [
        (format!("{stem}.crt"), chain_pem.to_owned()),
        (format!("{stem}.key"), key_pem.to_owned()),
        (format!("{stem}.json"), meta),
    ]
}

/// The name of the certificate with this number.
pub fn name(number: usize) -> String {
    format!("n{number}.store.test")
}

/// A store that is kept between runs.
#[derive(Debug)]
pub struct Kept {
    /// The storage folder.
    pub storage: PathBuf,
    /// What a visitor must trust.
    pub root: CertificateDer<'static>,
}

/// A store with `count` certificates under `cache`; made when it is not there.
pub fn kept(cache: &Path, count: usize) -> Result<Kept> {
    let folder = cache.join(format!("bench-store-{count}"));
    if !folder.exists() {
        say(&format!("making a store with {count} certificates (once)"));
        let building = cache.join(format!("bench-store-{count}.building.{}", std::process::id()));
        make(&building, count).context("cannot make the store")?;
        // Renamed when it is whole, so that an interrupted run is never taken for a finished one.
        fs::rename(&building, &folder)?;
    }
    let root = fs::read(folder.join(ROOT_FILE)).context("the store has no root")?;
    Ok(Kept { storage: folder.join("storage"), root: CertificateDer::from(root) })
}

fn make(folder: &Path, count: usize) -> Result<()> {
    let authority = Authority::generate()?;
    // One key for all: making keys is most of the work, and no reader looks at two of them.
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let key_pem = key.serialize_pem();
    let storage = folder.join("storage");
    for number in 0..count {
        let name = name(number);
        let chain_pem = authority.leaf_pem(&name, &key)? + &authority.certificate_pem;
        write(&storage, &entry(&name, &chain_pem, &key_pem))?;
    }
    fs::write(folder.join(ROOT_FILE), &authority.root)?;
    Ok(())
}

fn write(folder: &Path, files: &[(String, String)]) -> Result<()> {
    for (file, text) in files {
        let path = folder.join(file);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_made_once_and_has_every_name() {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let store = kept(cache.path(), 3).expect("a store of three");
        for number in 0..3 {
            let name = name(number);
            for (file, _) in entry(&name, "", "") {
                assert!(store.storage.join(&file).exists(), "{file}");
            }
        }
        let again = kept(cache.path(), 3).expect("the same store");
        assert_eq!(again.root, store.root, "made twice");
    }
}
