//! Certificates that go, with their keys.

use super::*;

fn tenant(text: &str) -> names::Tenant {
    text.parse().unwrap()
}

fn of(tenant_id: &str, bundle: Bundle) -> Bundle {
    bundle.of(Some(&tenant(tenant_id)))
}

/// What stands under the root that is a private key, staging included.
fn keys(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(keys(&path)),
            false if fs::read_to_string(&path).unwrap().contains("PRIVATE KEY") => found.push(path),
            false => {}
        }
    }
    found
}

#[tokio::test]
async fn what_was_ordered_for_another_tenant_goes_with_its_key_whoever_issued_it() {
    let bench = Bench::new();
    let authority = Authority::new();
    let subject = name("a.example.com");
    bench.store.save(&subject, &of("app_1", by("one", at(&authority, "a.example.com", 3_000)))).await.unwrap();
    bench.store.save(&subject, &of("app_1", by("two", at(&authority, "a.example.com", 2_000)))).await.unwrap();
    let own = of("app_2", by("six", at(&authority, "a.example.com", 1_000)));
    bench.store.save(&subject, &own).await.unwrap();
    bench.store.save(&name("b.example.com"), &of("app_1", authority.bundle(&["b.example.com"]))).await.unwrap();

    assert_eq!(bench.store.purge(&subject, &Leaving::Others(tenant("app_2"))).await.unwrap(), 2);
    assert_eq!(bench.store.load(&subject).await.unwrap().unwrap().chain_pem, own.chain_pem);
    let left = [bench.path(&certificate_key("ca.test-directory", "b.example.com", "key"))];
    let left = left.into_iter().chain([bench.path(&certificate_key("six", "a.example.com", "key"))]);
    let mut found = keys(bench.folder.path());
    found.sort();
    assert_eq!(found, left.collect::<Vec<_>>(), "no copy anywhere");
    assert_eq!(bench.store.purge(&subject, &Leaving::Others(tenant("app_2"))).await.unwrap(), 0, "once");
    assert_eq!(bench.store.purge(&subject, &Leaving::All).await.unwrap(), 1);
    assert!(bench.store.load(&subject).await.unwrap().is_none());
}

#[tokio::test]
async fn what_nobody_is_noted_for_goes_only_when_that_is_asked_for_and_a_wildcard_never_with_a_name() {
    let bench = Bench::new();
    let authority = Authority::new();
    bench.put_bundle("a.example.com", &authority.bundle(&["a.example.com"]));
    bench.put_bundle("wildcard_.example.com", &authority.bundle(&["*.example.com"]));
    let subject = name("a.example.com");
    assert_eq!(bench.store.purge(&subject, &Leaving::Others(tenant("app_2"))).await.unwrap(), 0);
    assert!(bench.path(KEY).exists());
    assert_eq!(bench.store.purge(&subject, &Leaving::OthersAndUnknown(tenant("app_2"))).await.unwrap(), 1);
    assert_eq!(bench.store.purge(&subject, &Leaving::All).await.unwrap(), 0);
    let wildcard = bench.store.load(&subject).await.unwrap().unwrap();
    assert_eq!(wildcard.meta["sans"][0], "*.example.com");
}

#[tokio::test]
async fn a_broken_entry_loses_its_key_and_what_stands_beside_it_stays() {
    let bench = Bench::new();
    let authority = Authority::new();
    let bundle = of("app_1", authority.bundle(&["a.example.com"]));
    for broken in [CRT, KEY] {
        bench.put_bundle("a.example.com", &bundle);
        bench.put(broken, "broken");
        let beside = CRT.replace(".crt", ".txt");
        bench.put(&beside, "somebody's");
        let gone = bench.store.purge(&name("a.example.com"), &Leaving::Others(tenant("app_2"))).await.unwrap();
        assert_eq!((gone, bench.path(CRT).exists(), bench.path(KEY).exists()), (1, false, false), "{broken}");
        assert_eq!(fs::read_to_string(bench.path(&beside)).unwrap(), "somebody's");
        assert!(bench.store.load(&name("a.example.com")).await.unwrap().is_none());
        assert!(keys(bench.folder.path()).is_empty());
    }
    bench.store.save(&name("a.example.com"), &bundle).await.unwrap();
    assert!(bench.store.load(&name("a.example.com")).await.unwrap().is_some(), "there is room for the next one");
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_removal_leaves_no_key() {
    let bench = Bench::new();
    let bundle = Authority::new().bundle(&["a.example.com"]);
    // The folder was moved away, and nothing in it removed yet.
    put(bench.folder.path(), "namegate/staging/4711/0/a.example.com.key", &bundle.key_pem);
    put(bench.folder.path(), "namegate/staging/4711/0/a.example.com.crt", &bundle.chain_pem);
    let Bench { folder, store, .. } = bench;
    drop(store);
    let bench = Bench::on(folder);
    assert!(keys(bench.folder.path()).is_empty());
}

#[tokio::test]
async fn a_note_of_the_tenant_stays_with_its_certificate_and_caddys_fields_with_the_entry() {
    let bench = Bench::new();
    let authority = Authority::new();
    let subject = name("a.example.com");
    let first = of("app_1", authority.bundle(&["a.example.com"]));
    bench.store.save(&subject, &first).await.unwrap();
    let found = bench.store.load(&subject).await.unwrap().unwrap();
    assert_eq!(found.tenant(), Some(tenant("app_1")));
    assert_eq!(found.meta["issuer_data"], first.meta["issuer_data"]);
    bench.store.save(&subject, &authority.bundle(&["a.example.com"])).await.unwrap();
    assert_eq!(bench.store.load(&subject).await.unwrap().unwrap().tenant(), None, "the next one is nobody's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_saved_while_others_go_stays() {
    let bench = Bench::new();
    let authority = Authority::new();
    let subject = name("a.example.com");
    let (old, new) =
        (of("app_1", authority.bundle(&["a.example.com"])), of("app_2", authority.bundle(&["a.example.com"])));
    for _ in 0..100 {
        bench.store.save(&subject, &old).await.unwrap();
        let leaving = Leaving::Others(tenant("app_2"));
        let (saved, purged) = tokio::join!(bench.store.save(&subject, &new), bench.store.purge(&subject, &leaving));
        assert!(purged.unwrap() <= 1);
        saved.unwrap();
        assert_eq!(bench.store.load(&subject).await.unwrap().unwrap().chain_pem, new.chain_pem);
    }
}
