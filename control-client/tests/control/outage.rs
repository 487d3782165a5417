//! The control plane goes away and comes back; the token changes.

use std::fs;

use control_client::Freshness;

use crate::harness::{World, to};

#[tokio::test]
async fn an_outage_changes_nothing_and_its_end_is_noticed() {
    let mut world = World::new().await;
    world.control.upsert("a.example", 1, &to("http://app.example"));
    let edge = world.started().await;
    world.control.stop().await;
    edge.until_metric("polls_total{result=\"connect\"}", 3).await;
    assert_eq!(edge.state("a.example").await, Ok(Freshness::Fresh));
    world.control.upsert("b.example", 1, &to("http://app.example"));
    world.control.resume().await;
    edge.until_state("b.example", Ok(Freshness::Fresh)).await;
    assert_eq!(world.control.snapshots(), 1, "what was missed comes by the feed");
}

#[tokio::test]
async fn a_refused_token_is_read_again_and_never_printed() {
    let world = World::new().await;
    let edge = world.started().await;
    let settings = format!("{:?}", world.settings());
    assert!(!settings.contains("first-token"), "{settings}");
    world.control.set_token("second-token");
    world.control.upsert("a.example", 1, &to("http://app.example"));
    edge.until_metric("polls_total{result=\"unauthorized\"}", 2).await;
    fs::write(world.path("token"), "second-token\n").unwrap();
    world.control.upsert("b.example", 1, &to("http://app.example"));
    edge.until_state("b.example", Ok(Freshness::Fresh)).await;
}
