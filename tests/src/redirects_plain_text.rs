//! Port 80: challenges of orders in flight, and the way to HTTPS.

use http::{StatusCode, header};
use test_support::{Kind, client::http as client_http};

use crate::stack::{Issuing, Proxying};

#[tokio::test]
async fn plain_text_is_sent_to_https_with_its_path() {
    let stack = Proxying::start().await;
    let mut http = client_http::Http::connect(stack.edge.http()).await.unwrap();
    let response = http.get("Shop.Customer.test", "/a?b=c").await.unwrap();
    assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(response.headers()[header::LOCATION], "https://shop.customer.test/a?b=c");
    // A visitor that names a port has not come through a mapping to 80.
    let response = http.get("shop.customer.test:8000", "/").await.unwrap();
    assert_eq!(response.headers()[header::LOCATION], "https://shop.customer.test:8443/");
    assert_eq!(http.get("127.0.0.1", "/").await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(stack.gate.asked_in_all(), 0);
}

#[tokio::test]
async fn an_unknown_challenge_costs_no_question_and_no_storage() {
    let stack = Issuing::start().await;
    let mut http = client_http::Http::connect(stack.edge.http()).await.unwrap();
    let reads = store_reads(&stack).await;
    for n in 0..50 {
        let response = http.get("shop.test", &format!("/.well-known/acme-challenge/token{n}")).await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
    }
    assert_eq!(stack.gate.asked_in_all(), 0);
    let answered = stack.edge.metric("namegate_edge_plain_requests_total{answer=\"unknown_challenge\"}").await;
    assert_eq!(answered, 50.0);
    assert_eq!(store_reads(&stack).await, reads);
}

/// Looks at entries of the store; health checks list a folder, which is not one.
async fn store_reads(stack: &Issuing) -> f64 {
    let count = async |op: &str| {
        stack.edge.metric(&format!("namegate_edge_store_operation_duration_seconds_count{{op=\"{op}\"}}")).await
    };
    count("load").await + count("read").await
}

#[tokio::test]
async fn http_01_is_answered_when_tls_alpn_01_cannot_be() {
    // Validation over TLS goes to a port where nothing listens, so only HTTP-01 can succeed.
    let pebble = test_support::PebbleOptions { tls_port: 9, ..Default::default() };
    let stack = Issuing::start_with("", pebble).await;
    assert_eq!(stack.get("http01.test", "/").await.unwrap().status(), StatusCode::OK);
    assert!(stack.edge.metric("namegate_edge_plain_requests_total{answer=\"challenge\"}").await >= 1.0);
    // The next name goes straight to what has worked.
    let before = stack.proxy.accepted(Kind::NewOrder);
    assert_eq!(stack.get("next.test", "/").await.unwrap().status(), StatusCode::OK);
    assert_eq!(stack.proxy.accepted(Kind::NewOrder) - before, 1);
}
