use std::{fs, os::unix::fs::symlink, time::Duration};

use base64::prelude::{BASE64_STANDARD, Engine};
use prometheus::Registry;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::{FileStore, file_store::certificate_key, fixture::Authority};

const CA: &str = "acme-v02.api.letsencrypt.org-directory";

/// 2026-02-01, while the fixtures' certificates are valid.
fn now() -> Timestamp {
    Timestamp::from_secs(1_769_904_000)
}

struct Target {
    _folder: TempDir,
    store: FileStore,
}

impl Target {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::open(folder.path(), &Registry::new()).unwrap();
        Self { _folder: folder, store }
    }

    async fn import(&self, source: ImportSource, path: &Path) -> ImportReport {
        let mut report = import(source, path, &self.store, now()).await.unwrap();
        report.imported.sort();
        report.skipped.sort_by(|a, b| a.entry.cmp(&b.entry));
        report
    }

    async fn chain(&self, name: &str) -> Option<String> {
        self.store.load(&Subject::parse(name).unwrap()).await.unwrap().map(|bundle| bundle.chain_pem)
    }
}

/// What was skipped, as one text per entry.
fn skipped(report: &ImportReport) -> Vec<String> {
    report.skipped.iter().map(|skipped| format!("{}: {}", skipped.entry, skipped.reason)).collect()
}

fn put(root: &Path, key: &str, text: &str) {
    let path = root.join(key);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn put_caddys(root: &Path, stem: &str, bundle: &Bundle) {
    for (extension, text) in [("crt", &bundle.chain_pem), ("key", &bundle.key_pem), ("json", &bundle.meta.to_string())]
    {
        put(root, &certificate_key(CA, stem, extension), text);
    }
}

/// A Caddy data directory with sound and broken entries.
fn caddy(authority: &Authority) -> (TempDir, Bundle, Bundle) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let (shop, wild) = (authority.bundle(&["shop.example.com"]), authority.bundle(&["*.example.net"]));
    let past = authority.bundle_between("past.example.com", Timestamp::from_secs(1_000), Duration::from_secs(1_000));
    put_caddys(root, "shop.example.com", &shop);
    put_caddys(root, "wildcard_.example.net", &wild);
    put_caddys(root, "past.example.com", &past);
    put_caddys(root, "swapped.example.com", &Bundle { key_pem: wild.key_pem.clone(), ..shop.clone() });
    put_caddys(root, "other.example.com", &shop);
    put_caddys(root, "localhost", &authority.bundle(&["localhost"]));
    put(root, &certificate_key(CA, "keyless.example.com", "crt"), &shop.chain_pem);
    put(root, &certificate_key(CA, "huge.example.com", "crt"), &"x".repeat(300_000));
    put(root, &certificate_key(CA, "unfinished.example.com", "key"), &shop.key_pem);
    put(root, &format!("acme/{CA}/users/default/default.json"), "{\"location\":\"https://ca.test/1\"}");
    put(root, &format!("acme/{CA}/users/default/default.key"), "KEY");
    put(root, &format!("acme/{CA}/challenge_tokens/x.json"), "{}");
    put(root, "last_clean.json", "{}");
    put(root, "ocsp/shop.example.com-1", "");
    (folder, shop, wild)
}

async fn check_caddy(path: &Path, shop: &Bundle, wild: &Bundle) {
    let target = Target::new();
    let report = target.import(ImportSource::Caddy, path).await;
    assert_eq!(report.imported, ["*.example.net", "shop.example.com"]);
    assert_eq!(report.accounts, 1);
    let skipped = skipped(&report);
    let expected = [
        ("huge.example.com", "300000 bytes|larger than"),
        ("keyless.example.com", "the key is missing"),
        ("localhost", "single label"),
        ("other.example.com", "does not name other.example.com"),
        ("past.example.com", "expired at 1970-01-01T00:33:20Z"),
        ("swapped.example.com", "belongs to another certificate"),
    ];
    assert_eq!(skipped.len(), expected.len(), "{skipped:#?}");
    for (line, (entry, reasons)) in skipped.iter().zip(expected) {
        assert!(line.contains(entry) && reasons.split('|').any(|reason| line.contains(reason)), "{line}");
    }
    assert_eq!(target.chain("shop.example.com").await.as_ref(), Some(&shop.chain_pem));
    assert_eq!(target.chain("any.example.net").await.as_ref(), Some(&wild.chain_pem));
    let account = target.store.read(&format!("acme/{CA}/users/default/default.key")).await.unwrap();
    assert_eq!(account.unwrap(), b"KEY");
    // Again: nothing is newer, the account stays.
    let again = target.import(ImportSource::Caddy, path).await;
    assert!(again.imported.is_empty() && again.accounts == 0);
    assert_eq!(again.skipped.iter().filter(|skipped| skipped.reason == SkipReason::Present).count(), 2);
}

#[tokio::test]
async fn a_caddy_data_directory_is_taken_over_and_broken_entries_are_named() {
    let (folder, shop, wild) = caddy(&Authority::new());
    check_caddy(folder.path(), &shop, &wild).await;
}

#[tokio::test]
async fn caddys_export_is_taken_over_like_its_directory() {
    let (folder, shop, wild) = caddy(&Authority::new());
    for prefix in ["", ".", "home/caddy"] {
        let path = folder.path().join("export.tar");
        let mut tar = tar::Builder::new(fs::File::create(&path).unwrap());
        for part in ["acme", "certificates", "ocsp"] {
            tar.append_dir_all(Path::new(prefix).join(part), folder.path().join(part)).unwrap();
        }
        tar.into_inner().unwrap();
        check_caddy(&path, &shop, &wild).await;
    }
}

