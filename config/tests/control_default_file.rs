//! The control plane's reference file and the program agree.

mod reference;

use config::{ControlConfig, Mistakes, Mode, PlanName, SecretSource, control_keys, parse_control};
use reference::{assert_complete, assert_explained, uncommented};

const REFERENCE: &str = include_str!("../control.default.toml");

/// What has no default outside development.
fn required() -> Vec<(String, String)> {
    let required = [
        ("NAMEGATE_CONTROL__EDGE__CNAME", "edge.saas.example"),
        ("NAMEGATE_CONTROL__TOKENS__SECRET", "0123456789abcdef0123456789abcdef"),
        ("NAMEGATE_KEY_FILE", "sealing.keys"),
    ];
    required.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

fn read(text: &str) -> Result<ControlConfig, Mistakes> {
    parse_control("control.default.toml", text, required(), Mode::Production)
}

#[test]
fn the_reference_file_gives_exactly_the_defaults() {
    let config = read(REFERENCE).unwrap();
    assert_eq!(config, read("").unwrap());
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!((config.plans.default, config.plans.free), (PlanName::Enterprise, Some(10)));
    assert_eq!(config.dns.resolvers.len(), 3);
}

#[test]
fn the_reference_file_has_every_key_once_and_no_other() {
    assert_complete(REFERENCE, &control_keys());
}

#[test]
fn every_key_of_the_reference_file_has_a_default_a_reason_and_a_version() {
    assert_explained(REFERENCE);
}

#[test]
fn options_without_a_default_are_shown_commented_out_and_are_valid_when_uncommented() {
    // Of a secret and its file only one can be set.
    let text = uncommented(REFERENCE).replace("\nsecret = ", "\n# secret = ").replace("\nurl = ", "\n# url = ");
    // This one is refused in production.
    let text = text.replace("\ndns_providers = ", "\n# dns_providers = ");
    let config = parse_control("control.default.toml", &text, [], Mode::Production).unwrap();
    assert_eq!(config.edge.cname.as_str(), "edge.saas.example");
    assert_eq!(config.token_secret, SecretSource::File("/etc/namegate/token-secret".into()));
    assert_eq!(config.demo_origin.as_deref(), Some("http://127.0.0.1:3000"));
}
