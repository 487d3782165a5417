//! certbot: `live/<lineage>/{fullchain,privkey}.pem`, links into `archive/`, and `renewal/<lineage>.conf` beside it.

use std::{fs, io, path::Path};

use super::{ImportError, MAX_FILE, Out, UNKNOWN_ISSUER, from_pem, issuer_of};
use crate::{IssuerKey, file_store};

pub(super) fn read(path: &Path, out: &Out) -> Result<(), ImportError> {
    let below = path.join("live");
    let live = if below.is_dir() { below.as_path() } else { path };
    let entries = fs::read_dir(live).map_err(|source| ImportError::Read { path: live.to_owned(), source })?;
    for entry in entries.flatten() {
        // certbot puts a README beside the lineages.
        if let Some(lineage) = entry.file_name().to_str().filter(|_| entry.path().is_dir()) {
            read_lineage(live, lineage, out);
        }
    }
    Ok(())
}

/// A lineage is named by its first name and maybe a number: its certificate says what it is for.
fn read_lineage(live: &Path, lineage: &str, out: &Out) {
    let folder = live.join(lineage);
    match (read_file(&folder.join("fullchain.pem")), read_file(&folder.join("privkey.pem"))) {
        (Ok(chain), Ok(key)) => from_pem(lineage.to_owned(), issuer(live, lineage), chain, key, out),
        (Err(error), _) => out.skip(format!("{lineage}/fullchain.pem"), error),
        (_, Err(error)) => out.skip(format!("{lineage}/privkey.pem"), error),
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    file_store::read_bounded(path, MAX_FILE)?.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// The CA, from the line `server = <directory>` of the lineage's renewal configuration.
fn issuer(live: &Path, lineage: &str) -> IssuerKey {
    let conf = live.with_file_name("renewal").join(format!("{lineage}.conf"));
    let text = read_file(&conf).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let server = text.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim() == "server");
    server.map_or_else(|| IssuerKey::new(UNKNOWN_ISSUER), |(_, url)| issuer_of(url.trim()))
}
