use std::sync::Arc;

use clock::{Clock, ManualClock};
use prometheus::Registry;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use rustls_pki_types::ServerName;
use tempfile::TempDir;

use super::*;
use crate::FileStore;

fn store() -> (TempDir, FileStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path(), &Registry::new()).unwrap();
    (folder, store)
}

/// Clients in these tests take the machine's time, so the CA does too.
fn now() -> SharedClock {
    Arc::new(clock::SystemClock)
}

fn name() -> Subject {
    Subject::parse("shop.example.com").unwrap()
}

async fn issue(ca: &InternalCa) -> Bundle {
    ca.issue(&name(), None, None, &|_| {}).await.unwrap().bundle
}

/// A whole handshake in memory between a client that trusts `root_pem` and a server with `bundle`.
fn handshake(bundle: &Bundle, root_pem: &str) -> Result<(), rustls::Error> {
    let provider = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root_pem.as_bytes()).unwrap()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let key = Arc::clone(Leaf::parse(bundle).unwrap().certified_key());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key)));
    let server_name = ServerName::try_from("shop.example.com").unwrap();
    let mut client = ClientConnection::new(Arc::new(client), server_name)?;
    let mut server = ServerConnection::new(Arc::new(server))?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut input = bytes.as_slice();
        while !input.is_empty() {
            server.read_tls(&mut input).unwrap();
            server.process_new_packets()?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut input = bytes.as_slice();
        while !input.is_empty() {
            client.read_tls(&mut input).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_trusts_the_root_accepts_a_leaf() {
    let (_folder, store) = store();
    let ca = InternalCa::open(&store, now()).await.unwrap();
    let bundle = issue(&ca).await;
    handshake(&bundle, ca.root_pem()).unwrap();
    let (_other_folder, other_store) = self::store();
    let stranger = InternalCa::open(&other_store, now()).await.unwrap();
    handshake(&bundle, stranger.root_pem()).unwrap_err();
    store.save(&name(), &bundle).await.unwrap();
    assert_eq!(store.load(&name()).await.unwrap().unwrap().issuer, *ca.key());
}

#[tokio::test]
async fn a_leaf_says_what_a_servers_certificate_must_say() {
    let (_folder, store) = store();
    let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
    let ca = InternalCa::open(&store, Arc::new(clock.clone())).await.unwrap();
    let bundle = issue(&ca).await;
    let leaf = Leaf::parse(&bundle).unwrap();
    assert!(leaf.serves(&name()) && leaf.names().count() == 1);
    assert_eq!(leaf.not_after(), clock.now() + LEAF_LIFE);
    assert_eq!(leaf.not_before(), clock.now() - BACKDATE);
    assert_eq!(leaf.certified_key().cert.len(), 1);
    let der = leaf.certified_key().cert[0].clone();
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    assert!(parsed.extended_key_usage().unwrap().unwrap().value.server_auth);
    assert!(parsed.iter_extensions().any(|extension| extension.oid.to_id_string() == "2.5.29.35"));
    assert!(parsed.raw_serial().len() == 16 && parsed.raw_serial()[0] & 0x80 == 0);
    assert_ne!(leaf.serial(), Leaf::parse(&issue(&ca).await).unwrap().serial());
}

#[tokio::test]
async fn short_lives_are_kept_and_none_outlives_the_root() {
    let (_folder, store) = store();
    let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
    let ca = InternalCa::open(&store, Arc::new(clock.clone())).await.unwrap();
    let ca = ca.with_leaf_life(Duration::from_secs(60));
    let leaf = Leaf::parse(&issue(&ca).await).unwrap();
    assert_eq!(leaf.not_after().since(leaf.not_before()), Duration::from_secs(66));
    clock.advance(ROOT_LIFE - Duration::from_secs(30));
    let leaf = Leaf::parse(&issue(&ca).await).unwrap();
    assert_eq!(leaf.not_after().since(clock.now()), Duration::from_secs(30));
    clock.advance(Duration::from_secs(30));
    let refused = ca.issue(&name(), None, None, &|_| {}).await.map(|_| ());
    assert!(matches!(refused, Err(IssueError::Unusable { .. })));
}

#[tokio::test]
async fn the_root_is_made_once_and_survives_restarts() {
    let (_folder, store) = store();
    let opened = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { InternalCa::open(&store, now()).await.unwrap().root_pem().to_owned() })
    });
    let mut roots = std::collections::BTreeSet::new();
    for opened in opened.collect::<Vec<_>>() {
        roots.insert(opened.await.unwrap());
    }
    assert_eq!(roots.len(), 1);
    let ca = InternalCa::open(&store, now()).await.unwrap();
    assert!(roots.contains(ca.root_pem()));
    handshake(&issue(&ca).await, ca.root_pem()).unwrap();
}

#[tokio::test]
async fn a_start_that_was_cut_off_after_the_key_goes_on_with_it() {
    let (_folder, store) = store();
    let first = InternalCa::open(&store, now()).await.unwrap();
    let bundle = issue(&first).await;
    store.remove(ROOT_CERTIFICATE).await.unwrap();
    let second = InternalCa::open(&store, now()).await.unwrap();
    handshake(&bundle, second.root_pem()).unwrap();
}

#[tokio::test]
async fn a_broken_root_is_reported_and_never_replaced() {
    let other = KeyPair::generate().unwrap().serialize_pem();
    for (document, text) in [(ROOT_KEY, ""), (ROOT_KEY, "nonsense"), (ROOT_CERTIFICATE, ""), (ROOT_KEY, &other)] {
        let (_folder, store) = store();
        InternalCa::open(&store, now()).await.unwrap();
        store.write(document, text.as_bytes()).await.unwrap();
        let refused = InternalCa::open(&store, now()).await.map(|_| ());
        assert!(matches!(refused, Err(InternalCaError::Broken { .. })), "{document} {text}");
        assert_eq!(store.read(document).await.unwrap().unwrap(), text.as_bytes());
    }
    let (_folder, store) = store();
    InternalCa::open(&store, now()).await.unwrap();
    store.remove(ROOT_KEY).await.unwrap();
    let refused = InternalCa::open(&store, now()).await.map(|_| ());
    assert!(matches!(refused, Err(InternalCaError::Broken { document: ROOT_KEY, .. })));
}
