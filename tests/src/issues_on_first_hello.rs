//! A first visit to a verified hostname gets its certificate and reaches its origin.

use std::time::Duration;

use futures::future::join_all;
use http::StatusCode;
use rustls::AlertDescription;
use test_support::{
    Echo, Kind, PebbleOptions,
    client::{Curl, SClient},
};

use crate::stack::Issuing;

#[tokio::test]
async fn a_first_hello_issues_and_the_second_is_served_from_memory() {
    let stack = Issuing::start().await;
    let first = stack.get("shop.customer.test", "/hello?a=b").await.unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(Echo::parse(first.body()).target, "/hello?a=b");
    let second = stack.get("shop.customer.test", "/").await.unwrap();
    assert_eq!(second.status(), StatusCode::OK);
    assert_eq!(stack.orders("shop.customer.test"), 1);
    assert_eq!(stack.gate.asked("shop.customer.test"), 1);
}

#[tokio::test]
async fn a_second_hello_joins_the_first_order() {
    let stack = Issuing::start().await;
    stack.proxy.hold(Kind::Finalize);
    let both = async { tokio::join!(stack.get("a.customer.test", "/"), stack.get("a.customer.test", "/")) };
    let release = async {
        stack.proxy.reached(Kind::Finalize).await;
        stack.edge.until_metric("namegate_edge_connections_accepted_total", 2.0).await;
        stack.proxy.release();
    };
    let ((first, second), ()) = tokio::join!(both, release);
    assert_eq!((first.unwrap().status(), second.unwrap().status()), (StatusCode::OK, StatusCode::OK));
    assert_eq!(stack.orders("a.customer.test"), 1);
}

#[tokio::test]
async fn a_thousand_hellos_at_once_for_one_new_name_make_one_order_and_all_succeed() {
    let stack = Issuing::start_with("[limits]\ncertificate_wait = \"60s\"", PebbleOptions::default()).await;
    stack.proxy.hold(Kind::NewOrder);
    let client = stack.client();
    let visits = join_all((0..1000).map(|_| client.visit(stack.edge.https(), "busy.customer.test")));
    let release = async {
        stack.edge.until_metric("namegate_edge_connections_accepted_total", 1000.0).await;
        stack.proxy.release();
    };
    let (visits, ()) = tokio::join!(visits, release);
    let failed: Vec<_> = visits.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{} failed: {:?}", failed.len(), failed.first());
    assert_eq!(stack.orders("busy.customer.test"), 1);
    assert_eq!(stack.gate.asked("busy.customer.test"), 1);
}

#[tokio::test]
async fn an_order_that_takes_too_long_ends_the_handshake_by_the_limit_and_goes_on() {
    let stack = Issuing::start_with("[limits]\ncertificate_wait = \"1s\"", PebbleOptions::default()).await;
    stack.proxy.hold(Kind::Finalize);
    let refused = stack.get("slow.customer.test", "/").await.unwrap_err();
    assert_eq!(refused.alert(), Some(AlertDescription::InternalError));
    stack.proxy.release();
    stack.edge.logs("cert.issued").await;
    let next = stack.get("slow.customer.test", "/").await.unwrap();
    assert_eq!(next.status(), StatusCode::OK);
    assert_eq!(stack.orders("slow.customer.test"), 1);
}

#[tokio::test]
async fn a_visitor_that_leaves_cancels_nothing() {
    let stack = Issuing::start().await;
    stack.proxy.hold(Kind::Finalize);
    let gone = tokio::time::timeout(Duration::from_secs(60), async {
        tokio::select! {
            _ = stack.get("left.customer.test", "/") => panic!("the order is held"),
            () = stack.proxy.reached(Kind::Finalize) => {}
        }
    });
    gone.await.unwrap();
    stack.proxy.release();
    stack.edge.logs("cert.issued").await;
    assert_eq!(stack.get("left.customer.test", "/").await.unwrap().status(), StatusCode::OK);
    assert_eq!(stack.orders("left.customer.test"), 1);
}

#[tokio::test]
async fn a_failed_order_is_remembered_and_not_repeated_by_the_next_visitor() {
    let stack = Issuing::start().await;
    // Nothing answers for this name: both challenges fail.
    stack.pebble.dns().set_a("dead.customer.test", &["127.255.255.254".parse().unwrap()]).await;
    let first = stack.get("dead.customer.test", "/").await.unwrap_err();
    assert_eq!(first.alert(), Some(AlertDescription::InternalError));
    let orders = stack.orders("dead.customer.test");
    assert!((1..=2).contains(&orders), "one for each challenge type, not {orders}");
    for _ in 0..20 {
        assert_eq!(
            stack.get("dead.customer.test", "/").await.unwrap_err().alert(),
            Some(AlertDescription::InternalError)
        );
    }
    assert_eq!(stack.orders("dead.customer.test"), orders);
}

#[tokio::test]
async fn curl_and_openssl_are_served_like_any_client() {
    let stack = Issuing::start().await;
    let curl =
        Curl::new().cacert(stack.pebble.issuer_root_pem_path()).resolve("shop.customer.test", stack.edge.https());
    let output = curl.get("https://shop.customer.test:8443/from-curl").await;
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(Echo::parse(output.stdout.as_bytes()).target, "/from-curl");
    let openssl = SClient::new(stack.edge.https(), Some("shop.customer.test")).run().await;
    assert!(openssl.stdout.contains("TLSv1.3"), "{}", openssl.stdout);
    let denied = "denied.customer.test";
    stack.gate.set(denied, test_support::Reply::Deny);
    let openssl = SClient::new(stack.edge.https(), Some(denied)).run().await;
    let said = format!("{}{}", openssl.stdout, openssl.stderr);
    assert!(said.contains("unrecognized name"), "{said}");
}
