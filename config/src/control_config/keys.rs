//! `[keys]`: what secrets are sealed under.

use std::path::PathBuf;

use super::Mode;
use crate::{
    disk,
    section::{Disk, Walk},
};

/// The key file; in production it must be there, because webhook secrets cannot be kept without it.
pub(crate) fn read(walk: &mut Walk, mode: Mode) -> Option<PathBuf> {
    let mut section = walk.section("keys");
    let file = section.path("file");
    if file == Ok(None) && mode == Mode::Production {
        let hint = "name a file that holds a line of `namegate-control generate-key`; NAMEGATE_KEY_FILE does as well";
        section.missing("file", hint.to_owned());
    }
    let (path, at) = file.ok().flatten()?;
    if section.disk() == Disk::Look
        && let Err(problem) = disk::check_sealing_keys(&path, "make a line with `namegate-control generate-key`")
    {
        section.mistake(&at, problem);
    }
    Some(path)
}
