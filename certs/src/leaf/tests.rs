use std::time::Duration;

use super::*;
use crate::fixture::{Authority, bundle};

fn name(text: &str) -> Hostname {
    Hostname::parse(text).unwrap()
}

#[test]
fn a_sound_bundle_parses_with_its_facts() {
    let bundle = Authority::new().bundle(&["shop.example.com", "WWW.example.com"]);
    let leaf = Leaf::parse(&bundle).unwrap();
    assert_eq!(leaf.names().collect::<Vec<_>>(), ["shop.example.com", "www.example.com"]);
    assert_eq!(leaf.issuer(), &bundle.issuer);
    assert_eq!(leaf.certified_key().cert.len(), 2);
    assert!(leaf.serial().len() >= 16 && leaf.serial().bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!(leaf.fingerprint().len(), 64);
}

#[test]
fn covers_exact_names_and_one_wildcard_label_and_never_the_common_name() {
    const CASES: &[(&str, bool)] = &[
        ("a.example.com", true),
        ("b.example.com", false),
        ("x.wild.example.com", true),
        ("wild.example.com", false),
        ("y.x.wild.example.com", false),
        ("common.example.com", false),
        ("x.other.example.com", false),
    ];
    let names = ["a.example.com", "*.wild.example.com"];
    let leaf = Leaf::parse(&Authority::new().bundle_with(&names, |params| {
        params.distinguished_name.push(rcgen::DnType::CommonName, "common.example.com");
    }))
    .unwrap();
    for (text, covered) in CASES {
        assert_eq!(leaf.covers(&name(text)), *covered, "{text}");
    }
}

#[test]
fn validity_includes_both_ends() {
    let leaf = Leaf::parse(&bundle("a.example.com")).unwrap();
    assert!(leaf.is_valid_at(leaf.not_before()) && leaf.is_valid_at(leaf.not_after()));
    assert!(leaf.is_valid_at(leaf.not_after() + Duration::from_millis(999)));
    assert!(!leaf.is_valid_at(leaf.not_before() - Duration::from_millis(1)));
    assert!(!leaf.is_valid_at(leaf.not_after() + Duration::from_secs(1)));
    let (not_before, not_after) = read_validity(bundle("a.example.com").chain_pem.as_bytes()).unwrap();
    assert_eq!((not_before, not_after), (leaf.not_before(), leaf.not_after()));
}

#[test]
fn what_would_fail_a_handshake_is_refused_with_its_reason() {
    let good = bundle("a.example.com");
    let other = bundle("a.example.com");
    let authority = Authority::new();
    let with = |chain: &str, key: &str| {
        Leaf::parse(&Bundle { chain_pem: chain.to_owned(), key_pem: key.to_owned(), ..good.clone() }).unwrap_err()
    };
    let cut = |text: &str| text[..text.len() / 3].to_owned();
    assert!(matches!(with("", &good.key_pem), LeafError::Empty));
    assert!(matches!(with("nonsense", &good.key_pem), LeafError::Empty));
    assert!(matches!(with(&cut(&good.chain_pem), &good.key_pem), LeafError::Pem(_)));
    let junk = good.chain_pem.replacen("MII", "AII", 1);
    assert!(matches!(with(&junk, &good.key_pem), LeafError::Certificate { index: 0, .. }));
    assert!(matches!(with(&good.chain_pem, ""), LeafError::KeyPem));
    assert!(matches!(with(&good.chain_pem, &cut(&good.key_pem)), LeafError::KeyPem));
    assert!(matches!(with(&good.chain_pem, &good.chain_pem), LeafError::KeyPem));
    assert!(matches!(with(&good.chain_pem, &other.key_pem), LeafError::KeyMismatch));
    assert!(matches!(with(&authority.root_pem(), &authority.key_pem()), LeafError::Authority));
    let nameless = Leaf::parse(&authority.bundle_with(&[], |_| {})).unwrap_err();
    assert!(matches!(nameless, LeafError::Nameless));
}

#[test]
fn every_form_of_key_is_read() {
    for key in [SEC1_KEY, PKCS8_KEY, ED25519_KEY] {
        parse_key(key.as_bytes()).unwrap();
    }
    let sec1 = parse_key(SEC1_KEY.as_bytes()).unwrap();
    assert!(matches!(sec1, PrivateKeyDer::Sec1(_)));
    let keys = aws_lc_rs::default_provider().key_provider;
    for key in [SEC1_KEY, PKCS8_KEY, ED25519_KEY] {
        keys.load_private_key(parse_key(key.as_bytes()).unwrap()).unwrap();
    }
}

#[test]
fn debug_shows_no_key() {
    let bundle = bundle("a.example.com");
    let shown = format!("{:?}", Leaf::parse(&bundle).unwrap());
    let secret = bundle.key_pem.lines().nth(1).unwrap();
    assert!(shown.contains("a.example.com") && !shown.contains(secret) && !shown.contains("key"));
}

#[test]
fn an_ecdsa_chain_of_two_weighs_less_than_8_kib() {
    let leaf = Leaf::parse(&Authority::new().bundle(&["shop.example.com"])).unwrap();
    assert!((1024..8192).contains(&leaf.weight()), "{} bytes", leaf.weight());
}

/// Not a promise but a figure: `cargo nextest run -p certs --run-ignored only memory_of --no-capture`.
#[test]
#[ignore = "prints a figure"]
fn memory_of_2_000_leaves() {
    let authority = Authority::new();
    let bundles: Vec<Bundle> = (0..2_000).map(|n| authority.bundle(&[&format!("n{n}.example.com")])).collect();
    let before = resident_kib();
    let leaves: Vec<Leaf> = bundles.iter().map(|bundle| Leaf::parse(bundle).unwrap()).collect();
    let each = (resident_kib() - before) * 1024 / 2_000;
    println!("{each} bytes resident each, weighed as {}", leaves[0].weight());
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// `openssl ecparam -name prime256v1 -genkey`, the form in which CertMagic writes its keys.
const SEC1_KEY: &str = "\
-----BEGIN EC PARAMETERS-----
BggqhkjOPQMBBw==
-----END EC PARAMETERS-----
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
/// `openssl genpkey -algorithm ed25519` under the label that CertMagic gives such keys.
const ED25519_KEY: &str = "\
-----BEGIN ED25519 PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIL2L1GlJ/HKciDPnIxjbMtZ+Aw2AnuJjQUECw+YYVP3f
-----END ED25519 PRIVATE KEY-----
";
