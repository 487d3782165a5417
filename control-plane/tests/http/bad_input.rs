//! What must be refused, and how.

use test_support::wait;

use crate::harness::{Worker, on_both, on_sqlite};

const KEY: &str = "sk_test_demo";

#[test]
fn bad_input_is_refused_with_its_place() {
    on_sqlite(Worker::Off, |control| async move {
        let app = control.application().await;
        let create = async |hostname: &str| {
            let body = serde_json::json!({"application_id": app, "hostname": hostname}).to_string();
            control.send(KEY, "POST", "/v1/connections", &body).await
        };
        for hostname in [
            "co.uk",
            "github.io",
            "192.0.2.1",
            "*.customer.com",
            "xn--a.com",
            "a_b.com",
            "localhost",
            "edge.namegate.test",
            "x.edge.namegate.test",
            &format!("{}.com", "a".repeat(64)),
        ] {
            let refused = create(hostname).await;
            assert_eq!((refused.status, refused.code().as_str()), (400, "invalid"), "{hostname}");
            assert_eq!(refused.json()["errors"][0]["pointer"], "/hostname");
            assert!(refused.headers.contains("application/problem+json"));
        }
        let unknown = control.send(KEY, "POST", "/v1/applications", r#"{"name":"a","colour":"blue"}"#).await;
        assert_eq!((unknown.status, &unknown.json()["errors"][0]["pointer"]), (400, &"/colour".into()), "{unknown:?}");
        for body in ["{", "[]", "name=a", "{\"name\":1}", "{}", "{\"name\":\"a\"}x"] {
            assert_eq!(control.send(KEY, "POST", "/v1/applications", body).await.status, 400, "{body}");
        }
        let large = format!(r#"{{"name":"{}"}}"#, "a".repeat(70_000));
        assert_eq!(control.send(KEY, "POST", "/v1/applications", &large).await.status, 413);
        let path = format!("/v1/applications/{app}/keys");
        for scopes in ["[]", r#"["root"]"#] {
            let body = format!(r#"{{"name":"k","scopes":{scopes}}}"#);
            assert_eq!(control.send(KEY, "POST", &path, &body).await.status, 400, "{scopes}");
        }
        assert_eq!(control.get(KEY, "/v1/connections?limit=101").await.status, 400);
        assert_eq!(control.get(KEY, "/v1/connections?cursor=x").await.status, 400);
        assert_eq!(control.get(KEY, "/v1/connections?state=happy").await.status, 400);
        assert_eq!(control.get(KEY, "/v2/nothing").await.code(), "not_found");
        control
    });
}

#[test]
fn keys_do_what_their_scopes_say_and_no_more() {
    on_sqlite(Worker::Off, |control| async move {
        let app = control.application().await;
        let keys = format!("/v1/applications/{app}/keys");
        let made = control.send(KEY, "POST", &keys, r#"{"name":"r","scopes":["connections:read"]}"#).await.json();
        let (reader, id) = (made["secret"].as_str().unwrap(), made["id"].as_str().unwrap());
        let body = format!(r#"{{"application_id":"{app}","hostname":"a.customer.com"}}"#);
        let refused = control.send(reader, "POST", "/v1/connections", &body).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "forbidden"));
        assert_eq!(
            control.send(reader, "POST", &keys, r#"{"name":"x","scopes":["connections:read"]}"#).await.status,
            403
        );
        assert_eq!(control.get(reader, "/v1/connections").await.status, 200);
        assert!(!control.get(KEY, &keys).await.text.contains(reader));
        assert_eq!(control.send(KEY, "DELETE", &format!("{keys}/{id}"), "").await.status, 200);
        assert_eq!(control.get(reader, "/v1/connections").await.status, 401);
        assert_eq!(control.curl("/v1/connections", &[]).await.code(), "unauthorized");

        let body = format!(r#"{{"application_id":"{app}","domain":"a.customer.com"}}"#);
        let token = control.send(KEY, "POST", "/v1/tokens", &body).await.json();
        let token = token["auth_token"].as_str().unwrap();
        let create = async |hostname: &str| {
            let body = format!(r#"{{"application_id":"{app}","hostname":"{hostname}"}}"#);
            control.send(token, "POST", "/v1/connections", &body).await.status
        };
        assert_eq!(create("b.customer.com").await, 403);
        assert_eq!(create("a.customer.com").await, 201);
        assert_eq!(control.get(token, "/v1/applications").await.status, 401);
        control
    });
}

#[test]
fn a_database_that_goes_away_is_a_503_and_nothing_is_lost() {
    on_both(|control| async move {
        let Some(postgres) = &control.postgres else { return control };
        let app = control.application().await;
        control.connect(&app, "a.customer.com").await;
        postgres.stop();
        let away = control.get(KEY, "/v1/connections").await;
        assert_eq!((away.status, away.code().as_str()), (503, "unavailable"), "{away:?}");
        assert!(away.headers.contains("retry-after"));
        assert_eq!(control.curl("/internal/ask?domain=a.customer.com", &[]).await.status, 503);
        assert_eq!(control.curl("/readyz", &[]).await.status, 503);
        assert_eq!(control.curl("/livez", &[]).await.status, 200);
        postgres.resume().await;
        let back = async || Some(control.get(KEY, "/v1/connections").await).filter(|answer| answer.status == 200);
        let back = wait::until("it is back", back).await;
        assert_eq!(back.json()["data"][0]["hostname"], "a.customer.com", "{back:?}");
        control
    });
}
