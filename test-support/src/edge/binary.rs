//! Where the edge's binary is.

use std::{path::PathBuf, process::Command, sync::OnceLock};

/// `NAMEGATE_EDGE_BIN`; else what cargo has built beside this test; else it is built now.
pub(super) fn find() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| named().or_else(beside).unwrap_or_else(build)).clone()
}

fn named() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("NAMEGATE_EDGE_BIN")?);
    assert!(path.exists(), "NAMEGATE_EDGE_BIN names {}, which is not there", path.display());
    Some(path)
}

/// A test runs in `target/<profile>/deps/`, a binary in `target/<profile>/`.
fn beside() -> Option<PathBuf> {
    let exe = std::env::current_exe().ok()?;
    exe.ancestors().skip(1).take(2).map(|folder| folder.join("namegate-edge")).find(|path| path.exists())
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args(["build", "--package", "edge", "--bin", "namegate-edge"]).status();
    assert!(status.is_ok_and(|status| status.success()), "the edge does not build");
    beside().expect("cargo must have put namegate-edge beside this program")
}
