//! The floor as a child: this same program under another command.

use std::net::SocketAddr;

use anyhow::Result;

use super::Launch;
use crate::bed::{Bed, Folder, free_port};

pub(super) fn launch(bed: &Bed) -> Result<Launch> {
    let folder = Folder::plain()?;
    folder.write("chain.pem", &bed.identity.chain_pem)?;
    folder.write("key.pem", &bed.identity.key_pem)?;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let program = std::env::current_exe()?.display().to_string();
    let command = [
        program,
        "floor".to_owned(),
        address.to_string(),
        folder.file("chain.pem"),
        folder.file("key.pem"),
        bed.origin.to_string(),
    ];
    Ok(Launch { command: command.into(), address, folder })
}
