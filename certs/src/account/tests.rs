use instant_acme::Account;
use prometheus::Registry;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::FileStore;

fn store() -> (TempDir, FileStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path(), &Registry::new()).unwrap();
    (folder, store)
}

fn issuer() -> IssuerKey {
    IssuerKey::new("acme-v02.api.letsencrypt.org-directory")
}

fn ops() -> Vec<String> {
    vec!["mailto:Ops@Example.com".to_owned()]
}

const FOLDER: &str = "acme/acme-v02.api.letsencrypt.org-directory/users/ops@example.com";

async fn put_caddys(store: &FileStore, json: &Value, key: &str) {
    store.write(&format!("{FOLDER}/ops.json"), json.to_string().as_bytes()).await.unwrap();
    store.write(&format!("{FOLDER}/ops.key"), key.as_bytes()).await.unwrap();
}

fn caddys() -> Value {
    json!({
        "status": "valid",
        "contact": ["mailto:ops@example.com"],
        "termsOfServiceAgreed": true,
        "orders": "https://ca.test/orders/1",
        "location": "https://ca.test/acct/1"
    })
}

#[test]
fn the_files_are_named_as_certmagic_names_them() {
    const CASES: &[(&[&str], &str, &str)] = &[
        (&[], "default/default.json", "default/default.key"),
        (&["mailto:"], "default/default.json", "default/default.key"),
        (&["mailto:Ops@Example.com"], "ops@example.com/ops.json", "ops@example.com/ops.key"),
        (&["ops@example.com", "mailto:b@c.de"], "ops@example.com/ops.json", "ops@example.com/ops.key"),
        (&["mailto:a b+c@x.de"], "a_b_plus_c@x.de/a_b_plus_c.json", "a_b_plus_c@x.de/a_b_plus_c.key"),
        (&["mailto:@x.de"], "@x.de/x.de.json", "@x.de/x.de.key"),
        (&["mailto:ops"], "ops/ops.json", "ops/ops.key"),
        (&["mailto:\u{fc}@x.de"], "@x.de/registration.json", "@x.de/private.key"),
    ];
    for (contact, json, key) in CASES {
        let contact: Vec<String> = contact.iter().map(|text| (*text).to_owned()).collect();
        let keys = Keys::of(&IssuerKey::new("ca"), &contact);
        assert_eq!((keys.json, keys.key), (format!("acme/ca/users/{json}"), format!("acme/ca/users/{key}")));
    }
}

#[tokio::test]
async fn an_account_that_caddy_registered_is_used_as_it_is() {
    let (_folder, store) = store();
    assert!(load_account(&store, &issuer(), &ops()).await.unwrap().is_none());
    put_caddys(&store, &caddys(), SEC1_KEY).await;
    let account = load_account(&store, &issuer(), &ops()).await.unwrap().unwrap();
    assert_eq!(account.location, "https://ca.test/acct/1");
    assert_eq!(account.contact, ["mailto:ops@example.com"]);
    let public = |key: &[u8]| {
        use aws_lc_rs::signature::KeyPair;
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key).unwrap().public_key().as_ref().to_vec()
    };
    let same = to_pkcs8(PKCS8_KEY.as_bytes()).unwrap();
    assert_eq!(public(account.key_pkcs8_der.as_slice()), public(same.as_slice()));
}

#[tokio::test]
async fn instant_acme_takes_the_key_of_either_form() {
    for key in [SEC1_KEY, PKCS8_KEY] {
        let der = to_pkcs8(key.as_bytes()).unwrap();
        // Credentials are the only way in that needs no network: the key is parsed when they become an account.
        use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
        let directory = json!({ "newNonce": "http://x", "newAccount": "http://x", "newOrder": "http://x" });
        let text = json!({
            "id": "https://ca.test/acct/1",
            "key_pkcs8": BASE64_URL_SAFE_NO_PAD.encode(der.as_slice()),
            "urls": directory
        });
        let credentials = serde_json::from_value(text).unwrap();
        let http = Box::new(NoNetwork);
        let account = Account::builder_with_http(http).from_credentials(credentials).await.unwrap();
        assert_eq!(account.id(), "https://ca.test/acct/1");
    }
}

/// An HTTP client that nothing may use.
struct NoNetwork;

