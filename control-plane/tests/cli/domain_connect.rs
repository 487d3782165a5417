//! What DNS providers need of us.

use crate::harness::Desk;

/// The files that the documentation shows, for the settings that it shows.
const FILES: [(&str, &[&str]); 2] =
    [("saas.example.hostname.json", &[]), ("saas.example.hostname-apex.json", &["--apex"])];

fn desk() -> Desk {
    let desk = Desk::sqlite();
    let key = desk.run(&["domain-connect", "generate-key"]);
    assert_eq!(key.code, 0, "{key:?}");
    desk.write("domain-connect.pem", &key.stdout);
    desk.write(
        "control.toml",
        "[edge]\ncname = 'edge.saas.example'\naddresses = ['192.0.2.10', '2001:db8::10']\n[keys]\nfile = 'keys'\n\
         [tokens]\nsecret_file = 'token-secret'\n[domain_connect]\nprovider_id = 'saas.example'\nprovider_name = 'SaaS'\n\
         service_name = 'SaaS hostname'\nkey_file = 'domain-connect.pem'\npublic_url = 'https://connect.saas.example'\n",
    );
    desk
}

#[test]
fn the_public_key_is_shown_as_records_that_fit_and_the_private_one_never() {
    let desk = desk();
    let shown = desk.run(&["domain-connect", "key"]);
    let rows = shown.json();
    let rows = rows.as_array().unwrap();
    assert!(rows.len() > 1, "{shown:?}");
    for (row, number) in rows.iter().zip(1..) {
        assert_eq!((row["name"].as_str().unwrap(), row["type"].as_str().unwrap()), ("_dck1.saas.example", "TXT"));
        let value = row["value"].as_str().unwrap();
        assert!(value.starts_with(&format!("p={number},a=RS256,d=")) && value.len() <= 255, "{value}");
    }
    assert!(!shown.stdout.contains("PRIVATE"));
}

/// Changing a template changes these files, in the same commit: `UPDATE=1 cargo nextest run -p control-plane cli`.
#[test]
fn the_templates_are_those_that_the_documentation_shows() {
    let desk = desk();
    for (file, more) in FILES {
        let path = format!("{}/../deploy/domain-connect/{file}", env!("CARGO_MANIFEST_DIR"));
        let now = desk.run(&[&["domain-connect", "template"], more].concat());
        assert_eq!(now.code, 0, "{now:?}");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &now.stdout).unwrap();
        }
        assert_eq!(now.stdout, std::fs::read_to_string(&path).unwrap_or_default(), "{path}");
    }
}

#[test]
fn half_a_configuration_is_a_mistake_and_none_is_told() {
    let desk = desk();
    desk.write("control.toml", "[edge]\ncname = 'edge.saas.example'\n[domain_connect]\nprovider_id = 'saas.example'\n");
    let left = desk.run(&["validate", "--dev"]);
    assert_eq!(left.code, 1);
    for key in ["domain_connect.key_file", "domain_connect.public_url"] {
        assert!(left.stdout.contains(key), "{key}: {left:?}");
    }
    desk.write("control.toml", "[edge]\ncname = 'edge.saas.example'\n");
    let left = desk.run(&["domain-connect", "key", "--dev"]);
    assert_eq!(left.code, 1);
    assert!(left.stderr.contains("domain_connect.provider_id is not set"), "{left:?}");
}
