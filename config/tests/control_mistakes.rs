//! Bad settings of the control plane and the exact words that their authors get.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a surprise ends the test")]

use std::path::Path;

use config::{Mode, SecretSource, load_control, parse_control};

fn printed(text: &str, env: &[(&str, &str)], mode: Mode) -> String {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    parse_control("control.toml", text, env, mode).unwrap_err().to_string()
}

#[test]
fn every_mistake_of_a_file_is_reported_in_one_run_with_its_place_and_how_to_mend_it() {
    let text = r#"
[listen]
http = "localhost:8080"

[database]
url = "mysql://app:hunter2@db/namegate"
connections = 0

[edge]
cnam = "edge.saas.example"
addresses = ["192.0.2.1:443"]
reserved = ["saas example"]

[dns]
resolvers = ["dns.example", "1.1.1.1"]
ask_authority = "yes"

[plans]
default = "entreprise"

[review]
brands = ["saas.example", "saas"]

[worker]
treads = 2

[mail]
from = "ops@saas.example"
"#;
    let expected = [
        r#"control.toml:3:8: listen.http: `localhost:8080` is not an IP address with a port; write an address such as "0.0.0.0:443", "[::1]:443" or ":443""#,
        r#"control.toml:6:7: database.url: is not the URL of a database; write "sqlite:///folder/file.db" or "postgres://user:password@host/database""#,
        "control.toml:7:15: database.connections: 0 is out of range; choose a value from 1 to 1000",
        r#"control.toml:9:2: edge.cname: is required; set it to the name that customers point theirs at, such as "edge.saas.example""#,
        "control.toml:10:1: edge.cnam: unknown key; did you mean `cname`?",
        "control.toml:11:14: edge.addresses: `192.0.2.1:443` is not an IP address; write IPv4 or IPv6 addresses without a port",
        r#"control.toml:12:13: edge.reserved: `saas example` is not a hostname: a label may hold letters, digits and inner hyphens only; write a whole name with a dot in it, such as "edge.saas.example""#,
        r#"control.toml:15:14: dns.resolvers: `dns.example` is not the address of a resolver; write "192.0.2.1", "192.0.2.1:53", "[2001:db8::1]:53" or "tcp://192.0.2.1""#,
        "control.toml:16:17: dns.ask_authority: must be true or false, not a string; write true or false without quotes",
        r#"control.toml:19:11: plans.default: `entreprise` is not a choice; did you mean "enterprise"?"#,
        r#"control.toml:22:27: review.brands: `saas` is not a hostname: a single label is not a public hostname; write a whole name with a dot in it, such as "edge.saas.example""#,
        "control.toml:25:1: worker.treads: unknown key; the keys of [worker] are enabled",
        "control.toml:27:2: mail: unknown table; the tables are listen, database, keys, tokens, edge, acme, dns, domain_connect, worker, webhooks, plans, review, limits, dev, log",
    ];
    let printed = printed(text, &[], Mode::Development);
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
    assert!(!printed.contains("hunter2"));
}

#[test]
fn production_wants_secrets_of_its_own_and_development_none() {
    let text = "[edge]\ncname = 'edge.saas.example'\n";
    assert!(parse_control("control.toml", text, [], Mode::Development).is_ok());
    let printed = printed(text, &[], Mode::Production);
    assert_eq!(
        printed.lines().collect::<Vec<_>>(),
        [
            "control.toml:1:1: keys.file: is required; name a file that holds a line of `namegate-control generate-key`; NAMEGATE_KEY_FILE does as well",
            "control.toml:1:1: tokens.secret_file: is required; name a file that holds the secret; write 32 random characters or more, as `openssl rand -hex 32` makes them",
        ]
    );
}

#[test]
fn production_sends_no_credential_to_a_server_that_stands_for_its_provider() {
    let text = "[edge]\ncname = 'edge.saas.example'\n[dev]\ndns_providers = 'http://127.0.0.1:9000'\n";
    assert!(parse_control("control.toml", text, [], Mode::Development).unwrap().dns_providers.is_some());
    let printed = printed(text, &[], Mode::Production);
    let expected = "control.toml:4:17: dev.dns_providers: is for development; remove it; customers' credentials would be sent there";
    assert!(printed.lines().any(|line| line == expected), "{printed}");
}

