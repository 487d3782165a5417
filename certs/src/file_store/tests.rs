use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use clock::Timestamp;
use prometheus::Registry;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::{IssuerKey, Leaf, fixture::Authority};

mod caddy;
mod documents;
mod purging;
mod scanning;

/// A store on a folder of its own.
struct Bench {
    folder: TempDir,
    store: FileStore,
    registry: Registry,
}

impl Bench {
    fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap())
    }

    fn on(folder: TempDir) -> Self {
        let registry = Registry::new();
        Self { store: FileStore::open(folder.path(), &registry).unwrap(), folder, registry }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.path().join(key)
    }

    fn put(&self, key: &str, text: &str) {
        put(self.folder.path(), key, text);
    }

    /// Writes a bundle as CertMagic does, file by file.
    fn put_bundle(&self, stem: &str, bundle: &Bundle) {
        put_bundle(self.folder.path(), stem, bundle);
    }

    fn metric(&self, family: &str) -> f64 {
        let families = self.registry.gather();
        let found = families.iter().find(|f| f.name() == family).unwrap();
        found.get_metric().iter().map(|m| m.get_counter().get_value()).sum()
    }

    fn broken(&self) -> f64 {
        self.metric("namegate_edge_store_broken_entries_total")
    }
}

fn put(root: &Path, key: &str, text: &str) {
    let path = root.join(key);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn put_bundle(root: &Path, stem: &str, bundle: &Bundle) {
    let issuer = bundle.issuer.as_str();
    put(root, &certificate_key(issuer, stem, "key"), &bundle.key_pem);
    put(root, &certificate_key(issuer, stem, "crt"), &bundle.chain_pem);
    put(root, &certificate_key(issuer, stem, "json"), &bundle.meta.to_string());
}

fn name(text: &str) -> Subject {
    Subject::parse(text).unwrap()
}

fn by(issuer: &str, bundle: Bundle) -> Bundle {
    Bundle { issuer: IssuerKey::new(issuer), ..bundle }
}

fn at(authority: &Authority, name: &str, start: i64) -> Bundle {
    authority.bundle_between(name, Timestamp::from_secs(start), Duration::from_secs(1_000_000))
}

const CRT: &str = "certificates/ca.test-directory/a.example.com/a.example.com.crt";
const KEY: &str = "certificates/ca.test-directory/a.example.com/a.example.com.key";
const JSON: &str = "certificates/ca.test-directory/a.example.com/a.example.com.json";

#[tokio::test]
async fn what_is_saved_is_loaded_by_the_next_process() {
    let bench = Bench::new();
    let bundle = Authority::new().bundle(&["a.example.com"]);
    assert!(bench.store.load(&name("a.example.com")).await.unwrap().is_none());
    bench.store.save(&name("a.example.com"), &bundle).await.unwrap();
    let Bench { folder, store, .. } = bench;
    drop(store);
    let found = Bench::on(folder).store.load(&name("a.example.com")).await.unwrap().unwrap();
    assert_eq!((found.chain_pem, found.key_pem), (bundle.chain_pem, bundle.key_pem));
    assert_eq!((found.issuer, found.meta), (bundle.issuer, bundle.meta));
}

#[tokio::test]
async fn folders_are_0700_and_files_0600() {
    let bench = Bench::new();
    bench.store.save(&name("a.example.com"), &Authority::new().bundle(&["a.example.com"])).await.unwrap();
    bench.store.write("namegate/failures/a", b"1").await.unwrap();
    let mode = |key: &str| fs::metadata(bench.path(key)).unwrap().permissions().mode() & 0o777;
    for file in [CRT, KEY, JSON, "namegate/failures/a"] {
        assert_eq!(mode(file), 0o600, "{file}");
        for folder in Path::new(file).ancestors().skip(1).filter(|folder| folder.parent().is_some()) {
            assert_eq!(mode(folder.to_str().unwrap()), 0o700, "{}", folder.display());
        }
    }
}

#[tokio::test]
async fn metadata_follow_certmagic_and_unknown_fields_stay() {
    let bench = Bench::new();
    let authority = Authority::new();
    let old = Bundle {
        meta: json!({ "sans": ["old"], "issuer_data": { "renewal_info": 1 }, "note": "keep" }),
        ..authority.bundle(&["a.example.com"])
    };
    bench.put_bundle("a.example.com", &old);
    let fresh = Bundle { meta: json!({ "issuer_data": { "url": "u", "ca": "c" } }), ..old };
    bench.store.save(&name("a.example.com"), &fresh).await.unwrap();
    let text = fs::read_to_string(bench.path(JSON)).unwrap();
    let meta: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(meta, json!({ "sans": ["a.example.com"], "issuer_data": { "url": "u", "ca": "c" }, "note": "keep" }));
    assert!(text.contains("\n\t\"sans\": [\n\t\t\"a.example.com\"\n\t]"), "{text}");
}

#[tokio::test]
async fn of_two_issuers_the_newest_certificate_wins() {
    let bench = Bench::new();
    let authority = Authority::new();
    bench.put_bundle("a.example.com", &by("one", at(&authority, "a.example.com", 2_000)));
    bench.put_bundle("a.example.com", &by("two", at(&authority, "a.example.com", 3_000)));
    bench.put_bundle("a.example.com", &by("six", at(&authority, "a.example.com", 1_000)));
    let found = bench.store.load(&name("a.example.com")).await.unwrap().unwrap();
    assert_eq!(found.issuer.as_str(), "two");
}

#[tokio::test]
async fn a_broken_entry_is_skipped_when_another_issuers_is_sound() {
    let bench = Bench::new();
    let authority = Authority::new();
    bench.put_bundle("a.example.com", &by("one", at(&authority, "a.example.com", 1_000)));
    bench.put_bundle("a.example.com", &by("two", at(&authority, "a.example.com", 2_000)));
    bench.put(&certificate_key("two", "a.example.com", "crt"), "");
    let found = bench.store.load(&name("a.example.com")).await.unwrap().unwrap();
    assert_eq!(found.issuer.as_str(), "one");
    assert_eq!(bench.broken(), 1.0);
}

#[tokio::test]
async fn what_is_broken_is_an_error_and_never_not_found() {
    let authority = Authority::new();
    let bundle = authority.bundle(&["a.example.com"]);
    let other = authority.bundle(&["a.example.com"]);
    let elsewhere = authority.bundle(&["b.example.com"]);
    let half = |text: &str| text[..text.len() / 3].to_owned();
    let cases: &[(&str, &str, String)] = &[
        ("an empty certificate", CRT, String::new()),
        ("half a certificate", CRT, half(&bundle.chain_pem)),
        ("another's certificate", CRT, other.chain_pem.clone()),
        ("a CA certificate", CRT, authority.root_pem()),
        ("an empty key", KEY, String::new()),
        ("half a key", KEY, half(&bundle.key_pem)),
        ("another's key", KEY, other.key_pem.clone()),
        ("a huge file", KEY, "-".repeat(300_000)),
    ];
    for (what, file, text) in cases {
        let bench = Bench::new();
        bench.put_bundle("a.example.com", &bundle);
        bench.put(file, text);
        let error = bench.store.load(&name("a.example.com")).await.map(|_| ()).unwrap_err();
        assert!(matches!(error, StoreError::Broken { .. }), "{what}: {error}");
        assert_eq!(bench.broken(), 1.0, "{what}");
        let secret = bundle.key_pem.lines().nth(1).unwrap();
        assert!(!telemetry::chain(&error).to_string().contains(secret), "{what}");
    }
    let bench = Bench::new();
    bench.put_bundle("a.example.com", &elsewhere);
    assert!(matches!(bench.store.load(&name("a.example.com")).await, Err(StoreError::Broken { .. })));
    fs::remove_dir_all(bench.path(CRT).parent().unwrap()).unwrap();
    bench.put("certificates/ca.test-directory/a.example.com", "a file in place of the folder");
    assert!(matches!(bench.store.load(&name("a.example.com")).await, Err(StoreError::Broken { .. })));
    assert_eq!(bench.metric("namegate_edge_store_errors_total"), 2.0);
}

#[tokio::test]
async fn a_folder_that_cannot_be_read_is_an_error_and_never_not_found() {
    let bench = Bench::new();
    bench.put("certificates", "a file in place of the folder");
    assert!(matches!(bench.store.load(&name("a.example.com")).await, Err(StoreError::Io { .. })));
    // The longest hostnames do not fit a file name with its extension, in CertMagic's layout.
    let bench = Bench::new();
    let long = format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61));
    let bundle = Authority::new().bundle(&[&long]);
    assert!(matches!(bench.store.save(&name(&long), &bundle).await, Err(StoreError::Io { .. })));
}

