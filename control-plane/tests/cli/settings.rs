//! Settings, before anything is served.

use crate::harness::Desk;

#[test]
fn validate_reports_every_mistake_with_its_place_and_exits_with_one() {
    let desk = Desk::sqlite();
    assert_eq!(desk.run(&["validate"]).json(), serde_json::json!({"valid": true, "mistakes": []}));
    desk.write("control.toml", "[edge]\ncnam = 'edge.saas.example'\n[listen]\nhttp = 8080\n");
    let left = desk.run(&["validate", "--format", "json"]);
    assert_eq!(left.code, 1);
    let report: serde_json::Value = serde_json::from_str(&left.stdout).unwrap();
    let mistakes = report["mistakes"].as_array().unwrap();
    let places: Vec<_> = mistakes.iter().map(|mistake| (&mistake["key"], &mistake["place"]["line"])).collect();
    let expected =
        [("keys.file", 1), ("tokens.secret_file", 1), ("edge.cname", 1), ("edge.cnam", 2), ("listen.http", 4)];
    for (key, line) in expected {
        assert!(places.contains(&(&key.into(), &line.into())), "{key}:{line} is not in {places:?}");
    }
    let left = desk.run(&["run", "--format", "json"]);
    assert_eq!(left.code, 1, "a bad configuration is not tried again");
    assert!(left.stderr.contains("control.toml:2:1: edge.cnam: unknown key; did you mean `cname`?"), "{left:?}");
}

#[test]
fn production_does_not_start_without_its_secrets_and_development_does_not_ask_for_them() {
    let desk = Desk::sqlite();
    desk.write("control.toml", "[edge]\ncname = 'edge.saas.example'\n[database]\nurl = 'sqlite://control.db'\n");
    let left = desk.run(&["run"]);
    assert_eq!(left.code, 1);
    for key in ["keys.file: is required", "tokens.secret_file: is required"] {
        assert!(left.stderr.contains(key), "{left:?}");
    }
    assert_eq!(desk.run(&["validate", "--dev"]).code, 0);
}
