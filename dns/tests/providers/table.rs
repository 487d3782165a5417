//! Runs all cases for one adapter and writes its row.

use std::{path::Path, sync::Arc};

use dns::provider::catalogue;

use crate::{
    cases::{CASES, Case},
    shim::Shim,
};

/// Runs every case, each in a task of its own: one that fails does not hide the others.
pub(crate) async fn run(shim: Arc<dyn Shim>) {
    let key = shim.key();
    assert!(catalogue().any(|facts| facts.key == key), "{key} is not in the catalogue");
    let mut failed = Vec::new();
    let mut row = String::new();
    for case in CASES {
        let Case { name, run } = case;
        if !case.applies(&*shim) {
            row.push_str(&format!("-\t{name}\n"));
            continue;
        }
        let passed = tokio::spawn(run(Arc::clone(&shim))).await.is_ok();
        row.push_str(&format!("{}\t{name}\n", if passed { "ok" } else { "FAILED" }));
        if !passed {
            failed.push(*name);
        }
    }
    write(key, &row);
    assert!(failed.is_empty(), "{key}: {} of {} cases failed: {failed:#?}", failed.len(), CASES.len());
}

fn write(key: &str, row: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("providers");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{key}.tsv")), row).unwrap();
}
