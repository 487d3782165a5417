//! Programs in the cache folder that `scripts/tools.sh` fills.

use std::path::PathBuf;

/// The path of one of them, relative to the cache folder.
///
/// # Panics
/// When it is not there: a test must not pass because its peer is missing.
pub fn cached(program: &str) -> PathBuf {
    let cache = std::env::var_os("NAMEGATE_CACHE").map(PathBuf::from).unwrap_or_else(|| {
        let home = std::env::var_os("HOME").expect("HOME or NAMEGATE_CACHE must say where the cache folder is");
        PathBuf::from(home).join(".cache/namegate")
    });
    let path = cache.join(program);
    assert!(path.exists(), "\n\n{} is missing: run `make tools` once.\n\n", path.display());
    path
}
