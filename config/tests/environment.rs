//! Overrides: they win over the file and are held to the same rules.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a surprise ends the test")]

use std::time::Duration;

use config::{EdgeConfig, IssuerKind, Mistakes, keys, parse};

const FILE: &str = "[ask]\nurl = 'http://file/'\ntimeout = '2s'\n[acme]\ncontact = ['mailto:file@a.example']\n";

fn with(overrides: &[(&str, &str)]) -> Result<EdgeConfig, Mistakes> {
    let named = |(name, value): &(&str, &str)| (format!("NAMEGATE_EDGE__{name}"), (*value).to_owned());
    parse("conf/edge.toml", FILE, overrides.iter().map(named))
}

fn printed(overrides: &[(&str, &str)]) -> String {
    with(overrides).unwrap_err().to_string()
}

#[test]
fn a_variable_wins_over_the_file_and_the_rest_of_the_file_stays() {
    let config = with(&[("ASK__URL", "http://variable/"), ("ACME__ISSUER", "internal")]).unwrap();
    assert_eq!(config.ask.url.as_str(), "http://variable/");
    assert_eq!(config.ask.timeout, Duration::from_secs(2));
    assert_eq!(config.acme.issuer, IssuerKind::Internal);
    assert_eq!(config.acme.contact, ["mailto:file@a.example"]);
}

#[test]
fn a_variable_mends_a_wrong_or_missing_value_of_the_file() {
    let url = [("NAMEGATE_EDGE__ASK__URL".to_owned(), "http://variable/".to_owned())];
    assert!(parse("edge.toml", "[ask]\nurl = 7", url.clone()).is_ok());
    assert!(parse("edge.toml", "", url).is_ok());
}

#[test]
fn every_kind_of_value_can_be_written_plainly_or_as_toml() {
    for list in ["0.0.0.0:81,[::]:81", "0.0.0.0:81, [::]:81", r#"["0.0.0.0:81", "[::]:81"]"#] {
        assert_eq!(with(&[("LISTEN__HTTP", list)]).unwrap().listen.http.len(), 2, "{list}");
    }
    assert_eq!(with(&[("LISTEN__HTTP", "[::1]:81")]).unwrap().listen.http.len(), 1);
    assert!(with(&[("LISTEN__HTTP", "")]).unwrap().listen.http.is_empty());
    for text in ["4s", "\"4s\"", "'4s'"] {
        assert_eq!(with(&[("ASK__TIMEOUT", text)]).unwrap().ask.timeout, Duration::from_secs(4), "{text}");
    }
    for size in ["65536", "64KiB", "\"64KiB\""] {
        assert_eq!(
            with(&[("LIMITS__REQUEST_HEADER_BYTES", size)]).unwrap().limits.request_header_bytes,
            65_536,
            "{size}"
        );
    }
    assert_eq!(with(&[("LIMITS__THREADS", "3")]).unwrap().limits.threads, 3);
    assert!(with(&[("PROXY__ALLOW_PRIVATE_ORIGINS", "true")]).unwrap().proxy.allow_private_origins);
    // A text that happens to be TOML of another kind is still a text where a text is wanted.
    assert_eq!(with(&[("ACME__PROFILE", "2024")]).unwrap().acme.profile.as_deref(), Some("2024"));
}

#[test]
fn a_wrong_variable_is_told_by_its_name() {
    let overrides = [
        ("ASK__URL", "ftp://a/"),
        ("LIMITS__THREADS", "many"),
        ("LIMITS__CONNECTIONS", "\"9\""),
        ("PROXY__ALLOW_PRIVATE_ORIGINS", "yes"),
        ("PROXY__TRUSTED_PROXIES", "10.0.0.0/8,lan"),
    ];
    assert_eq!(
        printed(&overrides).lines().collect::<Vec<_>>(),
        [
            "NAMEGATE_EDGE__ASK__URL: ask.url: is not an http or https URL; start it with http:// or https://",
            "NAMEGATE_EDGE__LIMITS__CONNECTIONS: limits.connections: must be an integer, not a string; write a whole number without quotes",
            "NAMEGATE_EDGE__LIMITS__THREADS: limits.threads: must be an integer, not a string; write a whole number without quotes",
            "NAMEGATE_EDGE__PROXY__ALLOW_PRIVATE_ORIGINS: proxy.allow_private_origins: must be true or false, not a string; write true or false without quotes",
            "NAMEGATE_EDGE__PROXY__TRUSTED_PROXIES: proxy.trusted_proxies: `lan` is not a network; write a network such as \"10.0.0.0/8\", or one address",
        ]
    );
}

