//! What pages of other origins may do.

use serde_json::json;

use crate::harness::{Answer, Control, Worker, on_both};

const KEY: &str = "sk_test_demo";
const PAGE: &str = "https://app.acme.example";
const OTHER: &str = "https://other.example";

/// An application whose pages are of this origin, and a token for it.
async fn token(control: &Control, origin: &str) -> (String, String) {
    let body = json!({"name": "App", "allowed_origins": [origin]}).to_string();
    let app = control.send(KEY, "POST", "/v1/applications", &body).await.json()["id"].as_str().unwrap().to_owned();
    let body = json!({"application_id": app}).to_string();
    let made = control.send(KEY, "POST", "/v1/tokens", &body).await;
    (app, made.json()["auth_token"].as_str().unwrap().to_owned())
}

async fn preflight(control: &Control, path: &str, origin: &str) -> Answer {
    let origin = format!("Origin: {origin}");
    let asks = ["-H", "Access-Control-Request-Method: POST", "-H", "Access-Control-Request-Headers: authorization"];
    let answer = control.curl(path, &[&["-X", "OPTIONS", "-H", &origin], &asks[..]].concat()).await;
    assert!(!answer.headers.contains("access-control-allow-credentials"), "{answer:?}");
    answer
}

async fn send(control: &Control, secret: &str, origin: &str, path: &str) -> Answer {
    let (auth, origin) = (format!("Authorization: Bearer {secret}"), format!("Origin: {origin}"));
    control.curl(path, &["-H", &auth, "-H", &origin]).await
}

fn shown_to(answer: &Answer) -> Option<&str> {
    assert!(!answer.headers.contains("access-control-allow-credentials"), "{answer:?}");
    assert!(answer.headers.contains("vary: origin"), "caches must tell pages apart: {answer:?}");
    answer.headers.lines().find_map(|line| line.strip_prefix("access-control-allow-origin: ")).map(str::trim)
}

#[test]
fn a_page_that_the_application_names_may_use_its_token_and_no_other_page() {
    on_both(|control| async move {
        let (app, mine) = token(&control, PAGE).await;
        let (_, theirs) = token(&control, OTHER).await;
        let made = control.connect(&app, "shop.customer.com").await;
        let path = format!("/v1/connections/{}", made["id"].as_str().unwrap());
        for path in ["/v1/connections", &path, &format!("{path}/verify"), &format!("{path}/records:check")] {
            let asked = preflight(&control, path, PAGE).await;
            assert_eq!((asked.status, shown_to(&asked)), (204, Some(PAGE)), "{path}");
            assert!(asked.headers.contains("access-control-allow-headers: authorization, content-type"), "{asked:?}");
            assert!(asked.headers.contains("access-control-allow-methods: get, post, patch, delete"), "{asked:?}");
        }
        for stranger in ["https://evil.example", "http://app.acme.example", "https://app.acme.example:8443", "null"] {
            assert_eq!(shown_to(&preflight(&control, &path, stranger).await), None, "{stranger}");
            assert_eq!(shown_to(&send(&control, &mine, stranger, &path).await), None, "{stranger}");
        }
        let shown = send(&control, &mine, PAGE, &path).await;
        assert_eq!((shown.status, shown_to(&shown)), (200, Some(PAGE)));
        // The question before cannot tell whose token will come; the answer can.
        assert_eq!(shown_to(&preflight(&control, &path, OTHER).await), Some(OTHER));
        assert_eq!(shown_to(&send(&control, &mine, OTHER, &path).await), None);
        assert_eq!(shown_to(&send(&control, &theirs, OTHER, &path).await), Some(OTHER), "a 404, but a readable one");
        control
    });
}

#[test]
fn keys_and_other_routes_are_nothing_for_pages_and_the_end_of_a_token_is_told_to_them() {
    crate::harness::on_sqlite(Worker::Off, |control| async move {
        token(&control, PAGE).await;
        let refused = send(&control, "not.a.token", PAGE, "/v1/connections").await;
        assert_eq!((refused.status, shown_to(&refused)), (401, Some(PAGE)));
        let shown = send(&control, KEY, PAGE, "/v1/connections").await;
        assert_eq!((shown.status, shown_to(&shown)), (200, None), "whoever has a key has a server");
        for path in ["/v1/applications", "/v1/tokens", "/v1/connectionsx", "/internal/ask"] {
            let asked = preflight(&control, path, PAGE).await;
            assert!(!asked.headers.contains("access-control"), "{path}: {asked:?}");
        }
        let plain = control.curl("/v1/connections", &["-X", "OPTIONS"]).await;
        assert_eq!((plain.status, plain.code().as_str()), (405, "method_not_allowed"), "no page asks like this");
        control
    });
}
