//! The control plane goes away and comes back; the token changes.

use std::{fs, time::Duration};

use control_client::Freshness;
use test_support::wait;
use tokio::time::Instant;

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
async fn edges_that_lost_the_control_plane_together_do_not_come_back_together() {
    const EDGES: usize = 40;
    let mut world = World::new().await;
    world.limits.backoff = Duration::from_secs(2);
    world.control.upsert("a.example", 1, &to("http://app.example"));
    let mut edges = Vec::new();
    for number in 0..EDGES {
        let mut settings = world.settings();
        settings.folder = world.path(&format!("edge{number}"));
        edges.push(world.start_with(settings));
    }
    for edge in &edges {
        edge.until_fresh().await;
    }
    world.control.stop().await;
    for edge in &edges {
        edge.until_metric("polls_total{result=\"connect\"}", 4).await;
    }
    let before = world.control.polls().len();
    let back = Instant::now();
    world.control.resume().await;
    let polls = || world.control.polls().split_off(before);
    // Each asks twice at once: whether anything is there, and then for what comes.
    wait::until("all edges are back", || std::future::ready((polls().len() >= 2 * EDGES).then_some(()))).await;
    let times: Vec<_> = polls().into_iter().map(|poll| poll - back).collect();
    let slots: Vec<_> = (0..20).map(|slot| times.iter().filter(|t| t.as_millis() / 100 == slot).count()).collect();
    println!("questions in each tenth of a second: {slots:?}");
    assert!(slots.iter().all(|count| *count <= EDGES), "more than half at once: {slots:?}");
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
