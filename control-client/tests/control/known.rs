//! What the feed says is what the gate does, without a question and within a second.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use clock::{Clock, ManualClock, SystemClock};
use control_client::{Freshness, Refusal};
use serde_json::json;
use test_support::Reply;

use crate::harness::{World, name, to};

const SHOP: &str = "shop.example";
const FRESH: Result<Freshness, Refusal> = Ok(Freshness::Fresh);
const DENIED: Result<Freshness, Refusal> = Err(Refusal::Denied);

#[tokio::test]
async fn a_known_name_costs_no_question_and_an_unknown_one_is_asked_about() {
    let world = World::new().await;
    let route = json!({"origin": "https://app.example", "keep_host": true, "connection_id": "c1", "pointing": true});
    world.control.upsert(SHOP, 3, &route);
    world.ask.set("other.example", Reply::origin("http://other.example"));
    let edge = world.started().await;
    for _ in 0..100 {
        assert_eq!(edge.state(SHOP).await, FRESH);
    }
    let site = edge.admit(SHOP).await.unwrap().site;
    assert_eq!((site.generation, site.keep_host, site.connection_id.as_deref()), (3, true, Some("c1")));
    assert_eq!(edge.origin(SHOP).await.as_deref(), Some("https://app.example"));
    assert_eq!(edge.gate.explain(&name(SHOP)).await.verdict.unwrap().site, site);
    assert_eq!(world.ask.asked_in_all(), 0);
    assert_eq!(edge.state("other.example").await, FRESH);
    assert_eq!(edge.state("nobody.example").await, DENIED);
    assert_eq!(world.ask.asked_in_all(), 2);
}

#[tokio::test]
async fn a_name_without_an_origin_goes_to_the_default_one() {
    let world = World::new().await;
    world.control.upsert(SHOP, 1, &json!({}));
    let edge = world.started().await;
    assert_eq!(edge.origin(SHOP).await.as_deref(), Some("http://127.0.0.1:3000"));
}

#[tokio::test]
async fn a_remembered_deny_does_not_outlive_the_name_s_connection() {
    let world = World::new().await;
    let edge = world.started().await;
    assert_eq!(edge.state(SHOP).await, DENIED);
    let version = edge.directory.version();
    let published = Instant::now();
    world.control.upsert(SHOP, 1, &to("http://app.example"));
    edge.until_state(SHOP, FRESH).await;
    assert!(published.elapsed() < Duration::from_secs(20), "{:?}", published.elapsed());
    assert_ne!(edge.directory.version(), version);
}

#[tokio::test]
async fn a_deletion_ends_what_the_ask_endpoint_has_allowed() {
    let world = World::new().await;
    world.ask.set(SHOP, Reply::Allow(json!({"generation": 4})));
    let edge = world.started().await;
    assert_eq!(edge.state(SHOP).await, FRESH);
    edge.gate.flush().await;
    assert_eq!(answers(&world), 1);
    world.control.delete(SHOP, 5);
    edge.until_state(SHOP, DENIED).await;
    edge.gate.flush().await;
    assert_eq!((answers(&world), world.ask.asked_in_all()), (0, 1));
}

#[tokio::test]
async fn an_answer_on_its_way_does_not_undo_a_deletion() {
    let world = World::new().await;
    world.ask.set(SHOP, Reply::Allow(json!({"generation": 4})));
    let edge = world.started().await;
    world.ask.hold();
    let gate = edge.gate.clone();
    let visitor = tokio::spawn(async move { gate.admit(&name(SHOP)).await });
    world.ask.reached(1).await;
    world.control.delete(SHOP, 5);
    edge.until_metric("changes_total{kind=\"delete\"}", 1).await;
    world.ask.release();
    assert_eq!(visitor.await.unwrap(), Err(Refusal::Denied));
    assert_eq!(edge.state(SHOP).await, DENIED);
}

