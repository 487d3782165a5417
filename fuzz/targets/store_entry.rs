//! Files of the certificate store, torn, swapped or written by somebody else: a usable certificate or an error.
#![no_main]

use std::{fs, sync::LazyLock};

use certs::{Failure, FileStore, Leaf, Store};
use libfuzzer_sys::fuzz_target;
use prometheus::Registry;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

struct Bench {
    folder: TempDir,
    store: FileStore,
    runtime: Runtime,
}

static BENCH: LazyLock<Bench> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let store = FileStore::open(folder.path(), &Registry::new()).expect("a store");
    fs::create_dir_all(folder.path().join("certificates/ca/a.example.com")).expect("an entry");
    Bench { folder, store, runtime: Builder::new_current_thread().build().expect("a runtime") }
});

/// The three files of an entry, with a line of dashes between them.
fn parts(input: &str) -> (&str, &str, &str) {
    let (chain, rest) = input.split_once("\n---\n").unwrap_or((input, ""));
    let (key, meta) = rest.split_once("\n---\n").unwrap_or((rest, ""));
    (chain, key, meta)
}

fuzz_target!(|input: &str| {
    let files = parts(input);
    let bench = &*BENCH;
    let entry = bench.folder.path().join("certificates/ca/a.example.com");
    for (ending, text) in [("crt", files.0), ("key", files.1), ("json", files.2)] {
        fs::write(entry.join(format!("a.example.com.{ending}")), text).expect("written");
    }
    let name = "a.example.com".parse().expect("a name");
    if let Ok(Some(bundle)) = bench.runtime.block_on(bench.store.load(&name)) {
        assert_eq!((bundle.chain_pem.as_str(), bundle.key_pem.as_str()), (files.0, files.1), "as it was kept");
        if let Ok(leaf) = Leaf::parse(&bundle) {
            assert!(leaf.not_before() <= leaf.not_after() || !leaf.is_valid_at(leaf.not_before()));
        }
    }
    let _ = serde_json::from_str::<Failure>(files.2);
});
