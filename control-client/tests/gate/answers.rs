//! What every kind of answer means.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use control_client::{Freshness, Refusal, Site, Source};

use crate::{
    endpoint::{Say, json},
    harness::{DEFAULT_ORIGIN, edge, edge_with, name},
};

const NAME: &str = "shop.customer.example";

/// Every kind of answer, what an unknown name gets for it, and how it is counted.
fn table() -> Vec<(Say, Result<Freshness, Refusal>, &'static str)> {
    const ALLOW: Result<Freshness, Refusal> = Ok(Freshness::Fresh);
    const DENY: Result<Freshness, Refusal> = Err(Refusal::Denied);
    const ERROR: Result<Freshness, Refusal> = Err(Refusal::Unavailable);
    let text = |kind, body: &str| Say::Body(kind, body.to_owned());
    vec![
        (Say::Status(200), ALLOW, "allow"),
        (Say::Status(204), ALLOW, "allow"),
        (text("", "OK"), ALLOW, "allow"),
        (text("text/html", "<html></html>"), ALLOW, "allow"),
        (json("{}"), ALLOW, "allow"),
        (json(r#"{"hostname":"SHOP.customer.example.","generation":3,"new":[]}"#), ALLOW, "allow"),
        (Say::Status(400), DENY, "deny"),
        (Say::Status(403), DENY, "deny"),
        (Say::Status(404), DENY, "deny"),
        (Say::Status(300), ERROR, "redirect"),
        (Say::Redirect, ERROR, "redirect"),
        (Say::Status(500), ERROR, "status"),
        (Say::Status(503), ERROR, "status"),
        (Say::Status(600), ERROR, "status"),
        (json("OK"), ERROR, "garbage"),
        (text("", "{garbage"), ERROR, "garbage"),
        (json(r#"{"hostname":"other.example"}"#), ERROR, "other_name"),
        (json(r#"{"origin":"app.example"}"#), ERROR, "bad_target"),
        (json(r#"{"origin":"http://app.example/path"}"#), ERROR, "bad_target"),
        (json(r#"{"redirect":"javascript:alert(1)"}"#), ERROR, "bad_target"),
        (text("", &"x".repeat(4096)), ALLOW, "allow"),
        (text("", &"x".repeat(4097)), ERROR, "too_long"),
        (Say::Stream(4097), ERROR, "too_long"),
        (Say::Close, ERROR, "transport"),
    ]
}

#[tokio::test]
async fn every_answer_has_one_meaning_and_one_counter() {
    for (say, outcome, result) in table() {
        let edge = edge(say.clone()).await;
        assert_eq!(edge.state(NAME).await, outcome, "{say:?}");
        assert_eq!(edge.metric(&format!("questions_total{{result=\"{result}\"}}")), 1, "{say:?}");
        assert_eq!(edge.state(NAME).await, outcome, "{say:?}, remembered");
        assert_eq!(edge.endpoint.asked(), ["/ask?key=k&domain=shop.customer.example"], "{say:?}");
    }
}

#[tokio::test]
async fn an_answer_says_where_requests_go() {
    let body = r#"{"origin":"https://app.example","keep_host":true,"generation":7,"connection_id":"c1",
        "redirect":"https://new.example/","tenant":"app_1"}"#;
    let edge = edge(json(body)).await;
    let site = edge.admit(NAME).await.unwrap().site;
    let expected = Site {
        tenant: Some("app_1".parse().unwrap()),
        hostname: name(NAME),
        origin: Some("https://app.example".parse().unwrap()),
        keep_host: true,
        generation: 7,
        connection_id: Some("c1".into()),
        redirect: Some("https://new.example".into()),
    };
    assert_eq!(*site, expected);
}

#[tokio::test]
async fn an_answer_without_origin_means_the_default_one() {
    let edge = edge(Say::Status(200)).await;
    let site = edge.admit(NAME).await.unwrap().site;
    assert_eq!(site.origin.as_ref().unwrap().to_string(), DEFAULT_ORIGIN);
    let without = edge_with(Say::Status(200), |settings| settings.default_origin = None).await;
    assert_eq!(without.admit(NAME).await.unwrap().site.origin, None);
}

#[tokio::test]
async fn an_answer_that_never_comes_is_an_error_when_its_time_is_up() {
    for say in [Say::Hang, Say::StreamThenHang(10)] {
        let edge = edge_with(say, |settings| settings.timeout = Duration::from_millis(100)).await;
        assert_eq!(edge.state(NAME).await, Err(Refusal::Unavailable));
        assert_eq!(edge.metric("questions_total{result=\"timeout\"}"), 1);
    }
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused_without_waiting_for_its_end() {
    // Were more read than the limit, the question would wait for the rest until its 20 s are up.
    let edge = edge(Say::StreamThenHang(8192)).await;
    assert_eq!(edge.state(NAME).await, Err(Refusal::Unavailable));
    assert_eq!(edge.metric("questions_total{result=\"too_long\"}"), 1);
}

#[tokio::test]
async fn an_answer_of_10_mb_is_cut_off() {
    const SIZE: usize = 10_000_000;
    let edge = edge(Say::Stream(SIZE)).await;
    assert_eq!(edge.state(NAME).await, Err(Refusal::Unavailable));
    assert_eq!(edge.metric("questions_total{result=\"too_long\"}"), 1);
    // What the endpoint got rid of lies in the kernel's buffers on both sides, of which the gate read one piece.
    assert!(edge.endpoint.script.streamed.load(Ordering::Relaxed) < SIZE);
}

#[tokio::test]
async fn a_denied_name_costs_one_question_until_its_time_is_up() {
    let edge = edge(Say::Status(404)).await;
    for _ in 0..100 {
        assert_eq!(edge.state(NAME).await, Err(Refusal::Denied));
    }
    edge.clock.advance(Duration::from_millis(29_900));
    assert_eq!(edge.state(NAME).await, Err(Refusal::Denied));
    assert_eq!(edge.endpoint.asked().len(), 1);
    edge.clock.advance(Duration::from_millis(30_100));
    assert_eq!(edge.state(NAME).await, Err(Refusal::Denied));
    assert_eq!(edge.endpoint.asked().len(), 2);
    assert_eq!(edge.metric("cache_hits_total{kind=\"deny\"}"), 100);
}

#[tokio::test]
async fn an_answer_may_set_its_own_time_within_a_second_and_an_hour() {
    for (ttl, seconds) in [("0", 1), ("5", 5), ("3600", 3600), ("999999", 3600)] {
        let edge = edge(json(&format!("{{\"ttl_seconds\":{ttl}}}"))).await;
        edge.admit(NAME).await.unwrap();
        edge.clock.advance(Duration::from_millis(seconds * 1000 - 1));
        edge.admit(NAME).await.unwrap();
        assert_eq!(edge.endpoint.asked().len(), 1, "{ttl}");
        edge.clock.advance(Duration::from_millis(1));
        edge.admit(NAME).await.unwrap();
        assert_eq!(edge.endpoint.asked().len(), 2, "{ttl}");
    }
}

#[tokio::test]
async fn the_same_answer_keeps_the_same_site() {
    let edge = edge(json(r#"{"generation":1}"#)).await;
    let first = edge.admit(NAME).await.unwrap().site;
    edge.run_out();
    let second = edge.admit(NAME).await.unwrap().site;
    assert!(Arc::ptr_eq(&first, &second));
    edge.endpoint.say(json(r#"{"generation":2}"#));
    edge.run_out();
    assert_eq!(edge.admit(NAME).await.unwrap().site.generation, 2);
}

#[tokio::test]
async fn an_older_generation_never_replaces_a_newer_one() {
    let mut edge = edge(json(r#"{"generation":5,"origin":"http://new.example"}"#)).await;
    edge.admit(NAME).await.unwrap();
    for older in [json(r#"{"generation":4,"origin":"http://old.example"}"#), Say::Body("", "OK".to_owned())] {
        edge.endpoint.say(older);
        edge.run_out();
        let admitted = edge.admit(NAME).await.unwrap();
        assert_eq!(admitted.freshness, Freshness::Stale);
        assert_eq!(admitted.site.origin.as_ref().unwrap().authority(), "new.example");
        assert_eq!(edge.metric("questions_total{result=\"outdated\"}"), 1);
        edge = edge.restart().await;
    }
    edge.endpoint.say(json(r#"{"generation":6}"#));
    assert_eq!(edge.state(NAME).await, Ok(Freshness::Fresh));
}

#[tokio::test]
async fn another_endpoint_counts_its_generations_for_itself() {
    let edge = edge(json(r#"{"generation":5}"#)).await;
    edge.admit(NAME).await.unwrap();
    let edge = edge.restart_with(|settings| settings.url.set_path("/other")).await;
    edge.endpoint.say(json(r#"{"generation":1}"#));
    let admitted = edge.admit(NAME).await.unwrap();
    assert_eq!((admitted.freshness, admitted.site.generation), (Freshness::Fresh, 1));
}

#[tokio::test]
async fn an_explanation_leaves_no_trace() {
    let edge = edge(json(r#"{"generation":5}"#)).await;
    edge.admit(NAME).await.unwrap();
    let (metrics, files) = (edge.metrics(), edge.files().await);

    let remembered = edge.gate.explain(&name(NAME)).await;
    assert_eq!((remembered.source, edge.endpoint.asked().len()), (Source::Memory, 1));
    assert!(remembered.verdict.is_ok());
    assert_eq!(remembered.asked_again_in, Some(Duration::from_secs(60)));

    let unknown = edge.gate.explain(&name("unknown.example")).await;
    assert_eq!((unknown.source, edge.endpoint.asked().len()), (Source::Question, 2));
    assert!(unknown.verdict.is_ok());

    edge.endpoint.say(Say::Status(500));
    let broken = edge.gate.explain(&name("broken.example")).await;
    assert_eq!((broken.source, broken.verdict), (Source::LastAnswer, Err(Refusal::Unavailable)));
    assert_eq!(broken.problem.as_deref(), Some("the ask endpoint answered 500 Internal Server Error"));

    assert_eq!((edge.metrics(), edge.files_now()), (metrics, files));
    edge.run_out();
    let stale = edge.gate.explain(&name(NAME)).await;
    assert_eq!(stale.age, Some(Duration::from_secs(61)));
    assert_eq!(
        stale.to_string(),
        "shop.customer.example: allowed (stale), http://127.0.0.1:3000, generation 5; by the last answer, 61 s old; \
         the ask endpoint answered 500 Internal Server Error"
    );
}
