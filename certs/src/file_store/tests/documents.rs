use super::*;

#[tokio::test]
async fn documents_are_written_read_listed_and_removed() {
    let bench = Bench::new();
    let store = &bench.store;
    assert_eq!(store.read("namegate/orders/a").await.unwrap(), None);
    assert_eq!(store.list("namegate/orders").await.unwrap(), Vec::<String>::new());
    store.write("namegate/orders/a", b"1").await.unwrap();
    store.write("namegate/orders/a", b"2").await.unwrap();
    store.write("namegate/orders/b", b"3").await.unwrap();
    store.write("namegate/orders/below/c", b"4").await.unwrap();
    assert_eq!(store.read("namegate/orders/a").await.unwrap().unwrap(), b"2");
    let mut keys = store.list("namegate/orders/").await.unwrap();
    keys.sort();
    assert_eq!(keys, ["namegate/orders/a", "namegate/orders/b"]);
    store.remove("namegate/orders/a").await.unwrap();
    store.remove("namegate/orders/a").await.unwrap();
    assert_eq!(store.read("namegate/orders/a").await.unwrap(), None);
}

#[tokio::test]
async fn no_key_leads_out_of_the_root() {
    let bench = Bench::new();
    for key in ["../x", "/etc/passwd", "a/../../x", ""] {
        assert!(matches!(bench.store.read(key).await, Err(StoreError::Io { .. })), "{key}");
        assert!(matches!(bench.store.write(key, b"").await, Err(StoreError::Io { .. })), "{key}");
        assert!(matches!(bench.store.remove(key).await, Err(StoreError::Io { .. })), "{key}");
        assert!(matches!(bench.store.list(key).await, Err(StoreError::Io { .. })), "{key}");
    }
}

#[tokio::test]
async fn a_document_that_cannot_be_read_is_an_error() {
    let bench = Bench::new();
    bench.put("namegate/orders", "a file in place of the folder");
    assert!(bench.store.read("namegate/orders/a").await.is_err());
    assert!(bench.store.write("namegate/orders/a", b"").await.is_err());
    assert!(bench.store.list("namegate/orders").await.is_err());
    bench.put("namegate/big", &"x".repeat(1024 * 1024 + 1));
    assert!(bench.store.read("namegate/big").await.is_err());
    bench.put("namegate/folder/x", "");
    assert!(bench.store.read("namegate/folder").await.is_err());
}

#[test]
fn a_folder_that_cannot_be_used_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "file", "");
    let opened = FileStore::open(folder.path().join("file"), &Registry::new());
    assert!(matches!(opened, Err(OpenError::Unusable { .. })));
    let registry = Registry::new();
    let _first = FileStore::open(folder.path(), &registry).unwrap();
    assert!(matches!(FileStore::open(folder.path(), &registry), Err(OpenError::Metrics(_))));
}
