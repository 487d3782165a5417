//! A reference file as its keys and the comments above them.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::collections::BTreeSet;

/// `key` of a line `key = …` or `# key = …`, and whether it is commented out.
pub fn key_of(line: &str) -> Option<(&str, bool)> {
    let (key, _) = line.trim_start_matches("# ").split_once(" = ")?;
    key.bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        .then_some((key, line.starts_with('#')))
}

/// Every key of the file as `table.key`, with the comment above it.
pub fn documented(reference: &str) -> Vec<(String, String)> {
    let (mut table, mut comment, mut found) = ("", String::new(), Vec::new());
    let mut fresh = false;
    for line in reference.lines() {
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

/// The file with every commented option switched on.
pub fn uncommented(reference: &str) -> String {
    let uncommented = |line: &str| match key_of(line) {
        Some((_, true)) => line.trim_start_matches("# ").to_owned(),
        _ => line.to_owned(),
    };
    reference.lines().map(uncommented).collect::<Vec<_>>().join("\n")
}

/// Every key stands there once, and nothing else.
pub fn assert_complete(reference: &str, keys: &[(&str, &str)]) {
    let in_file: Vec<String> = documented(reference).into_iter().map(|(key, _)| key).collect();
    let in_program: BTreeSet<String> = keys.iter().map(|(table, key)| format!("{table}.{key}")).collect();
    assert_eq!(in_file.iter().cloned().collect::<BTreeSet<_>>(), in_program);
    assert_eq!(in_file.len(), in_program.len(), "a key stands twice");
}

/// Each key says its default, a reason for it and a version.
pub fn assert_explained(reference: &str) {
    for (key, comment) in documented(reference) {
        assert!(comment.contains("Since 0.1"), "{key} says no version");
        assert!(comment.contains("efault"), "{key} says nothing about its default");
        assert!(comment.len() > 60, "{key} gives no reason");
    }
}
