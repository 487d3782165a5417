//! What every store promises, whichever it is.

use std::time::Duration;

use clock::Timestamp;
use names::Subject;
use prometheus::Registry;
use serde_json::json;

use crate::{Bundle, FileStore, IssuerKey, Leaving, Scanned, Store, StoreError, fixture::Authority};

fn name(text: &str) -> Subject {
    Subject::parse(text).unwrap()
}

fn at(authority: &Authority, issuer: &str, name: &str, start: i64) -> Bundle {
    let bundle = authority.bundle_between(name, Timestamp::from_secs(start), Duration::from_secs(1_000_000));
    Bundle { issuer: IssuerKey::new(issuer), ..bundle }
}

async fn chain(store: &dyn Store, text: &str) -> Option<String> {
    store.load(&name(text)).await.unwrap().map(|bundle| bundle.chain_pem)
}

async fn keeps_what_it_is_given(store: &dyn Store) {
    let a = name("a.example.com");
    let old = Bundle {
        meta: json!({ "issuer_data": { "renewal_info": 1 }, "note": "keep" }),
        ..Authority::new().bundle(&["a.example.com"])
    };
    assert!(store.load(&a).await.unwrap().is_none());
    store.save(&a, &old).await.unwrap();
    let found = store.load(&a).await.unwrap().unwrap();
    assert_eq!((&found.chain_pem, &found.key_pem, &found.issuer), (&old.chain_pem, &old.key_pem, &old.issuer));
    store.save(&a, &Bundle { meta: json!({ "issuer_data": { "url": "u" } }), ..old }).await.unwrap();
    let found = store.load(&a).await.unwrap().unwrap();
    assert_eq!(found.meta, json!({ "sans": ["a.example.com"], "issuer_data": { "url": "u" }, "note": "keep" }));
}

async fn the_youngest_wins_and_a_wildcard_stands_in(store: &dyn Store) {
    let authority = Authority::new();
    for (issuer, start) in [("one", 2_000), ("two", 3_000), ("six", 1_000)] {
        store.save(&name("b.example.org"), &at(&authority, issuer, "b.example.org", start)).await.unwrap();
    }
    assert_eq!(store.load(&name("b.example.org")).await.unwrap().unwrap().issuer.as_str(), "two");
    let wildcard = at(&authority, "one", "*.example.org", 9_000);
    store.save(&name("*.example.org"), &wildcard).await.unwrap();
    assert_eq!(chain(store, "c.example.org").await.as_ref(), Some(&wildcard.chain_pem));
    assert_ne!(chain(store, "b.example.org").await.as_ref(), Some(&wildcard.chain_pem));
    assert_eq!(chain(store, "example.org").await, None);
    assert_eq!(chain(store, "d.c.example.org").await, None);
}

async fn what_could_not_be_loaded_is_not_saved(store: &dyn Store) {
    let authority = Authority::new();
    let good = authority.bundle(&["s.example.net"]);
    let swapped = Bundle { key_pem: authority.bundle(&["s.example.net"]).key_pem, ..good.clone() };
    let astray = Bundle { issuer: IssuerKey::new("../x"), ..good.clone() };
    for (key, bundle) in [("s.example.net", swapped), ("t.example.net", good), ("s.example.net", astray)] {
        let refused = store.save(&name(key), &bundle).await;
        assert!(matches!(refused, Err(StoreError::Broken { .. })), "{key}");
    }
    assert!(store.load(&name("s.example.net")).await.unwrap().is_none());
}

async fn documents_come_back_and_are_listed_by_folder(store: &dyn Store) {
    assert_eq!(store.read("namegate/orders/x/a.json").await.unwrap(), None);
    store.remove("namegate/orders/x/a.json").await.unwrap();
    for key in ["namegate/orders/x/a.json", "namegate/orders/x/b.json", "namegate/orders/y/c.json"] {
        store.write(key, key.as_bytes()).await.unwrap();
    }
    store.write("namegate/orders/x/a.json", b"second").await.unwrap();
    assert_eq!(store.read("namegate/orders/x/a.json").await.unwrap().as_deref(), Some(&b"second"[..]));
    store.remove("namegate/orders/x/b.json").await.unwrap();
    assert_eq!(store.list("namegate/orders/x").await.unwrap(), ["namegate/orders/x/a.json"]);
    assert_eq!(store.list("namegate/orders/none").await.unwrap(), [""; 0]);
    for key in ["", "/etc/passwd", "a/../b", "a b"] {
        assert!(matches!(store.write(key, b"x").await, Err(StoreError::Io { .. })), "{key}");
    }
}

async fn what_leaves_goes_with_its_key_and_what_stays_is_left(store: &dyn Store) {
    let (p, authority) = (name("p.example.net"), Authority::new());
    let [mine, theirs] = ["app_1", "app_2"].map(|id| id.parse::<names::Tenant>().unwrap());
    for (issuer, tenant) in [("one", Some(&mine)), ("two", Some(&theirs)), ("six", None)] {
        store.save(&p, &at(&authority, issuer, "p.example.net", 1_000).of(tenant)).await.unwrap();
    }
    assert_eq!(store.purge(&p, &Leaving::Others(mine.clone())).await.unwrap(), 1);
    assert_eq!(store.purge(&p, &Leaving::OthersAndUnknown(mine.clone())).await.unwrap(), 1);
    assert_eq!(store.load(&p).await.unwrap().unwrap().tenant(), Some(mine));
    store.save(&p, &at(&authority, "one", "p.example.net", 2_000)).await.unwrap();
    assert_eq!(store.load(&p).await.unwrap().unwrap().tenant(), None, "the note goes with its certificate");
    assert_eq!(store.purge(&p, &Leaving::All).await.unwrap(), 1);
    assert!(store.load(&p).await.unwrap().is_none());
    assert_eq!(store.purge(&p, &Leaving::All).await.unwrap(), 0);
}

async fn a_walk_meets_every_certificate_once(store: &dyn Store) {
    let mut met = Vec::new();
    let mut collect = |piece: Vec<Scanned>| {
        met.extend(piece.into_iter().map(|found| format!("{} {}", found.name, found.issuer)));
        true
    };
    store.scan(&mut collect).await.unwrap();
    met.sort();
    let expected = [
        "*.example.org one",
        "a.example.com ca.test-directory",
        "b.example.org one",
        "b.example.org six",
        "b.example.org two",
    ];
    assert_eq!(met, expected);
}

/// The whole contract, on an empty store.
pub(crate) async fn holds(store: &dyn Store) {
    keeps_what_it_is_given(store).await;
    the_youngest_wins_and_a_wildcard_stands_in(store).await;
    what_could_not_be_loaded_is_not_saved(store).await;
    documents_come_back_and_are_listed_by_folder(store).await;
    what_leaves_goes_with_its_key_and_what_stays_is_left(store).await;
    a_walk_meets_every_certificate_once(store).await;
}

#[tokio::test]
async fn the_file_store_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    holds(&FileStore::open(folder.path(), &Registry::new()).unwrap()).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn the_postgres_store_keeps_the_contract() {
    let bench = crate::postgres_store::tests::Bench::start().await;
    holds(&bench.open().await).await;
}
