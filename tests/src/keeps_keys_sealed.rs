//! `storage.key_file`: private keys at rest are worth nothing without it.

use std::path::Path;

use http::StatusCode;
use rustls::AlertDescription;
use test_support::{EdgeOptions, EdgeProcess, Kind, Loopback, PebbleOptions};

use crate::stack::Issuing;

pub(crate) const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
const OTHER_KEY: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=\n";

/// Configuration for a key file in `folder` that holds `keys`.
pub(crate) fn key_file(folder: &Path, keys: &str) -> String {
    let file = folder.join("edge.keys");
    std::fs::write(&file, keys).unwrap();
    format!("[storage]\nkey_file = {file:?}")
}

/// Whether any file of the storage folder holds `text`.
fn holds(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().any(|entry| match entry.path().is_dir() {
        true => holds(&entry.path(), text),
        false => std::fs::read(entry.path()).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text)),
    })
}

#[tokio::test]
async fn a_stolen_storage_folder_holds_no_private_key() {
    let folder = tempfile::tempdir().unwrap();
    // Begun without a key file, as every older installation was.
    let mut stack = Issuing::start().await;
    assert_eq!(stack.get("old.test", "/").await.unwrap().status(), StatusCode::OK);
    assert!(holds(&stack.edge.storage(), "PRIVATE KEY"));
    let sealed = key_file(folder.path(), KEY);
    stack.edge.configure(|options| *options = options.clone().set(&sealed).set("[log]\nlevel = \"trace\""));
    stack.edge.restart().await;
    assert_eq!(stack.get("new.test", "/").await.unwrap().status(), StatusCode::OK);
    assert_eq!(stack.get("old.test", "/").await.unwrap().status(), StatusCode::OK);
    stack.edge.logs("\"what\":\"certificates\"").await;
    assert!(!holds(&stack.edge.storage(), "PRIVATE KEY"));
    assert!(!holds(&stack.edge.storage(), KEY.trim()));
    assert!(!stack.edge.log().contains(KEY.trim()));
    let shown = stack.edge.command(&["certs", "show", "old.test", "--format", "json"]).await;
    assert!(shown.code == 0 && shown.stdout.contains("\"valid\": true"), "{}{}", shown.stdout, shown.stderr);
    assert_eq!((stack.proxy.accepted(Kind::NewOrder), stack.proxy.accepted(Kind::NewAccount)), (2, 1));
}

#[tokio::test]
async fn with_another_key_file_nothing_is_served_or_ordered_and_with_both_keys_everything_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = Issuing::start_with(&key_file(folder.path(), KEY), PebbleOptions::default()).await;
    assert_eq!(stack.get("a.test", "/").await.unwrap().status(), StatusCode::OK);
    key_file(folder.path(), OTHER_KEY);
    stack.edge.restart().await;
    let refused = stack.get("a.test", "/").await.unwrap_err();
    assert_eq!(refused.alert(), Some(AlertDescription::InternalError));
    stack.get("b.test", "/").await.unwrap_err();
    let shown = stack.edge.command(&["certs", "show", "a.test"]).await;
    assert!(shown.code == 1 && shown.stderr.contains("a key that the key file does not hold"), "{}", shown.stderr);
    stack.edge.logs("store.unsealed").await;
    assert_eq!((stack.proxy.accepted(Kind::NewOrder), stack.proxy.accepted(Kind::NewAccount)), (1, 1));
    key_file(folder.path(), &format!("{OTHER_KEY}{KEY}"));
    stack.edge.restart().await;
    assert_eq!(stack.get("a.test", "/").await.unwrap().status(), StatusCode::OK);
    assert_eq!(stack.get("c.test", "/").await.unwrap().status(), StatusCode::OK);
    assert_eq!(stack.proxy.accepted(Kind::NewAccount), 1);
}

#[tokio::test]
async fn a_key_file_that_cannot_be_read_keeps_the_edge_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let settings = key_file(folder.path(), "not a key\n");
    let options = EdgeOptions::on(&Loopback::take()).set("[ask]\nurl = \"http://127.0.0.1:1/ask\"").set(&settings);
    let edge = EdgeProcess::prepare(options);
    let broken = edge.command(&["validate", "--format", "json"]).await;
    assert!(broken.code == 1 && broken.stdout.contains("\"bad_key\""), "{}", broken.stdout);
    assert!(!broken.stdout.contains("not a key"), "{}", broken.stdout);
    std::fs::remove_file(folder.path().join("edge.keys")).unwrap();
    let gone = edge.command(&["validate", "--format", "json"]).await;
    assert!(gone.code == 1 && gone.stdout.contains("\"unreadable\""), "{}", gone.stdout);
    let run = edge.command(&["run"]).await;
    assert!(run.code == 1 && run.stderr.contains("storage.key_file"), "{}", run.stderr);
    let show = edge.command(&["certs", "list"]).await;
    assert_eq!(show.code, 1);
}
