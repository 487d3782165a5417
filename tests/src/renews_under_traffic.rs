//! Certificates roll over while requests are served.

use std::time::{Duration, Instant};

use http::StatusCode;
use test_support::PebbleOptions;

use crate::stack::Issuing;

/// Long enough for a 60-second certificate to run out, so that traffic at the end proves that another one is served.
const TRAFFIC: Duration = Duration::from_secs(75);

#[tokio::test]
async fn certificates_of_sixty_seconds_roll_over_under_traffic_without_one_failed_request() {
    let pebble = PebbleOptions { validity: Some(Duration::from_secs(60)), ..PebbleOptions::default() };
    let stack = Issuing::start_with("", pebble).await;
    let client = stack.client();
    let mut leaves = std::collections::BTreeSet::new();
    let mut requests = 0;
    let started = Instant::now();
    while started.elapsed() < TRAFFIC {
        // The client judges validity by the real clock: an expired certificate would fail the handshake.
        let visit = client.visit(stack.edge.https(), "short.test").await.unwrap();
        leaves.insert(visit.leaf().to_vec());
        let response = visit.http().await.unwrap().get("short.test", "/").await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "request {requests}");
        requests += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(leaves.len() >= 2, "{} certificates in {requests} requests", leaves.len());
    assert!(leaves.len() <= 4, "renewals are not made in a rush: {}", leaves.len());
}

#[tokio::test]
async fn a_renewal_happens_with_no_visitor() {
    let pebble = PebbleOptions { validity: Some(Duration::from_secs(30)), ..PebbleOptions::default() };
    let stack = Issuing::start_with("", pebble).await;
    assert_eq!(stack.get("quiet.test", "/").await.unwrap().status(), StatusCode::OK);
    stack.edge.logs("cert.renewed").await;
    assert!(stack.orders("quiet.test") >= 2);
}
