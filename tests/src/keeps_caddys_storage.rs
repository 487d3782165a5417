//! A Caddy data directory works as it is.

use std::{fs, path::Path};

use http::StatusCode;
use test_support::{Ca, EdgeOptions, EdgeProcess, FakeGate, Kind, Loopback, Origin, Reply, client::TlsClient};

use crate::stack::Issuing;

/// The folder that Caddy writes for one certificate of Let's Encrypt.
fn write_as_caddy(root: &Path, ca: &Ca, name: &str) {
    let folder = root.join("certificates/acme-v02.api.letsencrypt.org-directory").join(name);
    fs::create_dir_all(&folder).unwrap();
    let identity = ca.issue(&[name]);
    fs::write(folder.join(format!("{name}.crt")), identity.chain_pem).unwrap();
    fs::write(folder.join(format!("{name}.key")), identity.key_pem).unwrap();
    let meta = format!(
        "{{\n\t\"sans\": [\n\t\t\"{name}\"\n\t],\n\t\"issuer_data\": {{\n\t\t\"url\": \"https://ca.test/cert/1\"\n\t}}\n}}"
    );
    fs::write(folder.join(format!("{name}.json")), meta).unwrap();
}

#[tokio::test]
async fn a_caddy_data_directory_is_served_as_it_is() {
    let host = Loopback::take();
    let gate = FakeGate::start(&host).await;
    let origin = Origin::start(&host).await;
    gate.set_default(Reply::origin(&origin.url()));
    let ca = Ca::new("Root of the old server");
    let folder = tempfile::tempdir().unwrap();
    for name in ["one.customer.test", "two.customer.test"] {
        write_as_caddy(folder.path(), &ca, name);
    }
    fs::create_dir_all(folder.path().join("locks")).unwrap();
    fs::create_dir_all(folder.path().join("ocsp")).unwrap();
    fs::write(folder.path().join("last_clean.json"), "{}").unwrap();
    // A directory that answers nothing: an order would fail.
    let options = EdgeOptions::on(&host).gate(&gate).set("[acme]\ndirectory = [\"https://127.0.0.1:1/dir\"]");
    let edge = EdgeProcess::start(options.storage(folder.path())).await;
    let client = TlsClient::trusting(&ca.root_pem());
    for name in ["one.customer.test", "two.customer.test"] {
        assert_eq!(edge.get(&client, name, "/").await.unwrap().status(), StatusCode::OK, "{name}");
    }
    let listed = edge.command(&["certs", "list", "--format", "json"]).await;
    assert_eq!(listed.stdout.matches("acme-v02.api.letsencrypt.org-directory").count(), 2, "{}", listed.stdout);
}

#[tokio::test]
async fn imported_certificates_are_served_without_an_order() {
    let mut stack = Issuing::start().await;
    let ca = Ca::new("Root of the old server");
    let old = tempfile::tempdir().unwrap();
    write_as_caddy(old.path(), &ca, "moved.customer.test");
    let path = old.path().display().to_string();
    let imported = stack.edge.command(&["certs", "import", "--from", "caddy", &path, "--format", "json"]).await;
    assert_eq!(imported.code, 0, "{}", imported.stderr);
    assert!(imported.stdout.contains("moved.customer.test"), "{}", imported.stdout);
    stack.edge.restart().await;
    let client = TlsClient::trusting(&ca.root_pem());
    let response = stack.edge.get(&client, "moved.customer.test", "/").await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(stack.proxy.count(Kind::NewOrder), 0);
}

#[tokio::test]
async fn what_the_edge_writes_is_where_caddy_looks_for_it() {
    let stack = Issuing::start().await;
    assert_eq!(stack.get("mine.test", "/").await.unwrap().status(), StatusCode::OK);
    let certificates = stack.edge.storage().join("certificates");
    let issuer = fs::read_dir(&certificates).unwrap().next().unwrap().unwrap().path();
    let folder = issuer.join("mine.test");
    for ending in ["crt", "key", "json"] {
        assert!(folder.join(format!("mine.test.{ending}")).is_file(), "{ending}");
    }
    let meta: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("mine.test.json")).unwrap()).unwrap();
    assert_eq!(meta["sans"], serde_json::json!(["mine.test"]));
    let shown = stack.edge.command(&["certs", "show", "mine.test", "--format", "json"]).await;
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!((shown["valid"].as_bool(), shown["names"][0].as_str()), (Some(true), Some("mine.test")));
}
