//! What a copy of the database gives away.

use std::path::Path;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::harness::{Control, EDGE_TOKEN, on_both};

const KEY: &str = "sk_test_demo";

/// Every byte of the database, as files or as `COPY` shows them.
fn dump(control: &Control) -> Vec<u8> {
    match &control.postgres {
        None => {
            let files = std::fs::read_dir(control.directory()).unwrap().map(|file| file.unwrap().path());
            let of_database = |path: &Path| path.file_name().unwrap().to_string_lossy().starts_with("control.db");
            files.filter(|path| of_database(path)).flat_map(|path| std::fs::read(path).unwrap()).collect()
        }
        Some(postgres) => {
            let tables = postgres.psql("test0", "SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
            let rows = |table: &str| postgres.psql("test0", &format!("SELECT row_to_json(t) FROM {table} AS t"));
            tables.lines().map(rows).collect::<Vec<_>>().join("\n").into_bytes()
        }
    }
}

fn holds(dump: &[u8], needle: &str) -> bool {
    dump.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[test]
fn a_dump_of_the_database_holds_no_secret_that_could_be_used() {
    on_both(|control| async move {
        let app = control.application().await;
        let auth = format!("Authorization: Bearer {KEY}");
        let once = |name: &'static str| ["-X", "POST", "-H", name];
        let body = r#"{"name":"k","scopes":["connections:read","connections:write"]}"#;
        let path = format!("/v1/applications/{app}/keys");
        let create_key = async || {
            let [a, b, c, d] = once("Idempotency-Key: key");
            control.curl(&path, &[a, b, c, d, "-H", &auth, "-d", body]).await
        };
        let key = create_key().await.json()["secret"].as_str().unwrap().to_owned();
        assert!(!create_key().await.text.contains(&key), "a repetition does not show it again");
        let body = r#"{"url":"http://127.0.0.1:1/hook"}"#;
        let endpoint = control.send(KEY, "POST", "/v1/webhook-endpoints", body).await.json();
        let signing = endpoint["signing_secret"].as_str().unwrap().to_owned();
        let (path, body) =
            (format!("/v1/applications/{app}/credentials"), r#"{"provider":"desec","token":"canaryDesecToken42"}"#);
        let [a, b, c, d] = once("Idempotency-Key: credential");
        assert_eq!(control.curl(&path, &[a, b, c, d, "-H", &auth, "-d", body]).await.status, 201);
        let mint = format!(r#"{{"application_id":"{app}"}}"#);
        let token = control.send(&key, "POST", "/v1/tokens", &mint).await.json();
        let token = token["auth_token"].as_str().unwrap().to_owned();
        assert_eq!(control.get(&token, "/v1/connections").await.status, 200);

        let dump = dump(&control);
        assert!(holds(&dump, &app), "this is the database");
        let secrets = [
            ("an API key", key.trim_start_matches("sk_test_")),
            ("a signing secret", signing.trim_start_matches("whsec_")),
            ("a DNS credential", "canaryDesecToken42"),
            ("a token", token.rsplit('.').next().unwrap()),
            ("what signs tokens", config::DEVELOPMENT_TOKEN_SECRET),
            ("the edges' token", EDGE_TOKEN),
            ("the key that seals", control.sealing_key()),
        ];
        for (what, secret) in secrets {
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            for form in [secret.to_owned(), hex, BASE64_STANDARD.encode(secret)] {
                assert!(!holds(&dump, form.trim_end_matches('=')), "{what} is in the dump");
            }
        }
        control
    });
}