#[tokio::test]
async fn a_newer_certificate_replaces_the_stores_and_an_older_does_not() {
    let authority = Authority::new();
    let days = |days| authority.bundle_between("a.example.com", now() - days * DAY, 90 * DAY);
    let (older, newer) = (days(20), days(10));
    let name = Subject::parse("a.example.com").unwrap();
    for (mine, theirs, expected) in [(&older, &newer, &newer), (&newer, &older, &newer)] {
        let (target, folder) = (Target::new(), tempfile::tempdir().unwrap());
        target.store.save(&name, mine).await.unwrap();
        put_caddys(folder.path(), "a.example.com", theirs);
        target.import(ImportSource::Caddy, folder.path()).await;
        assert_eq!(target.chain("a.example.com").await.as_ref(), Some(&expected.chain_pem));
    }
}

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn certbots_live_folder_is_taken_over_through_its_links() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let bundle = authority.bundle(&["shop.example.com", "www.example.com", "*.example.net"]);
    put(root, "archive/shop.example.com/fullchain3.pem", &bundle.chain_pem);
    put(root, "archive/shop.example.com/privkey3.pem", &bundle.key_pem);
    put(root, "live/README", "This directory contains your keys and certificates.");
    put(root, "renewal/shop.example.com-0001.conf", "[renewalparams]\nserver = https://ca.test:14000/dir\n");
    fs::create_dir_all(root.join("live/shop.example.com-0001")).unwrap();
    for name in ["fullchain", "privkey"] {
        symlink(
            format!("../../archive/shop.example.com/{name}3.pem"),
            root.join(format!("live/shop.example.com-0001/{name}.pem")),
        )
        .unwrap();
    }
    fs::create_dir_all(root.join("live/gone.example.com")).unwrap();
    symlink("../../archive/gone/fullchain1.pem", root.join("live/gone.example.com/fullchain.pem")).unwrap();
    put(root, "live/broken.example.com/fullchain.pem", "");
    put(root, "live/broken.example.com/privkey.pem", "");
    for path in [root.to_owned(), root.join("live")] {
        let target = Target::new();
        let report = target.import(ImportSource::Certbot, &path).await;
        assert_eq!(report.imported, ["*.example.net", "shop.example.com", "www.example.com"]);
        let skipped = skipped(&report);
        assert!(
            skipped.len() == 2 && skipped[0].contains("no certificate") && skipped[1].contains("gone"),
            "{skipped:?}"
        );
        let found = target.store.load(&Subject::parse("www.example.com").unwrap()).await.unwrap().unwrap();
        assert_eq!((found.chain_pem, found.issuer.as_str()), (bundle.chain_pem.clone(), "ca.test-14000-dir"));
    }
}

#[tokio::test]
async fn traefiks_document_is_taken_over_from_every_resolver() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (authority.bundle(&["one.example.com"]), authority.bundle(&["two.example.com"]));
    let entry = |main: &str, chain: &str, key: &str| {
        json!({
            "domain": { "main": main },
            "certificate": BASE64_STANDARD.encode(chain),
            "key": BASE64_STANDARD.encode(key),
            "Store": "default"
        })
    };
    let document = json!({
        "le": {
            "Account": {
                "Email": "ops@example.com",
                "Registration": { "body": { "status": "valid" }, "uri": "https://acme-v02.api.letsencrypt.org/acme/acct/1" },
                "PrivateKey": "",
                "KeyType": "4096"
            },
            "Certificates": [
                entry("one.example.com", &one.chain_pem, &one.key_pem),
                entry("swapped.example.com", &one.chain_pem, &two.key_pem),
                { "domain": { "main": "b64.example.com" }, "certificate": "?", "key": "?" },
                { "domain": 1 }
            ]
        },
        "other": { "Account": null, "Certificates": [entry("two.example.com", &two.chain_pem, &two.key_pem)] },
        "unused": { "Account": null, "Certificates": null },
        "null": null
    });
    put(folder.path(), "acme.json", &document.to_string());
    let target = Target::new();
    let report = target.import(ImportSource::Traefik, &folder.path().join("acme.json")).await;
    assert_eq!(report.imported, ["one.example.com", "two.example.com"]);
    assert_eq!(report.skipped.len(), 3, "{:?}", report.skipped);
    let issuer = |name: &'static str| {
        let store = target.store.clone();
        async move { store.load(&Subject::parse(name).unwrap()).await.unwrap().unwrap().issuer.to_string() }
    };
    assert_eq!(issuer("one.example.com").await, CA);
    assert_eq!(issuer("two.example.com").await, "imported");
}

#[tokio::test]
async fn a_source_that_is_something_else_is_refused_as_a_whole() {
    let target = Target::new();
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "text", "neither tar nor JSON, and longer than one tar header ".repeat(20).as_str());
    let text = folder.path().join("text");
    let attempt = |source, path: PathBuf| {
        let store = target.store.clone();
        async move { import(source, &path, &store, now()).await }
    };
    for source in [ImportSource::Caddy, ImportSource::Traefik] {
        assert!(matches!(attempt(source, text.clone()).await, Err(ImportError::Form { .. })), "{source:?}");
    }
    for source in [ImportSource::Caddy, ImportSource::Certbot, ImportSource::Traefik] {
        let missing = folder.path().join("missing");
        assert!(matches!(attempt(source, missing).await, Err(ImportError::Read { .. })), "{source:?}");
    }
    // A folder that is no Caddy data directory.
    assert!(matches!(attempt(ImportSource::Caddy, folder.path().to_owned()).await, Err(ImportError::Read { .. })));
}
