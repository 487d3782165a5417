//! Webhook endpoints through the API: who may, what is refused, and what is never shown again.

use serde_json::json;

use crate::harness::{Answer, Control, Worker, on_both, on_sqlite};

const PATH: &str = "/v1/webhook-endpoints";
const URL: &str = "http://127.0.0.1:9/in";

async fn endpoint(control: &Control) -> Answer {
    let made =
        control.send("sk_test_demo", "POST", PATH, &json!({"url": URL, "events": ["ssl.issued"]}).to_string()).await;
    assert_eq!(made.status, 201, "{made:?}");
    made
}

#[test]
fn a_secret_is_shown_when_it_is_made_and_never_again() {
    on_both(|control| async move {
        let made = endpoint(&control).await.json();
        let secret = made["signing_secret"].as_str().unwrap();
        assert!(secret.starts_with("whsec_") && secret.len() == 38, "{secret}");
        let one = format!("{PATH}/{}", made["id"].as_str().unwrap());
        for path in [PATH, &one] {
            let shown = control.get("sk_test_demo", path).await;
            assert_eq!(shown.status, 200);
            assert!(!shown.text.contains("whsec_") && !shown.text.contains("sealed"), "{}", shown.text);
        }
        let rotated = control.send("sk_test_demo", "POST", &format!("{one}/secret:rotate"), "").await;
        assert_eq!(rotated.status, 200, "{rotated:?}");
        assert_ne!(rotated.json()["signing_secret"], secret);
        assert!(rotated.json()["former_secret_until"].is_string());
        assert!(!control.get("sk_test_demo", &one).await.text.contains("whsec_"));
        control
    });
}

#[test]
fn an_endpoint_can_be_changed_switched_off_and_on_and_deleted() {
    on_both(|control| async move {
        let id = endpoint(&control).await.json()["id"].as_str().unwrap().to_owned();
        let one = format!("{PATH}/{id}");
        let change = async |body| control.send("sk_test_demo", "PATCH", &one, body).await;
        let off = change(r#"{"enabled":false,"url":"http://127.0.0.1:9/other","events":[]}"#).await.json();
        assert_eq!((&off["enabled"], &off["disabled_reason"]), (&false.into(), &"asked".into()), "{off}");
        assert_eq!((&off["url"], &off["events"]), (&"http://127.0.0.1:9/other".into(), &json!([])));
        let on = change(r#"{"enabled":true}"#).await.json();
        assert_eq!((&on["enabled"], &on["disabled_reason"], &on["url"]), (&true.into(), &json!(null), &off["url"]));
        assert_eq!(control.send("sk_test_demo", "DELETE", &one, "").await.status, 204);
        for (method, path) in [("GET", one.clone()), ("DELETE", one.clone()), ("POST", format!("{one}/secret:rotate"))]
        {
            let gone = control.send("sk_test_demo", method, &path, "").await;
            assert_eq!((gone.status, gone.code().as_str()), (404, "not_found"), "{method}");
        }
        control
    });
}

#[test]
fn a_replay_to_an_endpoint_that_is_off_is_refused() {
    on_both(|control| async move {
        let made = control.send("sk_test_demo", "POST", PATH, &json!({"url": URL}).to_string()).await.json();
        let application = control.application().await;
        let connection = control.connect(&application, "shop.customer.com").await;
        let path = format!("/v1/connections/{}", connection["id"].as_str().unwrap());
        assert_eq!(control.send("sk_test_demo", "DELETE", &path, "").await.status, 200);
        let listed = control.get("sk_test_demo", "/v1/webhook-deliveries").await.json();
        let delivery = &listed["data"][0];
        assert_eq!(
            (&delivery["type"], &delivery["status"]),
            (&"domain.archived".into(), &"pending".into()),
            "{listed}"
        );
        let replay = format!("/v1/webhook-deliveries/{}/replay", delivery["id"].as_str().unwrap());
        let again = control.send("sk_test_demo", "POST", &replay, "").await;
        assert_eq!((again.status, &again.json()["replay_of"]), (202, &delivery["id"]), "{again:?}");
        let one = format!("{PATH}/{}", made["id"].as_str().unwrap());
        assert_eq!(control.send("sk_test_demo", "PATCH", &one, r#"{"enabled":false}"#).await.status, 200);
        let refused = control.send("sk_test_demo", "POST", &replay, "").await;
        assert_eq!((refused.status, refused.code().as_str()), (409, "endpoint_disabled"), "{refused:?}");
        let listed = control.get("sk_test_demo", "/v1/webhook-deliveries?status=pending").await.json();
        assert_eq!(listed["data"], json!([]), "what waited is given up");
        control
    });
}

#[test]
fn bad_endpoints_are_refused_with_the_place_of_the_mistake() {
    on_sqlite(Worker::Off, |control| async move {
        let cases = [
            (r#"{"url":"hooks.customer.com"}"#, "/url"),
            (r#"{"url":"ftp://hooks.customer.com"}"#, "/url"),
            (r#"{"url":"https://u:p@hooks.customer.com"}"#, "/url"),
            (r#"{"url":"https://hooks.customer.com","events":["ssl.issued","ssl.isued"]}"#, "/events/1"),
        ];
        for (body, pointer) in cases {
            let refused = control.send("sk_test_demo", "POST", PATH, body).await;
            assert_eq!((refused.status, refused.code().as_str()), (400, "invalid"), "{body}");
            assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{body}");
        }
        for body in [r#"{"events":[]}"#, r#"{"url":"https://hooks.customer.com","secret":"mine"}"#, "{", "[]"] {
            assert_eq!(control.send("sk_test_demo", "POST", PATH, body).await.status, 400, "{body}");
        }
        control
    });
}

#[test]
fn a_key_without_the_scope_may_nothing_and_learns_nothing() {
    on_sqlite(Worker::Off, |control| async move {
        let one = format!("{PATH}/{}", endpoint(&control).await.json()["id"].as_str().unwrap());
        let application = control.application().await;
        let body = r#"{"name":"reader","scopes":["connections:read","connections:write"]}"#;
        let key = control.send("sk_test_demo", "POST", &format!("/v1/applications/{application}/keys"), body).await;
        let key = key.json()["secret"].as_str().unwrap().to_owned();
        let make = json!({"url": URL}).to_string();
        let rotate = format!("{one}/secret:rotate");
        for (method, path, body) in [
            ("POST", PATH, &*make),
            ("GET", PATH, ""),
            ("GET", &one, ""),
            ("PATCH", &one, r#"{"enabled":false}"#),
            ("DELETE", &one, ""),
            ("POST", &rotate, ""),
            ("GET", "/v1/webhook-deliveries", ""),
        ] {
            let refused = control.send(&key, method, path, body).await;
            assert_eq!((refused.status, refused.code().as_str()), (403, "forbidden"), "{method} {path}");
        }
        control
    });
}
