//! What is whose, as clients meet it: keys, tokens and other people's ids.

use serde_json::Value;

use crate::harness::{Control, Worker, on_both, on_sqlite};

const KEY: &str = "sk_test_demo";

fn id(made: &Value) -> String {
    made["id"].as_str().unwrap().to_owned()
}

#[test]
fn what_belongs_to_another_tenant_is_not_there() {
    on_both(|control| async move {
        let app = control.application().await;
        let connection = id(&control.connect(&app, "shop.customer.com").await);
        let body = r#"{"name":"k","scopes":["connections:read"]}"#;
        let key = id(&control.send(KEY, "POST", &format!("/v1/applications/{app}/keys"), body).await.json());
        let body = r#"{"url":"http://127.0.0.1:1/hook"}"#;
        let endpoint = id(&control.send(KEY, "POST", "/v1/webhook-endpoints", body).await.json());
        control.send(KEY, "DELETE", &format!("/v1/connections/{connection}"), "").await;
        let deliveries = control.get(KEY, "/v1/webhook-deliveries").await.json();
        let delivery = id(&deliveries["data"][0]);

        let (stranger, _) = control.stranger().await;
        let create = format!(r#"{{"application_id":"{app}","hostname":"other.customer.com"}}"#);
        let mint = format!(r#"{{"application_id":"{app}"}}"#);
        let calls = [
            ("GET", format!("/v1/applications/{app}"), ""),
            ("PATCH", format!("/v1/applications/{app}"), "{}"),
            ("GET", format!("/v1/applications/{app}/keys"), ""),
            ("POST", format!("/v1/applications/{app}/keys"), r#"{"name":"k","scopes":["connections:read"]}"#),
            ("GET", format!("/v1/applications/{app}/credentials"), ""),
            ("POST", format!("/v1/applications/{app}/credentials"), r#"{"provider":"desec","token":"t0123456789"}"#),
            ("POST", format!("/v1/connections/{connection}/records:apply"), "{}"),
            ("DELETE", format!("/v1/applications/{app}/keys/{key}"), ""),
            ("GET", format!("/v1/connections/{connection}"), ""),
            ("PATCH", format!("/v1/connections/{connection}"), "{}"),
            ("DELETE", format!("/v1/connections/{connection}"), ""),
            ("POST", format!("/v1/connections/{connection}/verify"), ""),
            ("POST", format!("/v1/connections/{connection}/records:check"), ""),
            ("POST", "/v1/connections".to_owned(), &create),
            ("POST", "/v1/tokens".to_owned(), &mint),
            ("DELETE", format!("/v1/webhook-endpoints/{endpoint}"), ""),
            ("GET", format!("/v1/webhook-deliveries/{delivery}"), ""),
            ("POST", format!("/v1/webhook-deliveries/{delivery}/replay"), ""),
        ];
        for (method, path, body) in &calls {
            let answer = control.send(&stranger, method, path, body).await;
            assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{method} {path}: {answer:?}");
            assert!(!answer.text.contains("customer.com"), "{answer:?}");
        }
        for list in ["connections", "webhook-endpoints", "webhook-deliveries", "events"] {
            let answer = control.get(&stranger, &format!("/v1/{list}")).await.json();
            assert_eq!(answer["data"], Value::Array(Vec::new()), "{list}");
        }
        assert_eq!(control.get(&stranger, "/v1/applications").await.json()["data"][0]["name"], "Theirs");
        // All of it is still there for whom it belongs to.
        assert_eq!(control.get(KEY, &format!("/v1/connections/{connection}")).await.status, 200);
        for path in ["x", "%00", "00000000-0000-7000-8000-000000000000", "a%2Fb"] {
            let answer = control.get(KEY, &format!("/v1/connections/{path}")).await;
            assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{path}");
        }
        control
    });
}

async fn token(control: &Control, key: &str, app: &str, domain: &str) -> String {
    let body = serde_json::json!({"application_id": app, "domain": domain}).to_string();
    let made = control.send(key, "POST", "/v1/tokens", &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.json()["auth_token"].as_str().unwrap().to_owned()
}

#[test]
fn a_token_reaches_its_own_application_and_hostname_and_dies_with_its_key() {
    on_sqlite(Worker::Off, |control| async move {
        let (app, other) = (control.application().await, control.application().await);
        let mine = id(&control.connect(&app, "mine.customer.com").await);
        let theirs = id(&control.connect(&app, "theirs.customer.com").await);
        let elsewhere = id(&control.connect(&other, "elsewhere.customer.com").await);
        let body = r#"{"name":"minter","scopes":["connections:read","connections:write"]}"#;
        let made = control.send(KEY, "POST", &format!("/v1/applications/{app}/keys"), body).await.json();
        let minter = made["secret"].as_str().unwrap();
        let token = token(&control, minter, &app, "Mine.Customer.com").await;

        assert_eq!(control.get(&token, &format!("/v1/connections/{mine}")).await.status, 200);
        for hidden in [&theirs, &elsewhere] {
            assert_eq!(control.get(&token, &format!("/v1/connections/{hidden}")).await.status, 404);
            assert_eq!(control.send(&token, "DELETE", &format!("/v1/connections/{hidden}"), "").await.status, 404);
        }
        let listed = control.get(&token, "/v1/connections?limit=1").await.json();
        assert_eq!(
            (&listed["data"][0]["hostname"], &listed["next_cursor"]),
            (&"mine.customer.com".into(), &Value::Null)
        );
        for filter in [format!("application_id={other}"), "hostname=theirs.customer.com".to_owned()] {
            let listed = control.get(&token, &format!("/v1/connections?{filter}")).await.json();
            assert_eq!(listed["data"], Value::Array(Vec::new()), "{filter}");
        }
        for path in ["/v1/applications", "/v1/events", "/v1/webhook-endpoints", "/v1/usage"] {
            assert_eq!(control.get(&token, path).await.status, 401, "{path}");
        }
        let mint = format!(r#"{{"application_id":"{app}"}}"#);
        assert_eq!(control.send(&token, "POST", "/v1/tokens", &mint).await.status, 401);

        let forged = format!("{}x", &token[..token.len() - 1]);
        assert_eq!(control.get(&forged, "/v1/connections").await.status, 401);
        let path = format!("/v1/applications/{app}/keys/{}", id(&made));
        assert_eq!(control.send(KEY, "DELETE", &path, "").await.status, 200);
        assert_eq!(control.get(minter, "/v1/connections").await.status, 401);
        assert_eq!(control.get(&token, "/v1/connections").await.status, 401, "its key is revoked");
        control
    });
}

#[test]
fn a_key_without_a_scope_is_refused_whatever_was_done_before() {
    on_sqlite(Worker::Off, |control| async move {
        let app = control.application().await;
        let body = r#"{"name":"r","scopes":["connections:read"]}"#;
        let made = control.send(KEY, "POST", &format!("/v1/applications/{app}/keys"), body).await.json();
        let reader = made["secret"].as_str().unwrap();
        let create = format!(r#"{{"application_id":"{app}","hostname":"a.customer.com"}}"#);
        let calls = [
            ("POST", "/v1/connections".to_owned(), create.as_str()),
            ("POST", "/v1/applications".to_owned(), r#"{"name":"x"}"#),
            ("GET", "/v1/applications".to_owned(), ""),
            ("PATCH", format!("/v1/applications/{app}"), "{}"),
            ("POST", format!("/v1/applications/{app}/keys"), body),
            ("POST", "/v1/webhook-endpoints".to_owned(), r#"{"url":"http://127.0.0.1:1/"}"#),
            ("GET", "/v1/webhook-endpoints".to_owned(), ""),
            ("POST", "/v1/tokens".to_owned(), &format!(r#"{{"application_id":"{app}"}}"#)),
        ];
        for (method, path, body) in &calls {
            // Even under the key of a request that another key's owner made.
            let auth = |key: &str| format!("Authorization: Bearer {key}");
            let args = |auth: &str| {
                let mut args = vec!["-X".to_owned(), (*method).to_owned(), "-H".to_owned(), auth.to_owned()];
                args.extend(["-H".to_owned(), format!("Idempotency-Key: {method}{path}")]);
                if !body.is_empty() {
                    args.extend(["-d".to_owned(), (*body).to_owned()]);
                }
                args
            };
            for (key, refused) in [(KEY, false), (reader, true)] {
                let args = args(&auth(key));
                let answer = control.curl(path, &args.iter().map(String::as_str).collect::<Vec<_>>()).await;
                assert_eq!(answer.status == 403, refused, "{method} {path}: {answer:?}");
            }
        }
        control
    });
}
