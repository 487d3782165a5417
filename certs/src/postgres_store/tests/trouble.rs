use super::*;
use crate::StoreError;

fn broken(registry: &Registry) -> f64 {
    let families = registry.gather();
    let found = families.iter().find(|family| family.name() == "namegate_edge_store_broken_entries_total").unwrap();
    found.get_metric().iter().map(|metric| metric.get_counter().get_value()).sum()
}

#[tokio::test]
async fn another_key_is_told_of_at_the_start_and_an_old_key_still_opens() {
    let bench = Bench::start().await;
    bench.open().await.save(&name(A), &bundle(A)).await.unwrap();
    let other = Keyring::generate().unwrap();
    let refused = bench.try_open(&other, &Registry::new()).await.unwrap_err();
    assert!(matches!(refused, PostgresError::Key), "{refused}");
    let rotated = format!("{other}{}", bench.key);
    let store = bench.try_open(&rotated, &Registry::new()).await.unwrap();
    assert!(store.load(&name(A)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_broken_row_is_told_of_and_stops_no_other() {
    let bench = Bench::start().await;
    let registry = Registry::new();
    let store = bench.try_open(&bench.key, &registry).await.unwrap();
    let authority = Authority::new();
    for text in [A, "b.example.com", "c.example.com", "d.example.com", "e.example.com"] {
        store.save(&name(text), &authority.bundle(&[text])).await.unwrap();
    }
    store.save(&name("e.example.com"), &by("second", authority.bundle(&["e.example.com"]))).await.unwrap();
    store.write("namegate/failures/a.json", b"{}").await.unwrap();
    store.write("namegate/failures/b.json", b"{}").await.unwrap();
    for damage in [
        // Another row's key, a bit that fell over, a chain that is none, metadata that are none.
        "UPDATE namegate_edge.certificates SET sealed_key = (SELECT sealed_key FROM namegate_edge.certificates
            WHERE name = 'd.example.com') WHERE name = 'a.example.com'",
        "UPDATE namegate_edge.certificates SET sealed_key = set_byte(sealed_key, 20, get_byte(sealed_key, 20) # 1)
            WHERE name = 'b.example.com' OR (name = 'e.example.com' AND issuer = 'second')",
        "UPDATE namegate_edge.certificates SET chain_pem = 'no chain', meta = '7' WHERE name = 'c.example.com'",
        "UPDATE namegate_edge.documents SET sealed = '' WHERE key = 'namegate/failures/a.json'",
        "INSERT INTO namegate_edge.certificates VALUES ('not a name', 'x', '', '', '{}', 0, 0, 0)",
    ] {
        bench.psql(damage);
    }
    for text in [A, "b.example.com", "c.example.com"] {
        let error = store.load(&name(text)).await.map(|_| ()).unwrap_err();
        assert!(matches!(error, StoreError::Broken { .. }), "{text}: {error}");
    }
    assert!(matches!(store.read("namegate/failures/a.json").await, Err(StoreError::Broken { .. })));
    assert_eq!(broken(&registry), 4.0);
    assert!(store.load(&name("d.example.com")).await.unwrap().is_some());
    let other = store.load(&name("e.example.com")).await.unwrap().unwrap();
    assert_eq!(other.issuer.as_str(), "ca.test-directory", "another issuer's is sound");
    assert!(store.read("namegate/failures/b.json").await.unwrap().is_some());
    let mut met = 0;
    store
        .scan(&mut |piece| {
            met += piece.len();
            true
        })
        .await
        .unwrap();
    assert_eq!(met, 6, "the row without a name is passed over");
    for text in [A, "c.example.com"] {
        store.save(&name(text), &authority.bundle(&[text])).await.unwrap();
        assert!(store.load(&name(text)).await.unwrap().is_some(), "saving mends {text}");
    }
}

#[tokio::test]
async fn a_database_that_is_down_is_an_error_and_never_not_found_and_is_used_again_when_it_is_back() {
    let bench = Bench::start().await;
    let store = bench.open().await;
    store.save(&name(A), &bundle(A)).await.unwrap();
    bench.postgres.stop();
    for text in [A, "unknown.example.com"] {
        let error = store.load(&name(text)).await.map(|_| ()).unwrap_err();
        assert!(matches!(error, StoreError::Io { .. }), "{error}");
        assert!(!telemetry::chain(&error).to_string().contains("postgres://"), "{error}");
    }
    assert!(matches!(store.lease("order/a", LIFE).await, Err(StoreError::Io { .. })));
    assert!(matches!(store.read("namegate/x").await, Err(StoreError::Io { .. })));
    bench.postgres.resume().await;
    test_support::wait::until("the store answers again", async || store.load(&name(A)).await.ok().flatten()).await;
    assert!(store.load(&name("unknown.example.com")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_database_that_hangs_is_an_error_within_the_limit() {
    let bench = Bench::start().await;
    let store = bench.open().await;
    // Somebody holds the row that every save counts up, and does not go away.
    let _holder = bench.hold("LOCK TABLE namegate_edge.changes").await;
    let begun = std::time::Instant::now();
    let error = store.save(&name(A), &bundle(A)).await.unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(store.load(&name(A)).await.unwrap().is_none(), "others are not held up");
}

#[tokio::test]
async fn a_wrong_url_is_told_without_showing_it() {
    let bench = Bench::start().await;
    let keys = || Keyring::parse(&bench.key).unwrap();
    for url in ["postgres://u:hunter2@[half/db", "nonsense hunter2"] {
        let settings = PostgresSettings { url: url.to_owned(), keys: keys(), connections: 1 };
        assert!(!format!("{settings:?}").contains("hunter2"));
        let error = PostgresStore::open(settings, &Registry::new()).await.unwrap_err();
        assert!(!telemetry::chain(&error).to_string().contains("hunter2"), "{error}");
    }
    let wrong = bench.url.replace("/test0", "/nowhere");
    let settings = PostgresSettings { url: wrong, keys: keys(), connections: 1 };
    let error = PostgresStore::open(settings, &Registry::new()).await.unwrap_err();
    assert!(matches!(error, PostgresError::Database(_)), "{error}");
}
