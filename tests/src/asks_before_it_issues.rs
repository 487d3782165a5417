//! The gate stands before every certificate, and its outages cost known names nothing.

use futures::future::join_all;
use http::StatusCode;
use rustls::AlertDescription;
use test_support::{Kind, Reply};

use crate::stack::{Issuing, Proxying};

#[tokio::test]
async fn a_denied_name_costs_one_question_and_no_order() {
    let stack = Issuing::start().await;
    stack.gate.set("denied.test", Reply::Deny);
    let visits = join_all((0..50).map(|_| stack.get("denied.test", "/"))).await;
    for visit in visits {
        assert_eq!(visit.unwrap_err().alert(), Some(AlertDescription::UnrecognisedName));
    }
    assert_eq!(stack.gate.asked("denied.test"), 1);
    assert_eq!(stack.proxy.count(Kind::NewOrder), 0);
}

#[tokio::test]
async fn while_the_gate_is_down_known_names_are_served_and_unknown_ones_refused() {
    let mut stack = Issuing::start_with("[limits]\nask_allow_ttl = \"1s\"", Default::default()).await;
    assert_eq!(stack.get("known.test", "/").await.unwrap().status(), StatusCode::OK);
    stack.gate.stop().await;
    // A restart forgets what was in memory; the last answer and the certificate are on disk.
    assert!(stack.edge.terminate().await.success());
    stack.edge.restart().await;
    assert_eq!(stack.get("known.test", "/").await.unwrap().status(), StatusCode::OK);
    let unknown = stack.get("unknown.test", "/").await.unwrap_err();
    assert_eq!(unknown.alert(), Some(AlertDescription::InternalError));
    assert_eq!(stack.orders("known.test"), 1);
    assert_eq!(stack.orders("unknown.test"), 0);
}

#[tokio::test]
async fn an_outage_of_the_gate_never_leads_to_an_order_for_a_name_without_certificate() {
    let mut stack = Issuing::start_with("[limits]\nask_allow_ttl = \"1s\"", Default::default()).await;
    // Allowed once, but the order failed, so no certificate is kept.
    stack.pebble.dns().set_a("half.test", &["127.255.255.254".parse().unwrap()]).await;
    assert!(stack.get("half.test", "/").await.is_err());
    let orders = stack.proxy.count(Kind::NewOrder);
    stack.gate.stop().await;
    stack.edge.restart().await;
    assert_eq!(stack.get("half.test", "/").await.unwrap_err().alert(), Some(AlertDescription::InternalError));
    assert_eq!(stack.proxy.count(Kind::NewOrder), orders);
}

#[tokio::test]
async fn an_ask_endpoint_that_misbehaves_stops_nothing() {
    let stack = Proxying::start_with("[ask]\ntimeout = \"3s\"").await;
    let replies = [
        ("garbage.test", Reply::Allow(serde_json::json!({"origin": "not a url"}))),
        ("huge.test", Reply::Huge),
        ("redirect.test", Reply::Redirect("http://127.0.0.1:1/".to_owned())),
        ("close.test", Reply::Close),
        ("hang.test", Reply::Hang),
        ("broken.test", Reply::Status(500)),
        ("other.test", Reply::Allow(serde_json::json!({"hostname": "elsewhere.test"}))),
    ];
    for (name, reply) in replies {
        stack.gate.set(name, reply);
        let refused = stack.get(name, "/").await.unwrap_err();
        assert_eq!(refused.alert(), Some(AlertDescription::InternalError), "{name}");
    }
    assert_eq!(stack.get("fine.test", "/").await.unwrap().status(), StatusCode::OK);
    assert!(stack.edge.exited().is_none());
}

#[tokio::test]
async fn a_caddy_style_answer_without_a_body_uses_the_default_origin() {
    let mut stack = Proxying::start().await;
    let url = stack.origin.url();
    stack.edge.configure(|options| *options = options.clone().default_origin_url(&url));
    stack.edge.restart().await;
    stack.gate.set("empty.test", Reply::AllowEmpty);
    stack.gate.set("text.test", Reply::Garbage);
    assert_eq!(stack.get("empty.test", "/").await.unwrap().status(), StatusCode::OK);
    assert_eq!(stack.get("text.test", "/").await.unwrap().status(), StatusCode::OK);
}
