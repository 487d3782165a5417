//! Stopping and upgrading without a failed request.

use std::time::Duration;

use http::StatusCode;
use test_support::{Kind, client::http as client_http, wait};

use crate::stack::{Issuing, Proxying};

#[tokio::test]
async fn a_graceful_stop_lets_requests_in_flight_end() {
    let mut stack = Proxying::start().await;
    stack.origin.hold();
    let mut slow = stack.client().visit(stack.edge.https(), "slow.test").await.unwrap().http().await.unwrap();
    let request = tokio::spawn(async move { slow.get("slow.test", "/hold").await });
    stack.origin.reached(1).await;
    stack.edge.signal("TERM");
    stack.edge.logs("draining").await;
    let address = stack.edge.https();
    wait::until("nothing is accepted any more", async || {
        tokio::net::TcpStream::connect(address).await.is_err().then_some(())
    })
    .await;
    stack.origin.release();
    assert_eq!(request.await.unwrap().unwrap().status(), StatusCode::OK);
    let ended = wait::until("the edge ends", async || stack.edge.exited()).await;
    assert!(ended.success());
    stack.edge.restart().await;
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_a_stop() {
    let mut stack = Proxying::start_with("[limits]\ngraceful_stop = \"60s\"").await;
    let client = stack.client();
    let mut h1 = client.visit(stack.edge.https(), "idle.test").await.unwrap().http().await.unwrap();
    assert_eq!(h1.get("idle.test", "/").await.unwrap().status(), StatusCode::OK);
    let h2 = client.alpn(&["h2"]);
    let mut h2 = h2.visit(stack.edge.https(), "idle.test").await.unwrap().http().await.unwrap();
    assert_eq!(h2.get("idle.test", "/").await.unwrap().status(), StatusCode::OK);
    let stopped = tokio::time::timeout(Duration::from_secs(20), stack.edge.terminate()).await;
    assert!(stopped.expect("idle connections are closed at once").success());
}

#[tokio::test]
async fn an_upgrade_hands_over_the_sockets_without_a_failed_request() {
    let mut stack = Proxying::start().await;
    let client = stack.client().without_resumption();
    let address = stack.edge.https();
    assert_eq!(stack.get("up.test", "/").await.unwrap().status(), StatusCode::OK);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let traffic = tokio::spawn({
        let (client, stop) = (client.clone(), stop.clone());
        async move {
            let mut requests = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let response = client.get(address, "up.test", "/").await;
                assert_eq!(response.expect("no request fails").status(), StatusCode::OK);
                requests += 1;
            }
            requests
        }
    });
    let old = stack.edge.upgrade().await;
    let ended = wait::until("the old process ends", async || old.exited()).await;
    assert!(ended.success());
    for _ in 0..20 {
        assert_eq!(stack.get("up.test", "/").await.unwrap().status(), StatusCode::OK);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let requests = traffic.await.unwrap();
    assert!(requests > 10, "{requests}");
}

#[tokio::test]
async fn an_upgrade_that_fails_to_start_leaves_the_old_process_serving() {
    let mut stack = Proxying::start_with("[limits]\nupgrade_wait = \"2s\"").await;
    let good = std::fs::read_to_string(stack.edge.config_path()).unwrap();
    std::fs::write(stack.edge.config_path(), "nonsense").unwrap();
    stack.edge.signal("QUIT");
    assert_eq!(stack.edge.command(&["run", "--upgrade"]).await.code, 1);
    stack.edge.logs("no new process took over").await;
    std::fs::write(stack.edge.config_path(), good).unwrap();
    assert_eq!(stack.get("still.test", "/").await.unwrap().status(), StatusCode::OK);
    assert!(stack.edge.terminate().await.success());
}

#[tokio::test]
async fn readiness_goes_before_the_listeners_do() {
    let stack = Issuing::start().await;
    stack.origin.hold();
    let mut slow = stack.client();
    slow = slow.alpn(&["http/1.1"]);
    let mut http = slow.visit(stack.edge.https(), "drain.test").await.unwrap().http().await.unwrap();
    let request = tokio::spawn(async move { http.get("drain.test", "/hold").await });
    stack.origin.reached(1).await;
    stack.edge.signal("TERM");
    let ready = format!("http://{}/readyz", stack.edge.admin());
    wait::until("readiness is gone while the drain goes on", async || {
        client_http::get(&ready).await.is_ok_and(|response| response.status() == 503).then_some(())
    })
    .await;
    stack.origin.release();
    assert_eq!(request.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(stack.proxy.accepted(Kind::NewOrder), 1);
}