#[test]
fn unknown_and_unserved_variables_are_mistakes() {
    let overrides =
        [("ASK__ULR", "x"), ("ask__url", "x"), ("COLOUR", "x"), ("CONTROL__URL", "x"), ("STORAGE__POSTGRES", "x")];
    assert_eq!(
        printed(&overrides).lines().collect::<Vec<_>>(),
        [
            "conf/edge.toml:1:1: storage.key_file: is required; name a file with a line of `openssl rand -base64 32`, the same for every edge; private keys are kept in storage.postgres only when they are sealed",
            "NAMEGATE_EDGE__ASK__ULR: no such setting; did you mean `NAMEGATE_EDGE__ASK__URL`?",
            "NAMEGATE_EDGE__COLOUR: no such setting; overrides are named after their table and key, as in NAMEGATE_EDGE__ASK__URL",
            "NAMEGATE_EDGE__CONTROL__URL: control.url: has no scheme; start it with http:// or https://",
            "NAMEGATE_EDGE__STORAGE__POSTGRES: storage.postgres: is not the URL of a PostgreSQL database; write \"postgres://user:password@host/database\"",
            "NAMEGATE_EDGE__ask__url: no such setting; did you mean `NAMEGATE_EDGE__ASK__URL`?",
        ]
    );
}

#[test]
fn other_variables_are_nobodys_business() {
    let others =
        ["PATH", "NAMEGATE_EDGE_CONFIG", "NAMEGATE_CONTROL__ASK__URL"].map(|name| (name.to_owned(), "x".to_owned()));
    assert!(parse("edge.toml", FILE, others).is_ok());
}

#[test]
fn every_key_can_be_overridden() {
    for (table, key) in keys() {
        // No key takes this, so an override that is heard is refused under its name.
        let name = format!("{}__{}", table.replace('.', "__").to_uppercase(), key.to_uppercase());
        let heard = match with(&[(&name, " \u{0} ")]) {
            Ok(_) => false,
            Err(mistakes) => mistakes.iter().any(|mistake| mistake.key == format!("{table}.{key}")),
        };
        assert!(heard, "{name}");
    }
}

#[test]
fn a_relative_path_starts_at_the_file_or_at_the_working_directory() {
    let file = format!("{FILE}[storage]\npath = 'data'");
    let path = |env: &[(String, String)]| parse("conf/edge.toml", &file, env.to_vec()).unwrap().storage.path;
    assert_eq!(path(&[]).to_str(), Some("conf/data"));
    assert_eq!(path(&[("NAMEGATE_EDGE__STORAGE__PATH".to_owned(), "data".to_owned())]).to_str(), Some("data"));
}

#[test]
fn a_table_in_a_table_has_both_names_in_its_variables() {
    let env = [
        ("NAMEGATE_EDGE__ASK__URL", "http://127.0.0.1:1/ask"),
        ("NAMEGATE_EDGE__ACME__DNS__PROVIDER", "desec"),
        ("NAMEGATE_EDGE__ACME__DNS__TOKEN_FILE", "/run/secrets/desec"),
        ("NAMEGATE_EDGE__ACME__DNS__ZONES", "acme.example.com, apps.example.com"),
        ("NAMEGATE_EDGE__ACME__DNS__NAMES", "*.apps.example.com"),
    ];
    let config = parse("edge.toml", "", env.map(|(name, text)| (name.to_owned(), text.to_owned()))).unwrap();
    let dns = config.acme.dns.unwrap();
    assert_eq!((dns.provider, dns.zones.len(), dns.names[0].as_str()), ("desec", 2, "*.apps.example.com"));
}
