//! Private keys at rest.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use certs::{Bundle, IssueError, Issuer, IssuerKey, LoadError, ObtainError, Seal, Store, StoreError, Swept};
use sealing::Keyring;
use test_support::{Ca, Kind};

use crate::scene::{Scene, name, open, open_sealed, subject};

const BEGIN: &str = "-----BEGIN NAMEGATE SEALED SECRET-----\n";

fn key() -> String {
    Keyring::generate().unwrap()
}

fn seal(key_file: &str) -> Seal {
    Seal::parse(key_file).unwrap()
}

/// Every file below a folder, with what it holds.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push((path.clone(), String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned())),
        }
    }
    found
}

fn ending_with<'a>(files: &'a [(PathBuf, String)], ending: &str) -> Vec<&'a str> {
    files.iter().filter(|(path, _)| path.to_string_lossy().ends_with(ending)).map(|(_, text)| text.as_str()).collect()
}

/// Has the CA hold an order back behind its journal, and gives it up there.
async fn leave_an_order_in_flight(scene: &Scene, host: &str) {
    scene.proxy.hold(Kind::Finalize);
    let (issuer, host) = (scene.issuer(), subject(host));
    tokio::select! {
        _ = issuer.issue(&host, None, None, &|_| ()) => panic!("the order is held back"),
        () = scene.proxy.reached(Kind::Finalize) => {}
    }
    scene.proxy.clear(Kind::Finalize);
}

#[tokio::test]
async fn with_a_key_file_no_private_key_lies_open_and_a_restart_uses_them_all() {
    let mut scene = Scene::start().await;
    let key = key();
    scene.store = open_sealed(scene.folder(), seal(&key));
    scene.manager().obtain(&name("a.customer.test"), None).await.unwrap();
    leave_an_order_in_flight(&scene, "b.customer.test").await;
    let files = files(scene.folder());
    for (path, text) in &files {
        assert!(!text.contains("PRIVATE KEY"), "{}", path.display());
        assert!(!text.contains(key.trim()), "{}", path.display());
    }
    for ending in ["ops.key", "a.customer.test.key", "orders/127.0.0.1/b.customer.test.json"] {
        let ending = ending.replace("127.0.0.1", scene.issuer().key().as_str());
        let kept = ending_with(&files, &ending);
        assert!(kept.len() == 1 && kept[0].starts_with(BEGIN), "{ending}: {kept:?}");
    }
    scene.store = open_sealed(scene.folder(), seal(&key));
    scene.manager().obtain(&name("a.customer.test"), None).await.unwrap();
    scene.manager().obtain(&name("b.customer.test"), None).await.unwrap();
    assert_eq!((scene.orders(), scene.proxy.accepted(Kind::NewAccount)), (2, 1));
}

#[tokio::test]
async fn a_sealed_key_opens_under_its_own_name_and_issuer_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_sealed(folder.path(), seal(&key()));
    // One certificate for both names: its key fits wherever it is moved.
    let identity = Ca::new("root").issue(&["a.customer.test", "b.customer.test"]);
    for (issuer, host) in [("one", "a.customer.test"), ("one", "b.customer.test"), ("two", "a.customer.test")] {
        let (chain_pem, key_pem) = (identity.chain_pem.clone(), identity.key_pem.clone());
        let bundle = Bundle { issuer: IssuerKey::new(issuer), chain_pem, key_pem, meta: serde_json::Value::Null };
        store.save(&subject(host), &bundle).await.unwrap();
    }
    let path = |issuer: &str, host: &str| folder.path().join(format!("certificates/{issuer}/{host}/{host}.key"));
    fs::copy(path("one", "a.customer.test"), path("one", "b.customer.test")).unwrap();
    refused(&*store, "b.customer.test", "sealed for another place").await;
    fs::remove_dir_all(folder.path().join("certificates/one/a.customer.test")).unwrap();
    store.load(&subject("a.customer.test")).await.unwrap().expect("the other issuer's is untouched");
    fs::copy(path("one", "b.customer.test"), path("two", "a.customer.test")).unwrap();
    refused(&*store, "a.customer.test", "sealed for another place").await;
    // A document moved to another's key, and one that was changed.
    store.write_secret("namegate/orders/ca/a.json", b"order").await.unwrap();
    let sealed = store.read("namegate/orders/ca/a.json").await.unwrap().unwrap();
    store.write("namegate/orders/ca/b.json", &sealed).await.unwrap();
    assert!(store.read_secret("namegate/orders/ca/a.json").await.unwrap().is_some_and(|text| *text == b"order"));
    assert!(matches!(store.read_secret("namegate/orders/ca/b.json").await, Err(StoreError::Broken { .. })));
}

/// Loading fails, and says so.
async fn refused(store: &dyn Store, host: &str, reason: &str) {
    match store.load(&subject(host)).await {
        Err(StoreError::Broken { problem, .. }) => assert!(problem.contains(reason), "{problem}"),
        Err(error) => panic!("{error}"),
        Ok(found) => panic!("{host}: a certificate: {}", found.is_some()),
    }
}