#[tokio::test]
async fn an_older_generation_never_brings_a_deleted_name_back() {
    let world = World::new().await;
    world.control.upsert(SHOP, 4, &to("http://app.example"));
    let edge = world.started().await;
    world.control.delete(SHOP, 5);
    edge.until_state(SHOP, DENIED).await;
    for generation in [3, 5] {
        world.control.upsert(SHOP, generation, &to("http://app.example"));
    }
    edge.until_metric("changes_total{kind=\"outdated\"}", 2).await;
    assert_eq!(edge.state(SHOP).await, DENIED);

    // Nor does a snapshot of the same run of the sequence, nor a restart.
    world.control.forget_changes();
    edge.until_metric("syncs_total{result=\"ok\"}", 2).await;
    assert_eq!(edge.state(SHOP).await, DENIED);
    edge.stop().await;
    let edge = world.started().await;
    assert_eq!(edge.state(SHOP).await, DENIED);
    assert_eq!(world.ask.asked_in_all(), 0);

    world.control.upsert(SHOP, 6, &to("http://app.example"));
    edge.until_state(SHOP, FRESH).await;
    world.control.delete(SHOP, 5);
    edge.until_metric("changes_total{kind=\"outdated\"}", 1).await;
    assert_eq!(edge.state(SHOP).await, FRESH, "an old deletion does not delete what came after it");
}

#[tokio::test]
async fn a_change_that_cannot_be_used_hides_no_other() {
    let world = World::new().await;
    world.control.upsert(SHOP, 1, &to("http://app.example"));
    let edge = world.started().await;
    world.control.publish(json!({"hostname": "a_b.example", "generation": 1, "kind": "upsert"}));
    world.control.publish(json!({"hostname": "a.example", "generation": 1, "kind": "paint"}));
    world.control.publish(json!({"hostname": SHOP, "generation": 2, "kind": "upsert", "origin": "ftp://x"}));
    world.control.upsert("b.example", 1, &to("http://app.example"));
    edge.until_state("b.example", FRESH).await;
    assert_eq!(edge.origin(SHOP).await.as_deref(), Some("http://app.example"), "the last good one serves on");
    let changes = |kind: &str| edge.metric(&format!("changes_total{{kind=\"{kind}\"}}"));
    assert_eq!((changes("bad"), changes("unknown"), changes("upsert")), (2, 1, 1));
}

#[tokio::test]
async fn names_above_the_limit_are_left_to_the_ask_endpoint() {
    let mut world = World::new().await;
    world.limits.names = 2;
    for text in ["a.example", "b.example", "c.example"] {
        world.control.upsert(text, 1, &to("http://app.example"));
    }
    let edge = world.started().await;
    assert_eq!((edge.directory.names(), edge.metric("snapshot_names_left_out_total")), (2, 1));
    world.control.upsert("d.example", 1, &to("http://app.example"));
    edge.until_metric("changes_total{kind=\"full\"}", 1).await;
    assert_eq!(edge.state("d.example").await, DENIED);
    assert_eq!(world.ask.asked("d.example"), 1);
}

#[tokio::test]
async fn silence_of_the_feed_makes_names_stale_and_after_days_unknown() {
    let mut world = World::new().await;
    let clock = ManualClock::new(SystemClock.now());
    world.clock = Arc::new(clock.clone());
    world.control.upsert(SHOP, 1, &to("http://app.example"));
    let edge = world.started().await;
    world.control.delete("gone.example", 2);
    edge.until_metric("changes_total{kind=\"delete\"}", 1).await;
    assert_eq!(edge.state("gone.example").await, DENIED);
    world.control.stop().await;
    assert_eq!(edge.state(SHOP).await, FRESH);
    clock.advance(Duration::from_secs(91));
    assert_eq!(edge.state(SHOP).await, Ok(Freshness::Stale));
    assert_eq!(world.ask.asked_in_all(), 0);
    // Who deletes cannot be heard any more, so who brings back cannot either: the ask endpoint may, with news only.
    world.ask.set("gone.example", Reply::Allow(json!({"generation": 2})));
    assert_eq!(edge.state("gone.example").await, Err(Refusal::Unavailable));
    world.ask.set("gone.example", Reply::Allow(json!({"generation": 3})));
    clock.advance(Duration::from_secs(5));
    assert_eq!(edge.state("gone.example").await, FRESH);
    clock.advance(Duration::from_secs(8 * 24 * 3600));
    assert_eq!(edge.state(SHOP).await, DENIED, "the ask endpoint decides");
}

fn answers(world: &World) -> usize {
    let Ok(shards) = std::fs::read_dir(world.path("control/answers")) else { return 0 };
    shards.map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap().count()).sum()
}
