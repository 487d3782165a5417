//! The reference file and the program agree.

use std::collections::BTreeSet;

use config::{AccessLog, IssuerKind, Limits, keys, parse};

const REFERENCE: &str = include_str!("../config.default.toml");
const ASK: (&str, &str) = ("NAMEGATE_EDGE__ASK__URL", "http://127.0.0.1:8080/internal/ask");

fn ask_only() -> [(String, String); 1] {
    [(ASK.0.to_owned(), ASK.1.to_owned())]
}

/// `key` of a line `key = …` or `# key = …`, and whether it is commented out.
fn key_of(line: &str) -> Option<(&str, bool)> {
    let (key, _) = line.trim_start_matches("# ").split_once(" = ")?;
    key.bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        .then_some((key, line.starts_with('#')))
}

/// Every key of the file as `table.key`, with the comment above it.
fn documented() -> Vec<(String, String)> {
    let (mut table, mut comment, mut found) = ("", String::new(), Vec::new());
    let mut fresh = false;
    for line in REFERENCE.lines() {
        if let Some((key, _)) = key_of(line) {
            found.push((format!("{table}.{key}"), comment.clone()));
            fresh = true;
        } else if let Some(text) = line.strip_prefix('#') {
            if fresh {
                comment.clear();
            }
            fresh = false;
            comment.push_str(text);
        } else {
            comment.clear();
            table = line.trim_matches(['[', ']']);
        }
    }
    found
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
    let in_file: Vec<String> = documented().into_iter().map(|(key, _)| key).collect();
    let in_program: BTreeSet<String> = keys().iter().map(|(table, key)| format!("{table}.{key}")).collect();
    assert_eq!(in_file.iter().cloned().collect::<BTreeSet<_>>(), in_program);
    assert_eq!(in_file.len(), in_program.len(), "a key stands twice");
}

#[test]
fn every_key_of_the_reference_file_has_a_default_a_reason_and_a_version() {
    for (key, comment) in documented() {
        assert!(comment.contains("Since 0.1"), "{key} says no version");
        assert!(comment.contains("efault"), "{key} says nothing about its default");
        assert!(comment.len() > 60, "{key} gives no reason");
    }
}

#[test]
fn limits_are_documented_with_the_words_range_and_default_of_the_table() {
    let documented = documented();
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
    let uncommented = |line: &str| match key_of(line) {
        Some((_, true)) => line.trim_start_matches("# ").to_owned(),
        _ => line.to_owned(),
    };
    let text = REFERENCE.lines().map(uncommented).collect::<Vec<_>>().join("\n");
    let config = parse("config.default.toml", &text, []).unwrap();
    assert_eq!(config.control.unwrap().url.as_str(), "http://127.0.0.1:8080/");
    assert_eq!(config.acme.eab.unwrap().key_id, "kid-1");
    assert_eq!(config.proxy.default_origin.as_deref(), Some("http://127.0.0.1:3000"));
}