#[tokio::test]
async fn with_another_key_file_or_none_what_is_sealed_is_an_error_and_nothing_is_ordered() {
    let mut scene = Scene::start().await;
    let key = key();
    scene.store = open_sealed(scene.folder(), seal(&key));
    scene.manager().obtain(&name("a.customer.test"), None).await.unwrap();
    leave_an_order_in_flight(&scene, "b.customer.test").await;
    let orders = scene.orders();
    let other = self::key();
    for (store, reason) in [
        (open(scene.folder()), "no key file is configured"),
        (open_sealed(scene.folder(), seal(&other)), "a key that the key file does not hold"),
    ] {
        scene.store = store;
        refused(&*scene.store, "a.customer.test", reason).await;
        let error = scene.manager().obtain(&name("a.customer.test"), None).await.unwrap_err();
        assert!(matches!(error, ObtainError::Load(LoadError::Store(_))), "{error}");
        // The account does not open: no other one is made.
        for host in ["b.customer.test", "new.customer.test"] {
            let issued = scene.issuer().issue(&subject(host), None, None, &|_| ()).await;
            let Err(IssueError::Store(error)) = issued else { panic!("{host}: an order") };
            assert!(error.to_string().contains(reason), "{error}");
            assert!(!error.to_string().contains(key.trim()));
        }
    }
    assert_eq!((scene.orders(), scene.proxy.accepted(Kind::NewAccount)), (orders, 1));
    // The journal's order is sealed too: with the account alone it is an error, not another order.
    scene.store = open_sealed(scene.folder(), seal(&key));
    let journal = format!("namegate/orders/{}/b.customer.test.json", scene.issuer().key());
    open_sealed(scene.folder(), seal(&other)).write_secret(&journal, b"{}").await.unwrap();
    let issued = scene.issuer().issue(&subject("b.customer.test"), None, None, &|_| ()).await;
    assert!(matches!(issued, Err(IssueError::Store(_))));
    assert_eq!(scene.orders(), orders);
}

#[tokio::test]
async fn keys_of_before_are_read_and_a_start_seals_them_and_those_of_an_old_key() {
    let mut scene = Scene::start().await;
    scene.manager().obtain(&name("a.customer.test"), None).await.unwrap();
    let (old, new) = (key(), key());
    for key_file in [old.clone(), format!("{new}{old}"), new.clone()] {
        let store = open_sealed(scene.folder(), seal(&key_file));
        store.load(&subject("a.customer.test")).await.unwrap().expect("it is read before it is sealed");
        let accounts = store.seal_documents().await.unwrap().unwrap();
        let certificates = store.seal_certificates().await.unwrap().unwrap();
        let sealed = u64::from(key_file != new);
        assert_eq!(
            (accounts, certificates),
            (Swept { sealed, ..Swept::default() }, Swept { sealed, ..Swept::default() })
        );
        for (path, text) in files(scene.folder()) {
            assert!(!text.contains("PRIVATE KEY"), "{}", path.display());
        }
        scene.store = store;
        scene.issuer().issue(&subject("b.customer.test"), None, None, &|_| ()).await.unwrap();
        scene.issuer().settled(&subject("b.customer.test")).await.unwrap();
    }
    let lost = open_sealed(scene.folder(), seal(&old));
    let swept = Swept { unreadable: 1, ..Swept::default() };
    assert_eq!(lost.seal_certificates().await.unwrap(), Some(swept), "nothing is overwritten that does not open");
    scene.store = open_sealed(scene.folder(), seal(&new));
    scene.manager().obtain(&name("a.customer.test"), None).await.unwrap();
    assert_eq!(scene.proxy.accepted(Kind::NewAccount), 1);
}

#[tokio::test]
async fn a_renewed_certificate_keeps_its_key_while_the_sweep_goes_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::new("root");
    let bundle = || {
        let identity = ca.issue(&["a.customer.test"]);
        let (chain_pem, key_pem) = (identity.chain_pem, identity.key_pem);
        Bundle { issuer: IssuerKey::new("one"), chain_pem, key_pem, meta: serde_json::Value::Null }
    };
    let plain = open(folder.path());
    let store = open_sealed(folder.path(), seal(&key()));
    for _ in 0..50 {
        plain.save(&subject("a.customer.test"), &bundle()).await.unwrap();
        let (swept, renewed) = (Arc::clone(&store), Arc::clone(&plain));
        let fresh = bundle();
        let sweep = tokio::spawn(async move { swept.seal_certificates().await.unwrap() });
        let save = tokio::spawn(async move { renewed.save(&subject("a.customer.test"), &fresh).await });
        sweep.await.unwrap();
        save.await.unwrap().unwrap();
        store.load(&subject("a.customer.test")).await.unwrap().expect("key and certificate fit");
    }
}
