//! What is on disk is enough: no restart and no crash costs a second certificate.

use http::StatusCode;
use rustls::AlertDescription;
use test_support::{Kind, Reply};

use crate::stack::{Issuing, Proxying};

#[tokio::test]
async fn a_restart_serves_everything_from_disk_with_no_new_order() {
    let mut stack = Issuing::start().await;
    for name in ["a.test", "b.test", "c.test"] {
        assert_eq!(stack.get(name, "/").await.unwrap().status(), StatusCode::OK);
    }
    stack.edge.kill9();
    stack.edge.restart().await;
    for name in ["a.test", "b.test", "c.test"] {
        assert_eq!(stack.get(name, "/").await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(stack.proxy.accepted(Kind::NewOrder), 3);
    assert_eq!(stack.proxy.accepted(Kind::NewAccount), 1);
}

/// Kills the edge while the CA has been asked for `kind`; in the end the CA has made one certificate. Returns the orders.
async fn killed_at(kind: Kind) -> usize {
    let mut stack = Issuing::start().await;
    let name = "crash.test";
    stack.proxy.hold_answer(kind);
    tokio::select! {
        _ = stack.get(name, "/") => panic!("the answer is held"),
        () = stack.proxy.answer_reached(kind) => {}
    }
    stack.edge.kill9();
    stack.proxy.release();
    stack.proxy.clear(kind);
    stack.edge.restart().await;
    assert_eq!(stack.get(name, "/").await.unwrap().status(), StatusCode::OK);
    assert_eq!(stack.proxy.accepted(Kind::Finalize), 1, "one certificate after kill -9 at {kind:?}");
    stack.proxy.accepted(Kind::NewOrder)
}

#[tokio::test]
async fn a_crash_during_validation_leads_to_no_second_certificate() {
    // The CA looks for the challenge while nobody is there to answer it, so this order may be lost.
    let orders = killed_at(Kind::Challenge).await;
    assert!(orders <= 2, "{orders}");
}

#[tokio::test]
async fn a_crash_after_finalize_leads_to_no_second_certificate() {
    assert_eq!(killed_at(Kind::Finalize).await, 1);
}

#[tokio::test]
async fn a_crash_before_the_chain_is_stored_leads_to_no_second_certificate() {
    assert_eq!(killed_at(Kind::Certificate).await, 1);
}

#[tokio::test]
async fn an_order_cut_off_by_a_crash_is_finished_without_a_visitor() {
    let mut stack = Issuing::start().await;
    stack.proxy.hold_answer(Kind::Finalize);
    tokio::select! {
        _ = stack.get("alone.test", "/") => panic!("the answer is held"),
        () = stack.proxy.answer_reached(Kind::Finalize) => {}
    }
    stack.edge.kill9();
    stack.proxy.release();
    stack.proxy.clear(Kind::Finalize);
    stack.edge.restart().await;
    stack.edge.logs("cert.issued").await;
    assert_eq!(stack.proxy.accepted(Kind::NewOrder), 1);
}

#[tokio::test]
async fn broken_store_entries_are_reported_and_stop_nothing() {
    let mut stack = Proxying::start().await;
    for name in ["broken.test", "mismatched.test", "unreadable.test", "sound.test"] {
        assert_eq!(stack.get(name, "/").await.unwrap().status(), StatusCode::OK);
    }
    let listed = stack.edge.command(&["certs", "list", "--format", "json"]).await;
    let rows: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    let issuer = stack.edge.storage().join("certificates").join(rows[0]["issuer"].as_str().unwrap());
    let file = |name: &str, kind: &str| issuer.join(name).join(format!("{name}.{kind}"));
    std::fs::write(file("broken.test", "crt"), "-----BEGIN CERTIFICATE-----\nnonsense\n").unwrap();
    std::fs::copy(file("sound.test", "key"), file("mismatched.test", "key")).unwrap();
    std::fs::remove_file(file("unreadable.test", "key")).unwrap();
    std::fs::create_dir(file("unreadable.test", "key")).unwrap();
    stack.edge.restart().await;
    for (count, name) in (1..).zip(["broken.test", "mismatched.test", "unreadable.test"]) {
        // A store error is never "not found", so nothing is ordered over it.
        let refused = stack.get(name, "/").await.unwrap_err();
        assert_eq!(refused.alert(), Some(AlertDescription::InternalError), "{name}");
        let counter = "namegate_edge_connection_ends_total{reason=\"store_failed\"}";
        stack.edge.until_metric(counter, f64::from(count)).await;
        stack.edge.logs(&format!("/{name}")).await;
    }
    assert_eq!(stack.get("sound.test", "/").await.unwrap().status(), StatusCode::OK);
    stack.edge.until_metric("namegate_edge_store_broken_entries_total", 2.0).await;
    stack.edge.logs("broken.test.crt").await;
}

#[tokio::test]
async fn a_deleted_name_is_refused_once_its_answer_has_run_out() {
    let stack = Proxying::start().await;
    let short = |origin: &str| Reply::Allow(serde_json::json!({"origin": origin, "ttl_seconds": 1}));
    stack.gate.set("gone.test", short(&stack.origin.url()));
    assert_eq!(stack.get("gone.test", "/").await.unwrap().status(), StatusCode::OK);
    stack.gate.set("gone.test", Reply::Deny);
    test_support::wait::until("the name is refused", async || stack.get("gone.test", "/").await.is_err().then_some(()))
        .await;
}

mod alone {
    use std::time::{Duration, Instant};

    use test_support::wait;
    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn killed_under_load_it_serves_again_within_a_second_and_orders_nothing() {
        const NAMES: [&str; 3] = ["a.test", "b.test", "c.test"];
        let mut stack = Issuing::start().await;
        for name in NAMES {
            assert_eq!(stack.get(name, "/").await.unwrap().status(), StatusCode::OK);
        }
        let (client, https) = (stack.client(), stack.edge.https());
        let mut visitors = JoinSet::new();
        for name in NAMES {
            let client = client.clone();
            visitors.spawn(async move {
                loop {
                    // What is in flight at a kill is lost; that nothing else is, is not for these to say.
                    if client.get(https, name, "/").await.is_err() {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            });
        }
        let before = stack.origin.requests();
        wait::until("there is load", async || (stack.origin.requests() > before + 100).then_some(())).await;
        stack.edge.kill9();
        let killed = Instant::now();
        stack.edge.launch();
        wait::until("it serves again", async || client.get(https, "b.test", "/").await.ok()).await;
        let took = killed.elapsed();
        assert!(took <= Duration::from_secs(1), "{took:?}");
        visitors.shutdown().await;
        for name in NAMES {
            assert_eq!(stack.get(name, "/").await.unwrap().status(), StatusCode::OK);
        }
        assert_eq!(stack.proxy.accepted(Kind::NewOrder), NAMES.len());
    }
}
