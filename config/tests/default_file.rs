//! The reference file and the program agree.

mod reference;

use config::{AccessLog, IssuerKind, Limits, SecretSource, keys, parse};
use reference::{assert_complete, assert_explained, documented, uncommented};

const REFERENCE: &str = include_str!("../config.default.toml");
const ASK: (&str, &str) = ("NAMEGATE_EDGE__ASK__URL", "http://127.0.0.1:8080/internal/ask");

fn ask_only() -> [(String, String); 1] {
    [(ASK.0.to_owned(), ASK.1.to_owned())]
}

#[test]
fn the_reference_file_gives_exactly_the_defaults() {
    let from_file = parse("config.default.toml", REFERENCE, ask_only()).unwrap();
    let from_nothing = parse("config.default.toml", "", ask_only()).unwrap();
    assert_eq!(from_file, from_nothing);
    assert_eq!(from_file.limits, Limits::default());
    assert_eq!(from_file.acme.issuer, IssuerKind::Acme);
    assert_eq!(from_file.log.access, AccessLog::Json);
    assert_eq!(from_file.storage.path.to_str(), Some("/var/lib/namegate"));
    assert_eq!(from_file.listen.admin.to_string(), "127.0.0.1:2020");
}

#[test]
fn the_reference_file_has_every_key_once_and_no_other() {
    assert_complete(REFERENCE, &keys());
}

#[test]
fn every_key_of_the_reference_file_has_a_default_a_reason_and_a_version() {
    assert_explained(REFERENCE);
}

#[test]
fn limits_are_documented_with_the_words_range_and_default_of_the_table() {
    let documented = documented(REFERENCE);
    for limit in Limits::table() {
        let key = format!("limits.{}", limit.name);
        let (_, comment) = documented.iter().find(|(name, _)| *name == key).unwrap();
        let flat = comment.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in
            [limit.doc, &format!("{} to {}", limit.least, limit.greatest), &format!("Default: {}", limit.default)]
        {
            assert!(flat.contains(part), "{key}: `{part}` is not in `{flat}`");
        }
    }
}

#[test]
fn options_without_a_default_are_shown_commented_out_and_are_valid_when_uncommented() {
    // Of a secret and its file only one can be set.
    let text = uncommented(REFERENCE).replace("\npostgres = ", "\n# postgres = ");
    let config = parse("config.default.toml", &text, []).unwrap();
    assert_eq!(config.storage.postgres, Some(SecretSource::File("/etc/namegate/database-url".into())));
    assert_eq!(config.control.unwrap().url.as_str(), "http://127.0.0.1:8080/");
    assert_eq!(config.acme.eab.unwrap().key_id, "kid-1");
    assert_eq!(config.proxy.default_origin.as_deref(), Some("http://127.0.0.1:3000"));
}
