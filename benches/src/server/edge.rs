//! Our edge: the release binary with a configuration file and a storage folder in CertMagic's layout.

use std::{net::SocketAddr, path::Path, process::Command};

use anyhow::{Context, Result};

use super::{Ca, Launch, first_line_of};
use crate::{
    bed::{Bed, Folder, free_port},
    pki, store,
};

pub(super) fn version(bed: &Bed) -> Result<String> {
    first_line_of(Command::new(binary(bed)?).arg("--version"))
}

/// With the bench's certificate in its store.
pub(super) fn with_certificate(bed: &Bed) -> Result<Launch> {
    let folder = Folder::plain()?;
    for (file, text) in store::entry(pki::NAME, &bed.identity.chain_pem, &bed.identity.key_pem) {
        folder.write(&format!("storage/{file}"), &text)?;
    }
    let acme = r#"issuer = "internal""#;
    let storage = folder.file("storage");
    launch(bed, folder, &Edge { http: loopback()?, https: loopback()?, admin: loopback()?, acme, storage: &storage })
}

/// With an empty store, ordering from `ca`.
pub(super) fn on_demand(bed: &Bed, ca: &Ca) -> Result<Launch> {
    let folder = Folder::plain()?;
    folder.write("ca-root.pem", &ca.root_pem)?;
    let acme = format!(
        "issuer = \"acme\"\ndirectory = [\"{}\"]\nca_root = \"{}\"\ncontact = [\"mailto:bench@bench.test\"]",
        ca.directory,
        folder.file("ca-root.pem"),
    );
    let storage = folder.file("storage");
    launch(bed, folder, &Edge { http: ca.http, https: ca.tls, admin: loopback()?, acme: &acme, storage: &storage })
}

/// With the store in `storage`, which outlives the run.
pub(super) fn with_store(bed: &Bed, storage: &Path, admin: SocketAddr) -> Result<Launch> {
    let acme = r#"issuer = "internal""#;
    let storage = storage.display().to_string();
    let edge = Edge { http: loopback()?, https: loopback()?, admin, acme, storage: &storage };
    launch(bed, Folder::plain()?, &edge)
}

struct Edge<'a> {
    http: SocketAddr,
    https: SocketAddr,
    admin: SocketAddr,
    acme: &'a str,
    storage: &'a str,
}

fn launch(bed: &Bed, folder: Folder, edge: &Edge<'_>) -> Result<Launch> {
    folder.write("edge.toml", &config(bed.origin, edge))?;
    let binary = binary(bed)?.display().to_string();
    let command = vec![binary, "run".to_owned(), "--config".to_owned(), folder.file("edge.toml")];
    Ok(Launch { command, address: edge.https, folder })
}

fn config(origin: SocketAddr, edge: &Edge<'_>) -> String {
    let Edge { http, https, admin, acme, storage } = edge;
    format!(
        r#"[listen]
http = ["{http}"]
https = ["{https}"]
admin = "{admin}"
[ask]
url = "http://{origin}{ask}"
[acme]
{acme}
[storage]
path = "{storage}"
[proxy]
default_origin = "http://{origin}"
allow_private_origins = true
[limits]
connections_per_address = 1000000
handshakes_per_address = 1000000
handshake_rate = 1000000
handshake_rate_per_address = 1000000
[log]
access = "off"
level = "warn"
"#,
        ask = crate::origin::ASK_PATH,
    )
}

fn loopback() -> Result<SocketAddr> {
    Ok(SocketAddr::from(([127, 0, 0, 1], free_port()?)))
}

fn binary(bed: &Bed) -> Result<&Path> {
    bed.edge.as_deref().context("the edge is not built")
}
