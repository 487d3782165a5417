//! Doors for the fuzz targets, which stand outside of the workspace. Built with `--cfg fuzzing` only.

use names::Hostname;

use crate::{Site, answer};

/// What an ask endpoint's answer about `name` means; `None` where it cannot be used.
pub fn ask_answer(name: &Hostname, content_type: Option<&str>, body: &[u8]) -> Option<Site> {
    let answer = answer::read(content_type, body).ok()?;
    Site::parse(name, &answer, None).ok()
}
