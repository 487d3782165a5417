//! An origin that fails is left alone for a while, and nobody else's requests wait for it.

use std::time::Duration;

use http::{StatusCode, header};
use test_support::{BadOrigin, Misbehaviour, Reply, wait};

use crate::stack::Proxying;

/// Nothing is tried again within a test.
const OPEN_FOR_LONG: &str = "breaker_pause = \"1h\"\nbreaker_window = \"1h\"";

#[tokio::test]
async fn an_origin_that_fails_is_not_asked_any_more() {
    let stack = Proxying::start_with(&format!("[limits]\n{OPEN_FOR_LONG}")).await;
    let bad = BadOrigin::start(&stack.host, Misbehaviour::CloseAtOnce).await;
    stack.gate.set("bad.test", Reply::origin(&bad.url()));
    stack.gate.set("same-origin.test", Reply::origin(&bad.url()));
    for _ in 0..20 {
        assert_eq!(stack.get("bad.test", "/").await.unwrap().status(), StatusCode::BAD_GATEWAY);
    }
    let asked = bad.connections();
    for name in ["bad.test", "same-origin.test"] {
        let paused = stack.get(name, "/").await.unwrap();
        assert_eq!(paused.status(), StatusCode::SERVICE_UNAVAILABLE, "{name}");
        assert!(paused.headers().contains_key(header::RETRY_AFTER));
    }
    assert_eq!(stack.access_line(503).await["error"], "origin_paused");
    assert_eq!(bad.connections(), asked);
    assert_eq!(stack.get("good.test", "/").await.unwrap().status(), StatusCode::OK);
    stack.edge.until_metric("namegate_edge_http_faults_total{reason=\"origin_paused\"}", 2.0).await;
}

#[tokio::test]
async fn a_stuck_origin_costs_its_visitors_no_wait_and_others_nothing() {
    let limits = format!("[limits]\nresponse_header_timeout = \"300ms\"\nbreaker_exchanges = 5\n{OPEN_FOR_LONG}");
    let stack = Proxying::start_with(&limits).await;
    let stuck = BadOrigin::start(&stack.host, Misbehaviour::Hang).await;
    stack.gate.set("stuck.test", Reply::origin(&stuck.url()));
    for _ in 0..5 {
        assert_eq!(stack.get("stuck.test", "/").await.unwrap().status(), StatusCode::GATEWAY_TIMEOUT);
    }
    let asked = stuck.connections();
    for round in 0..20 {
        assert_eq!(stack.get("stuck.test", "/").await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        let other = stack.get(&format!("other{round}.test"), "/").await.unwrap();
        assert_eq!(other.status(), StatusCode::OK);
    }
    assert_eq!(stuck.connections(), asked, "no request waited for it");
}

#[tokio::test]
async fn an_origin_that_is_back_is_found_by_a_probe() {
    let stack = Proxying::start_with("[limits]\nbreaker_exchanges = 3\nbreaker_pause = \"50ms\"").await;
    for _ in 0..3 {
        stack.get("a.test", "/cut").await.unwrap();
    }
    wait::until("its requests are served again", async || {
        (stack.get("a.test", "/").await.unwrap().status() == StatusCode::OK).then_some(())
    })
    .await;
    for _ in 0..10 {
        assert_eq!(stack.get("a.test", "/").await.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn what_a_site_answers_is_its_own_affair() {
    let stack = Proxying::start_with(&format!("[limits]\nbreaker_exchanges = 3\n{OPEN_FOR_LONG}")).await;
    for status in [500, 502, 503, 504, 500, 500] {
        let response = stack.get("a.test", &format!("/status/{status}")).await.unwrap();
        assert_eq!(response.status(), status);
    }
    assert_eq!(stack.get("a.test", "/").await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn visitors_that_leave_do_not_count_against_an_origin() {
    let stack = Proxying::start_with(&format!("[limits]\nbreaker_exchanges = 2\n{OPEN_FOR_LONG}")).await;
    for n in 1..=5 {
        let mut raw = stack.raw("a.test").await;
        raw.send("GET /hang HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
        wait::until("the origin has the request", async || (stack.origin.requests() >= n).then_some(())).await;
        drop(raw);
        // Its line in the log: the exchange is over.
        wait::until("the exchange is over", async || {
            (stack.edge.log().matches("\"uri\":\"/hang\"").count() >= n).then_some(())
        })
        .await;
    }
    let response = tokio::time::timeout(Duration::from_secs(60), stack.get("a.test", "/")).await;
    assert_eq!(response.unwrap().unwrap().status(), StatusCode::OK);
}
