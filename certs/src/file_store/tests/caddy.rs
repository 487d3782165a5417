//! A Caddy data directory, file by file as Caddy 2 leaves it, served and written to as it is.

use super::*;

const CA: &str = "acme-v02.api.letsencrypt.org-directory";
const ZEROSSL: &str = "acme.zerossl.com-v2-dv90";

/// What stands in `/var/lib/caddy/.local/share/caddy` beside the certificates.
fn furnish(root: &Path) {
    let account = json!({
        "status": "valid",
        "contact": ["mailto:Ops@example.com"],
        "termsOfServiceAgreed": true,
        "orders": "",
        "location": "https://acme-v02.api.letsencrypt.org/acme/acct/1"
    });
    put(root, &format!("acme/{CA}/users/ops@example.com/ops.json"), &account.to_string());
    put(root, &format!("acme/{CA}/users/ops@example.com/ops.key"), "");
    put(root, &format!("acme/{CA}/challenge_tokens/gone.example.com.json"), "{}");
    put(root, "instance.uuid", "6e1b1b4e-0000-4000-8000-000000000000");
    put(root, "last_clean.json", "{\"tls\":{\"timestamp\":\"2026-01-01T00:00:00Z\"}}");
    put(root, "locks/issue_cert_a.example.com.lock", "{\"created\":\"2026-01-01T00:00:00Z\"}");
    put(root, "ocsp/a.example.com-1a2b3c4d", "\0\u{1}");
    put(root, "pki/authorities/local/root.crt", "");
}

fn meta(names: &[&str], ca: &str) -> serde_json::Value {
    json!({ "sans": names, "issuer_data": { "url": format!("https://{ca}/cert/1"), "ca": format!("https://{ca}") } })
}

#[tokio::test]
async fn a_caddy_data_directory_is_served_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let one = Bundle { meta: meta(&["a.example.com"], CA), ..by(CA, authority.bundle(&["a.example.com"])) };
    let two = by(ZEROSSL, at(&authority, "b.example.com", 1_000));
    let wild = by(CA, authority.bundle(&["*.example.net"]));
    furnish(folder.path());
    put_bundle(folder.path(), "a.example.com", &one);
    put_bundle(folder.path(), "b.example.com", &two);
    put_bundle(folder.path(), "wildcard_.example.net", &wild);
    let bench = Bench::on(folder);
    for (asked, bundle) in [("a.example.com", &one), ("b.example.com", &two), ("x.example.net", &wild)] {
        let found = bench.store.load(&name(asked)).await.unwrap().unwrap();
        assert_eq!(found.chain_pem, bundle.chain_pem);
        assert_eq!((&found.issuer, &found.meta), (&bundle.issuer, &bundle.meta));
    }
    let mut scanned = Vec::new();
    bench
        .store
        .scan(&mut |piece| {
            scanned.extend(piece.into_iter().map(|s| s.name.to_string()));
            true
        })
        .await
        .unwrap();
    scanned.sort();
    assert_eq!(scanned, ["*.example.net", "a.example.com", "b.example.com"]);
    assert_eq!(bench.broken(), 0.0);
}

#[tokio::test]
async fn caddy_finds_what_is_saved_and_meets_nothing_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    furnish(folder.path());
    let bench = Bench::on(folder);
    let bundle = by(CA, Authority::new().bundle(&["a.example.com"]));
    bench.store.save(&name("a.example.com"), &bundle).await.unwrap();
    bench.store.save(&name("a.example.com"), &bundle).await.unwrap();
    let mut files: Vec<_> = fs::read_dir(bench.path(&format!("certificates/{CA}/a.example.com")))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["a.example.com.crt", "a.example.com.json", "a.example.com.key"]);
    assert_eq!(fs::read_dir(bench.path("certificates")).unwrap().count(), 1);
    let mut top: Vec<_> = fs::read_dir(bench.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    top.sort();
    assert_eq!(top, ["acme", "certificates", "instance.uuid", "last_clean.json", "locks", "namegate", "ocsp", "pki"]);
}