impl instant_acme::HttpClient for NoNetwork {
    fn request(
        &self,
        _: http::Request<instant_acme::BodyWrapper<bytes::Bytes>>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<instant_acme::BytesResponse, instant_acme::Error>> + Send>> {
        panic!("an account is restored without a request")
    }
}

#[tokio::test]
async fn what_is_saved_is_loaded_and_what_only_certmagic_knows_stays() {
    let (_folder, store) = store();
    let mut old = caddys();
    old["note"] = "keep".into();
    put_caddys(&store, &old, SEC1_KEY).await;
    let account = load_account(&store, &issuer(), &ops()).await.unwrap().unwrap();
    save_account(&store, &issuer(), &account).await.unwrap();
    let json = store.read(&format!("{FOLDER}/ops.json")).await.unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&json).unwrap(), old);
    let again = load_account(&store, &issuer(), &ops()).await.unwrap().unwrap();
    assert_eq!(again.key_pkcs8_der.as_slice(), account.key_pkcs8_der.as_slice());
    let moved = StoredAccount { location: "https://ca.test/acct/2".to_owned(), ..account };
    save_account(&store, &issuer(), &moved).await.unwrap();
    let json = store.read(&format!("{FOLDER}/ops.json")).await.unwrap().unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((json.get("orders"), &json["note"], &json["location"]), (None, &"keep".into(), &moved.location.into()));
}

#[tokio::test]
async fn an_account_without_contact_is_kept_under_default() {
    let (_folder, store) = store();
    let account = StoredAccount {
        location: "https://ca.test/acct/1".to_owned(),
        key_pkcs8_der: to_pkcs8(PKCS8_KEY.as_bytes()).unwrap(),
        contact: Vec::new(),
    };
    save_account(&store, &issuer(), &account).await.unwrap();
    let found = load_account(&store, &issuer(), &[]).await.unwrap().unwrap();
    assert_eq!(found.location, account.location);
    assert!(load_account(&store, &issuer(), &ops()).await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_broken_is_an_error_and_what_is_unusable_is_no_account() {
    let (_folder, store) = store();
    let load = || async { load_account(&store, &issuer(), &ops()).await.map(|account| account.is_some()) };
    for key in ["", "nonsense", &SEC1_KEY[..90], ED25519_KEY] {
        put_caddys(&store, &caddys(), key).await;
        assert!(matches!(load().await, Err(StoreError::Broken { .. })), "{key}");
    }
    store.write(&format!("{FOLDER}/ops.json"), b"{ half").await.unwrap();
    assert!(matches!(load().await, Err(StoreError::Broken { .. })));
    for (field, value) in [("status", "revoked"), ("location", "")] {
        let mut json = caddys();
        json[field] = value.into();
        put_caddys(&store, &json, SEC1_KEY).await;
        assert!(!load().await.unwrap(), "{field}");
    }
    store.remove(&format!("{FOLDER}/ops.key")).await.unwrap();
    assert!(!load().await.unwrap());
}

/// `openssl ecparam -name prime256v1 -genkey -noout`, the form in which CertMagic writes its keys.
const SEC1_KEY: &str = "\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIOscbxuQWYivtqcXv3GqhixswHVjUYuf2cED1fmihzCxoAoGCCqGSM49
AwEHoUQDQgAE9Jrj6o4G90TIq04DQHk+jJu0zg6H7IgBnDuyNY/Qkr0GMegB8Mgo
IA3RTKhMRUbNd9Xw4u4ZpR5ALMu41LhYmw==
-----END EC PRIVATE KEY-----
";
/// The same key after `openssl pkcs8 -topk8 -nocrypt`.
const PKCS8_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6xxvG5BZiK+2pxe/
caqGLGzAdWNRi5/ZwQPV+aKHMLGhRANCAAT0muPqjgb3RMirTgNAeT6Mm7TODofs
iAGcO7I1j9CSvQYx6AHwyCggDdFMqExFRs131fDi7hmlHkAsy7jUuFib
-----END PRIVATE KEY-----
";
const ED25519_KEY: &str = "\
-----BEGIN ED25519 PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIL2L1GlJ/HKciDPnIxjbMtZ+Aw2AnuJjQUECw+YYVP3f
-----END ED25519 PRIVATE KEY-----
";
