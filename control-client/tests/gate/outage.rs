//! The endpoint is down: known names pass as stale, others do not.

use std::{fs, os::unix::fs::MetadataExt, time::Duration};

use control_client::{Freshness, Refusal};

use crate::{
    endpoint::{Say, json},
    harness::{Edge, edge, edge_with},
};

const KNOWN: &str = "known.example";
const UNKNOWN: &str = "unknown.example";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A gate that knows [`KNOWN`] while its endpoint's port is closed.
async fn outage() -> Edge {
    let mut edge = edge(json(r#"{"generation":1,"origin":"http://app.example"}"#)).await;
    edge.admit(KNOWN).await.unwrap();
    edge.endpoint.stop().await;
    edge.run_out();
    edge
}

#[tokio::test]
async fn an_outage_serves_a_known_name_as_stale_and_refuses_an_unknown_one() {
    let edge = outage().await;
    for _ in 0..10 {
        let admitted = edge.admit(KNOWN).await.unwrap();
        assert_eq!(admitted.freshness, Freshness::Stale);
        assert_eq!(admitted.site.origin.as_ref().unwrap().authority(), "app.example");
        assert_eq!(edge.state(UNKNOWN).await, Err(Refusal::Unavailable));
    }
    assert_eq!(edge.metric("questions_total{result=\"connect\"}"), 2, "an error is remembered");
    assert_eq!((edge.metric("stale_total"), edge.metric("cache_hits_total{kind=\"error\"}")), (10, 18));
}

#[tokio::test]
async fn an_error_is_asked_about_again_after_seconds_and_recovery_is_noticed() {
    let edge = edge(Say::Status(200)).await;
    edge.admit(KNOWN).await.unwrap();
    edge.run_out();
    edge.endpoint.say(Say::Status(503));
    assert_eq!(edge.state(KNOWN).await, Ok(Freshness::Stale));
    edge.clock.advance(Duration::from_millis(1900));
    assert_eq!(edge.state(KNOWN).await, Ok(Freshness::Stale));
    assert_eq!(edge.endpoint.asked().len(), 2);
    edge.endpoint.say(Say::Status(200));
    edge.clock.advance(Duration::from_millis(2100));
    assert_eq!(edge.state(KNOWN).await, Ok(Freshness::Fresh));
}

#[tokio::test]
async fn a_last_answer_serves_for_seven_days_and_no_longer() {
    let edge = outage().await;
    edge.clock.advance(7 * DAY - Duration::from_secs(120));
    assert_eq!(edge.state(KNOWN).await, Ok(Freshness::Stale));
    edge.clock.advance(Duration::from_secs(120));
    assert_eq!(edge.state(KNOWN).await, Err(Refusal::Unavailable));
}

#[tokio::test]
async fn a_clock_set_back_loses_no_known_name() {
    let edge = outage().await;
    edge.clock.set(edge_now(&edge) - 60 * DAY);
    assert_eq!(edge.state(KNOWN).await, Ok(Freshness::Stale));
}

#[tokio::test]
async fn a_denial_ends_a_last_answer() {
    let edge = edge(Say::Status(200)).await;
    edge.admit(KNOWN).await.unwrap();
    assert_eq!(edge.files().await.len(), 1);
    edge.endpoint.say(Say::Status(404));
    edge.run_out();
    assert_eq!(edge.state(KNOWN).await, Err(Refusal::Denied));
    assert!(edge.files().await.is_empty());
    edge.endpoint.say(Say::Status(500));
    edge.run_out();
    assert_eq!(edge.state(KNOWN).await, Err(Refusal::Unavailable));
    let edge = edge.restart().await;
    assert_eq!(edge.state(KNOWN).await, Err(Refusal::Unavailable));
}

#[tokio::test]
async fn a_denial_after_a_restart_removes_the_file_too() {
    let edge = edge(Say::Status(200)).await;
    edge.admit(KNOWN).await.unwrap();
    let edge = edge.restart().await;
    edge.endpoint.say(Say::Status(403));
    assert_eq!(edge.state(KNOWN).await, Err(Refusal::Denied));
    assert!(edge.files().await.is_empty());
}

#[tokio::test]
async fn a_restart_with_the_endpoint_down_still_knows_its_names_and_skips_a_broken_file() {
    let mut edge = edge(json(r#"{"generation":1,"origin":"http://app.example","ttl_seconds":5}"#)).await;
    for text in [KNOWN, "cut.example", "swapped.example"] {
        edge.admit(text).await.unwrap();
    }
    let files = edge.files().await;
    let file = |start: &str| files.iter().find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(start));
    fs::write(file("cut").unwrap(), b"{\"answered\":17").unwrap();
    fs::copy(file("known").unwrap(), file("swapped").unwrap()).unwrap();
    edge.endpoint.stop().await;

    let edge = edge.restart().await;
    assert_eq!(edge.metric("records"), 3);
    for _ in 0..10 {
        let admitted = edge.admit(KNOWN).await.unwrap();
        assert_eq!(admitted.freshness, Freshness::Stale);
        assert_eq!(admitted.site.origin.as_ref().unwrap().authority(), "app.example");
        assert_eq!(edge.state("cut.example").await, Err(Refusal::Unavailable));
        assert_eq!(edge.state("swapped.example").await, Err(Refusal::Unavailable));
        assert_eq!(edge.state(UNKNOWN).await, Err(Refusal::Unavailable));
    }
    assert_eq!((edge.metric("records_broken_total"), edge.metric("records")), (2, 1));
}

#[tokio::test]
async fn a_file_older_than_seven_days_admits_nobody_and_is_swept() {
    let edge = edge(Say::Status(200)).await;
    edge.admit(KNOWN).await.unwrap();
    let edge = edge.restart().await;
    edge.endpoint.say(Say::Status(500));
    edge.clock.advance(9 * DAY);
    assert_eq!(edge.state(KNOWN).await, Err(Refusal::Unavailable));
    assert!(edge.files().await.is_empty());
    assert_eq!(edge.metric("records"), 0);
}

#[tokio::test]
async fn a_file_is_written_again_only_for_news_or_after_a_day() {
    let edge = edge(json(r#"{"generation":1,"ttl_seconds":50}"#)).await;
    edge.admit(KNOWN).await.unwrap();
    let first = inode(&edge).await;
    edge.endpoint.say(json(r#"{"generation":1,"ttl_seconds":40}"#));
    edge.run_out();
    edge.admit(KNOWN).await.unwrap();
    assert_eq!(inode(&edge).await, first, "the same answer with another time to live is no news");
    let edge = edge.restart().await;
    edge.admit(KNOWN).await.unwrap();
    assert_eq!(inode(&edge).await, first, "nor is it after a restart");

    edge.endpoint.say(json(r#"{"generation":2}"#));
    edge.run_out();
    edge.admit(KNOWN).await.unwrap();
    let second = written(&edge).await;
    assert!(second.contains("\"generation\":2"));
    edge.clock.advance(DAY);
    edge.admit(KNOWN).await.unwrap();
    assert_ne!(written(&edge).await, second, "a day later its age is renewed");
}

#[tokio::test]
async fn a_disk_that_fails_is_counted_and_changes_no_answer() {
    let edge = edge(Say::Status(200)).await;
    // A file where the folder must be: nothing can be written below it, not even by root.
    fs::write(edge.folder().join("answers"), b"").unwrap();
    assert_eq!(edge.state(KNOWN).await, Ok(Freshness::Fresh));
    edge.gate.flush().await;
    assert_eq!(edge.metric("record_failures_total{action=\"write\"}"), 1);
    edge.endpoint.say(Say::Status(500));
    edge.run_out();
    assert_eq!(edge.state(KNOWN).await, Ok(Freshness::Stale), "memory still knows it");
}

#[tokio::test]
async fn an_endpoint_that_allows_everything_does_not_fill_the_disk() {
    let edge = edge_with(Say::Status(200), |settings| settings.limits.records = 3).await;
    for number in 0..10 {
        assert_eq!(edge.state(&format!("n{number}.example")).await, Ok(Freshness::Fresh));
    }
    assert_eq!(edge.files().await.len(), 3);
    assert_eq!(edge.metric("records_dropped_total{reason=\"limit\"}"), 7);
}

#[tokio::test]
async fn a_reload_asks_anew_and_keeps_last_answers_and_counters() {
    let mut edge = edge(json(r#"{"generation":5}"#)).await;
    edge.admit(KNOWN).await.unwrap();
    edge.gate.flush().await;
    edge.reconfigure(|settings| settings.default_origin = Some("http://new.example".parse().unwrap()));
    edge.endpoint.say(json(r#"{"generation":4}"#));
    let admitted = edge.admit(KNOWN).await.unwrap();
    assert_eq!((admitted.freshness, admitted.site.generation), (Freshness::Stale, 5));
    assert_eq!(admitted.site.origin.as_ref().unwrap().authority(), "new.example");
    let (allowed, outdated) = ("questions_total{result=\"allow\"}", "questions_total{result=\"outdated\"}");
    assert_eq!((edge.metric(allowed), edge.metric(outdated)), (1, 1));

    edge.reconfigure(|settings| settings.url.set_path("/other"));
    assert_eq!(edge.state(KNOWN).await, Ok(Freshness::Fresh), "another endpoint counts for itself");
    edge.gate.flush().await;
    edge.endpoint.say(Say::Status(404));
    edge.reconfigure(|settings| settings.limits.stale = DAY);
    assert_eq!(edge.state(KNOWN).await, Err(Refusal::Denied));
    assert!(edge.files().await.is_empty());
}

fn edge_now(edge: &Edge) -> clock::Timestamp {
    clock::Clock::now(&edge.clock)
}

async fn inode(edge: &Edge) -> u64 {
    fs::metadata(&edge.files().await[0]).unwrap().ino()
}

async fn written(edge: &Edge) -> String {
    fs::read_to_string(&edge.files().await[0]).unwrap()
}