#[tokio::test]
async fn an_entry_without_certificate_is_not_found_and_without_metadata_is_served() {
    let bench = Bench::new();
    bench.put_bundle("a.example.com", &Authority::new().bundle(&["a.example.com"]));
    bench.put(JSON, "{ half");
    assert_eq!(bench.store.load(&name("a.example.com")).await.unwrap().unwrap().meta, serde_json::Value::Null);
    fs::remove_file(bench.path(JSON)).unwrap();
    assert!(bench.store.load(&name("a.example.com")).await.unwrap().is_some());
    fs::remove_file(bench.path(CRT)).unwrap();
    assert!(bench.store.load(&name("a.example.com")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_wildcard_serves_one_label_below_it_when_the_name_has_nothing_of_its_own() {
    let bench = Bench::new();
    let authority = Authority::new();
    let wildcard = authority.bundle(&["*.example.com"]);
    bench.put_bundle("wildcard_.example.com", &wildcard);
    let found = |text: &'static str| {
        let store = bench.store.clone();
        async move { store.load(&name(text)).await.unwrap().map(|bundle| bundle.chain_pem) }
    };
    assert_eq!(found("a.example.com").await.as_ref(), Some(&wildcard.chain_pem));
    assert_eq!(found("example.com").await, None);
    assert_eq!(found("b.a.example.com").await, None);
    let own = at(&authority, "a.example.com", 1_000);
    bench.put_bundle("a.example.com", &own);
    assert_eq!(found("a.example.com").await, Some(own.chain_pem));
    bench.put(CRT, "broken");
    assert_eq!(found("a.example.com").await, Some(wildcard.chain_pem));
}

#[tokio::test]
async fn a_broken_wildcard_keeps_no_name_from_a_certificate_of_its_own() {
    let bench = Bench::new();
    bench.put("certificates/x/wildcard_.example.com/wildcard_.example.com.crt", "broken");
    bench.put("certificates/x/wildcard_.example.com/wildcard_.example.com.key", "broken");
    assert!(bench.store.load(&name("a.example.com")).await.unwrap().is_none());
    assert_eq!(bench.broken(), 1.0);
}

#[tokio::test]
async fn what_could_not_be_loaded_is_not_saved() {
    let bench = Bench::new();
    let authority = Authority::new();
    let good = authority.bundle(&["a.example.com"]);
    let swapped = Bundle { key_pem: authority.bundle(&["a.example.com"]).key_pem, ..good.clone() };
    for (key, bundle) in
        [("a.example.com", swapped), ("b.example.com", good.clone()), ("a.example.com", by("../x", good))]
    {
        let refused = bench.store.save(&name(key), &bundle).await;
        assert!(matches!(refused, Err(StoreError::Broken { .. })), "{key}");
    }
    assert!(!bench.path("certificates").exists());
}

#[tokio::test]
async fn saving_mends_what_was_broken() {
    let bundle = Authority::new().bundle(&["a.example.com"]);
    for broken in [CRT, "certificates/ca.test-directory/a.example.com"] {
        let bench = Bench::new();
        bench.put(broken, "broken");
        bench.store.save(&name("a.example.com"), &bundle).await.unwrap();
        assert!(bench.store.load(&name("a.example.com")).await.unwrap().is_some());
        let ours = fs::read_dir(bench.path("namegate/staging")).unwrap().next().unwrap().unwrap();
        assert_eq!(fs::read_dir(ours.path()).unwrap().count(), 0, "{broken}");
    }
}

#[tokio::test]
async fn a_crash_before_the_rename_leaves_the_old_certificate() {
    let bench = Bench::new();
    let authority = Authority::new();
    let old = authority.bundle(&["a.example.com"]);
    bench.store.save(&name("a.example.com"), &old).await.unwrap();
    let Bench { folder, store, .. } = bench;
    drop(store);
    let fresh = authority.bundle(&["a.example.com"]);
    put(folder.path(), "namegate/staging/4711/0/a.example.com.key", &fresh.key_pem);
    put(folder.path(), "namegate/staging/4711/0/a.example.com.crt", &fresh.chain_pem[..100]);
    put(folder.path(), &CRT.replace("a.example.com.crt", "2905671234"), "half a file of CertMagic's");
    let bench = Bench::on(folder);
    let found = bench.store.load(&name("a.example.com")).await.unwrap().unwrap();
    assert_eq!(found.chain_pem, old.chain_pem);
    assert!(!bench.path("namegate/staging/4711").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_never_meets_a_key_of_another_certificate() {
    let bench = Bench::new();
    let authority = Authority::new();
    let bundles = [authority.bundle(&["a.example.com"]), authority.bundle(&["a.example.com"])];
    bench.store.save(&name("a.example.com"), &bundles[0]).await.unwrap();
    let writer = bench.store.clone();
    let writing = tokio::spawn(async move {
        for round in 0..100 {
            writer.save(&name("a.example.com"), &bundles[round % 2]).await.unwrap();
        }
    });
    let mut reads = 0;
    while !writing.is_finished() {
        let bundle = bench.store.load(&name("a.example.com")).await.unwrap().unwrap();
        Leaf::parse(&bundle).unwrap();
        reads += 1;
    }
    writing.await.unwrap();
    assert!(reads > 0);
    assert_eq!(bench.broken(), 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_one_name_leave_one_whole_entry() {
    let bench = Bench::new();
    let authority = Authority::new();
    let writers: Vec<_> = (0..16)
        .map(|_| {
            let (store, bundle) = (bench.store.clone(), authority.bundle(&["a.example.com"]));
            tokio::spawn(async move { store.save(&name("a.example.com"), &bundle).await })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    assert!(bench.store.load(&name("a.example.com")).await.unwrap().is_some());
    assert_eq!(fs::read_dir(bench.path("certificates/ca.test-directory")).unwrap().count(), 1);
}

/// Not a promise but a figure: `cargo nextest run -p certs --run-ignored only cost_of --no-capture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints a figure"]
async fn cost_of_saves_and_loads() {
    const NAMES: u32 = 160;
    let bench = Bench::new();
    let authority = Authority::new();
    let bundles: Vec<(Subject, Bundle)> =
        (0..NAMES).map(|n| format!("n{n}.example.com")).map(|text| (name(&text), authority.bundle(&[&text]))).collect();
    for round in ["new", "replaced"] {
        let started = tokio::time::Instant::now();
        for (name, bundle) in &bundles {
            bench.store.save(name, bundle).await.unwrap();
        }
        println!("save, {round}: {:?} each", started.elapsed() / NAMES);
    }
    let started = tokio::time::Instant::now();
    for (name, _) in &bundles {
        bench.store.load(name).await.unwrap().unwrap();
    }
    println!("load: {:?} each", started.elapsed() / NAMES);
    let started = tokio::time::Instant::now();
    let lanes = bundles.chunks(10).map(|lane| {
        let (store, lane) = (bench.store.clone(), lane.to_vec());
        tokio::spawn(async move {
            for (name, bundle) in &lane {
                store.save(name, bundle).await.unwrap();
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.unwrap();
    }
    println!("save, 16 at a time: {:?} each", started.elapsed() / NAMES);
}