#[test]
fn without_a_file_a_missing_key_is_told_by_its_variable() {
    let mistakes = load_control(None, [], Mode::Production).unwrap_err().to_string();
    let places: Vec<&str> = mistakes.lines().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(places, ["NAMEGATE_CONTROL__EDGE__CNAME", "NAMEGATE_CONTROL__TOKENS__SECRET_FILE", "NAMEGATE_KEY_FILE"]);
}

#[test]
fn variables_with_names_of_their_own_win_and_misspelt_ones_are_told() {
    let file = "[edge]\ncname = 'edge.saas.example'\n[database]\nurl = 'sqlite://file.db'\n";
    let env = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let both = env(&[("DATABASE_URL", "sqlite://alias.db"), ("NAMEGATE_CONTROL__DATABASE__URL", "sqlite://usual.db")]);
    let config = parse_control("control.toml", file, both, Mode::Development).unwrap();
    assert_eq!(config.database.url.read().unwrap().expose(), "sqlite://alias.db");
    let printed =
        printed(file, &[("NAMEGATE_CONTROL__EDGE__CNAM", "x"), ("DATABASE_URL", "s3cret")], Mode::Development);
    assert_eq!(
        printed.lines().collect::<Vec<_>>(),
        [
            r#"DATABASE_URL: database.url: is not the URL of a database; write "sqlite:///folder/file.db" or "postgres://user:password@host/database""#,
            "NAMEGATE_CONTROL__EDGE__CNAM: no such setting; did you mean `NAMEGATE_CONTROL__EDGE__CNAME`?",
        ]
    );
}

#[test]
fn files_of_secrets_are_checked_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let load = |text: &str| {
        let path = folder.path().join("control.toml");
        std::fs::write(&path, format!("[edge]\ncname = 'edge.saas.example'\ntoken_file = 'edge-token'\n{text}"))
            .unwrap();
        load_control(Some(Path::new(&path)), [], Mode::Production)
    };
    file("edge-token", "two words\n");
    file("short", "hunter2\n");
    file("keys", "# ours\nAAAA\n");
    let printed = load("[tokens]\nsecret_file = 'short'\n[keys]\nfile = 'keys'\n[database]\nurl_file = 'none'\n")
        .unwrap_err()
        .to_string();
    let problems: Vec<&str> =
        printed.lines().filter_map(|line| line.split_once("control.toml:")).map(|it| it.1).collect();
    assert_eq!(
        problems,
        [
            "3:14: edge.token_file: the file does not hold a token of visible ASCII on one line; put the token of the edges into the file, and nothing else",
            "5:15: tokens.secret_file: is shorter than 32 characters; write 32 random characters or more, as `openssl rand -hex 32` makes them",
            "7:8: keys.file: line 2 of the file is not 32 bytes in base64; make a line with `namegate-control generate-key`",
            "9:12: database.url_file: the file cannot be read: No such file or directory (os error 2); check the path and the rights of the user that runs this program",
        ]
    );
    assert!(!printed.contains("hunter2"));

    file("edge-token", "a-token\n");
    file("long", "0123456789abcdef0123456789abcdef\n");
    file("keys", "# ours\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
    let config = load("[tokens]\nsecret_file = 'long'\n[keys]\nfile = 'keys'\n").unwrap();
    assert_eq!(config.token_secret.read().unwrap().expose(), "0123456789abcdef0123456789abcdef");
    assert!(matches!(config.token_secret, SecretSource::File(_)));
    assert!(!format!("{config:?}").contains("0123456789abcdef"));
    assert_eq!(config.key_file, Some(folder.path().join("keys")));

    let both =
        load("[tokens]\nsecret = 'hunter2hunter2hunter2hunter2hunter2'\nsecret_file = 'long'\n[keys]\nfile = 'keys'\n");
    let both = both.unwrap_err().to_string();
    assert!(both.contains("tokens.secret_file: secret is set as well; keep one of the two"), "{both}");
    assert!(!both.contains("hunter2"));
}
