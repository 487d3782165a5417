//! The quickstart, step by step.

use serde_json::Value;
use test_support::wait;

use crate::harness::{Worker, on_both, on_sqlite};

#[test]
fn the_quickstart_leads_from_an_application_to_a_live_name() {
    on_both(|control| async move {
        let json = ["-H", "Content-Type: application/json"];
        let demo = "Authorization: Bearer sk_test_demo";
        let body = r#"{"name":"Acme Sites","allowed_origins":["https://app.acme.example"]}"#;
        let app = control.curl("/v1/applications", &["-X", "POST", "-H", demo, json[0], json[1], "-d", body]).await;
        assert_eq!(app.status, 201, "{app:?}");
        let app = app.json()["id"].as_str().unwrap().to_owned();

        let body = r#"{"name":"server-prod","scopes":["connections:read","connections:write"]}"#;
        let key = control.send("sk_test_demo", "POST", &format!("/v1/applications/{app}/keys"), body).await;
        assert_eq!(key.status, 201, "{key:?}");
        let key = key.json()["secret"].as_str().unwrap().to_owned();

        let body = format!(r#"{{"application_id":"{app}","hostname":"app.customer.com"}}"#);
        let made = control.send(&key, "POST", "/v1/connections", &body).await;
        assert_eq!(made.status, 201, "{made:?}");
        let made = made.json();
        assert_eq!(made["state"], "pending_ownership");
        assert_eq!(made["jobId"], made["id"]);
        assert_eq!(made["ownership_challenge"]["name"], "_customdomain-challenge.app.customer.com");
        assert_eq!(made["ownership_challenge"]["type"], "TXT");
        assert!(made["ownership_challenge"]["value"].as_str().unwrap().starts_with("cd-verify-"));
        let id = made["id"].as_str().unwrap();

        let early = control.send(&key, "POST", &format!("/v1/connections/{id}/verify"), "").await;
        assert_eq!((early.status, early.code().as_str()), (409, "ownership_not_found"), "{early:?}");
        assert_eq!(early.json()["error"]["details"]["reason_code"], "challenge_missing");
        let asked = control.curl("/internal/ask?domain=app.customer.com", &[]).await;
        assert_eq!(asked.status, 403);

        control.publish(&made).await;
        let verified = control.send(&key, "POST", &format!("/v1/connections/{id}/verify"), "").await;
        assert_eq!(verified.status, 200, "{verified:?}");
        assert_eq!(verified.json()["state"], "verified");
        let asked = control.curl("/internal/ask?domain=app.customer.com", &[]).await;
        assert_eq!(asked.status, 200, "{asked:?}");

        let checked = control.send(&key, "POST", &format!("/v1/connections/{id}/records:check"), "").await;
        assert_eq!(checked.status, 200, "{checked:?}");
        let checked = checked.json();
        assert_eq!(checked["records"][0]["propagated"], true, "{checked}");
        assert_eq!(checked["state"], "issuing_cert");
        control.report("app.customer.com").await;
        let live = control.get(&key, &format!("/v1/connections/{id}")).await.json();
        assert_eq!((&live["state"], &live["certificate"]["status"]), (&"live".into(), &"valid".into()), "{live}");

        let events = control.get("sk_test_demo", "/v1/events").await.json();
        let kinds: Vec<&str> =
            events["data"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["domain.verified", "ssl.issued", "domain.flow.completed"]);

        let listed = control.get(&key, "/v1/connections?state=live&hostname=app.customer.com").await.json();
        assert_eq!(listed["data"][0]["id"], *id);
        assert_eq!(control.get(&key, "/v1/connections?state=drifted").await.json()["data"], Value::Array(vec![]));

        let gone = control.send(&key, "DELETE", &format!("/v1/connections/{id}"), "").await;
        assert_eq!((gone.status, &gone.json()["state"]), (200, &"archived".into()));
        assert_eq!(control.curl("/internal/ask?domain=app.customer.com", &[]).await.status, 403);
        control
    });
}

#[test]
fn the_worker_does_what_the_verbs_do_without_being_called() {
    on_sqlite(Worker::On, |control| async move {
        let app = control.application().await;
        let made = control.connect(&app, "shop.customer.com").await;
        control.publish(&made).await;
        let path = format!("/v1/connections/{}", made["id"].as_str().unwrap());
        let state = async || control.get("sk_test_demo", &path).await.json()["state"].as_str().unwrap().to_owned();
        wait::until("the worker has verified it", async || (state().await != "pending_ownership").then_some(())).await;
        wait::until("it points here", async || (state().await == "issuing_cert").then_some(())).await;
        control.report("shop.customer.com").await;
        assert_eq!(state().await, "live");
        control
    });
}

#[test]
fn a_request_under_an_idempotency_key_is_done_once() {
    on_both(|control| async move {
        let app = control.application().await;
        let auth = "Authorization: Bearer sk_test_demo";
        let key = "Idempotency-Key: one";
        let send = async |hostname: &str| {
            let body = format!(r#"{{"application_id":"{app}","hostname":"{hostname}"}}"#);
            control.curl("/v1/connections", &["-X", "POST", "-H", auth, "-H", key, "-d", &body]).await
        };
        let first = send("a.customer.com").await;
        let again = send("a.customer.com").await;
        assert_eq!((first.status, again.status), (201, 201));
        assert_eq!(first.text, again.text);
        assert!(again.headers.contains("idempotent-replayed: true"), "{again:?}");
        let other = send("b.customer.com").await;
        assert_eq!((other.status, other.code().as_str()), (422, "idempotency_key_reused"));
        control
    });
}
