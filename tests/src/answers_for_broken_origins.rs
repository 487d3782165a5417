//! Origins that refuse, hang, reset or talk nonsense get a small, honest answer, and nothing is sent twice.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderValue, StatusCode, header};
use test_support::{BadOrigin, Misbehaviour, Origin, Reply, client::http as client_http, wait};

use crate::stack::Proxying;

const LIMITS: &str = "[limits]\nconnect_timeout = \"3s\"\nresponse_header_timeout = \"3s\"";

#[tokio::test]
async fn a_broken_origin_is_told_apart_from_a_slow_one() {
    let stack = Proxying::start_with(LIMITS).await;
    let cases = [
        ("refuse.test", Misbehaviour::Refuse, StatusCode::BAD_GATEWAY, "origin_broken"),
        ("close.test", Misbehaviour::CloseAtOnce, StatusCode::BAD_GATEWAY, "origin_broken"),
        ("nonsense.test", Misbehaviour::Nonsense, StatusCode::BAD_GATEWAY, "origin_broken"),
        ("reset.test", Misbehaviour::ResetMidHeaders, StatusCode::BAD_GATEWAY, "origin_broken"),
        ("hang.test", Misbehaviour::Hang, StatusCode::GATEWAY_TIMEOUT, "origin_slow"),
        ("drip.test", Misbehaviour::Drips(Duration::from_millis(200)), StatusCode::GATEWAY_TIMEOUT, "origin_slow"),
        ("late.test", Misbehaviour::SlowHeaders(Duration::from_secs(60)), StatusCode::GATEWAY_TIMEOUT, "origin_slow"),
    ];
    let mut counted = BTreeMap::new();
    for (name, how, status, reason) in cases {
        let bad = BadOrigin::start(&stack.host, how).await;
        stack.gate.set(name, Reply::origin(&bad.url()));
        for alpn in ["http/1.1", "h2"] {
            let client = stack.client().alpn(&[alpn]);
            let mut http = client.visit(stack.edge.https(), name).await.unwrap().http().await.unwrap();
            let response = http.get(name, "/").await.unwrap();
            assert_eq!(response.status(), status, "{name} {alpn}");
            let text = String::from_utf8_lossy(response.body()).into_owned();
            assert!(text.contains("<h1"), "{name}: {text}");
            assert!(!text.contains("127."), "an error page tells no address: {text}");
        }
        let counter = format!("namegate_edge_http_faults_total{{reason=\"{reason}\"}}");
        *counted.entry(reason).or_insert(0.0) += 2.0;
        stack.edge.until_metric(&counter, counted[reason]).await;
    }
    assert_eq!(stack.get("fine.test", "/").await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_request_that_was_sent_is_never_sent_again() {
    let stack = Proxying::start_with(LIMITS).await;
    // On a connection that was good before and is cut on the second request, where retrying is most tempting.
    let mut http = stack.client().visit(stack.edge.https(), "once.test").await.unwrap().http().await.unwrap();
    assert_eq!(http.get("once.test", "/").await.unwrap().status(), StatusCode::OK);
    let before = stack.origin.requests();
    let response = http.get("once.test", "/cut").await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(stack.origin.requests() - before, 1);
}

#[tokio::test]
async fn a_response_that_breaks_off_is_not_passed_off_as_whole() {
    let stack = Proxying::start().await;
    for alpn in ["http/1.1", "h2"] {
        let client = stack.client().alpn(&[alpn]);
        let mut http = client.visit(stack.edge.https(), "half.test").await.unwrap().http().await.unwrap();
        let broken = http.get("half.test", "/cut-body").await;
        assert!(broken.is_err(), "{alpn}: {:?}", broken.map(|response| response.body().len()));
    }
}

#[tokio::test]
async fn an_origin_that_does_not_prove_its_name_gets_no_request() {
    let stack = Proxying::start().await;
    let stranger = Origin::start(&stack.host).await;
    stack.gate.set("stranger.test", Reply::origin(&stranger.tls_url()));
    let response = stack.get("stranger.test", "/").await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(stranger.requests(), 0);
    assert_eq!(stack.access_line(502).await["error"], "origin_not_trusted");
    // The right root, but another name than the certificate's.
    let port = stack.origin.tls_url().rsplit(':').next().unwrap().to_owned();
    stack.gate.set("misnamed.test", Reply::origin(&format!("https://127.0.0.1:{port}")));
    assert_eq!(stack.get("misnamed.test", "/").await.unwrap().status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn private_origins_of_the_gate_are_refused_unless_the_operator_allows_them() {
    let stack = Proxying::start_with("[proxy]\nallow_private_origins = false").await;
    let response = stack.get("private.test", "/").await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(stack.origin.connections(), 0);
    assert_eq!(stack.access_line(502).await["error"], "ssrf_blocked");
    // A name that resolves to loopback is refused just so.
    let port = stack.origin.url().rsplit(':').next().unwrap().to_owned();
    stack.gate.set("named.test", Reply::origin(&format!("http://localhost:{port}")));
    assert_eq!(stack.get("named.test", "/").await.unwrap().status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn an_allowed_name_without_an_origin_is_not_found_in_html_or_json() {
    let stack = Proxying::start().await;
    stack.gate.set("bare.test", Reply::AllowEmpty);
    let mut http = stack.client().visit(stack.edge.https(), "bare.test").await.unwrap().http().await.unwrap();
    let html = http.get("bare.test", "/").await.unwrap();
    assert_eq!(html.status(), StatusCode::NOT_FOUND);
    assert_eq!(html.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
    let mut request = http.request("GET", "bare.test", "/", client_http::no_body());
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let json = http.send(request).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(json.body()).unwrap();
    assert_eq!((body["status"].as_u64(), body["error"]["code"].as_str()), (Some(404), Some("not_found")));
}

#[tokio::test]
async fn a_head_that_is_too_large_is_answered_with_431() {
    let stack = Proxying::start_with("[limits]\nrequest_header_bytes = \"8KiB\"").await;
    for alpn in ["http/1.1", "h2"] {
        let client = stack.client().alpn(&[alpn]);
        let mut http = client.visit(stack.edge.https(), "large.test").await.unwrap().http().await.unwrap();
        let mut request = http.request("GET", "large.test", "/", client_http::no_body());
        let filler = HeaderValue::from_str(&"x".repeat(12_000)).unwrap();
        request.headers_mut().insert("x-filler", filler);
        let response = http.send(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "{alpn}");
    }
}

#[tokio::test]
async fn a_stuck_origin_leaves_other_names_alone() {
    let stack = Proxying::start().await;
    stack.gate.set("stuck.test", Reply::origin(&stack.origin.url()));
    let client = stack.client();
    let mut stuck = Vec::new();
    for _ in 0..100 {
        let mut http = client.visit(stack.edge.https(), "stuck.test").await.unwrap().http().await.unwrap();
        stuck.push(tokio::spawn(async move { http.get("stuck.test", "/hang").await.map(|_| ()) }));
    }
    for n in 0..20 {
        let response = tokio::time::timeout(wait::LIMIT, stack.get(&format!("n{n}.test"), "/")).await;
        assert_eq!(response.expect("others do not wait").unwrap().status(), StatusCode::OK);
    }
    for task in stuck {
        task.abort();
    }
}
