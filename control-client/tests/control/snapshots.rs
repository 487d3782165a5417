//! A snapshot is taken whole and newer, or not at all.

use std::{sync::Arc, time::Duration};

use clock::{Clock, ManualClock, SystemClock};
use control_client::{Freshness, Refusal};
use serde_json::{Value, json};
use test_support::{Damage, wait};

use crate::harness::{Edge, World, to};

const FRESH: Result<Freshness, Refusal> = Ok(Freshness::Fresh);
const NAMES: usize = 50;

/// An edge that knows [`NAMES`] names.
async fn known() -> (World, Edge) {
    let world = World::new().await;
    for number in 0..NAMES {
        world.control.upsert(&host(number), 1, &to("http://app.example"));
    }
    let edge = world.started().await;
    assert_eq!(edge.directory.names(), NAMES);
    (world, edge)
}

fn host(number: usize) -> String {
    format!("n{number}.example")
}

fn some(count: usize) -> impl Iterator<Item = (String, Value)> {
    (0..count).map(|number| (host(number), json!({"generation": 2, "origin": "http://new.example"})))
}

/// A name's line.
fn line(name: &str, generation: u64) -> String {
    json!({"name": {"hostname": name, "generation": generation, "origin": "http://new.example"}}).to_string()
}

#[tokio::test]
async fn a_damaged_snapshot_is_refused_and_the_last_good_names_kept() {
    for damage in [Damage::Corrupt, Damage::Cut, Damage::Truncated] {
        let (world, edge) = known().await;
        world.control.set_names(some(NAMES).map(|(name, mut line)| {
            line["generation"] = json!(1);
            (name, line)
        }));
        world.control.damage(damage);
        world.control.forget_changes();
        let (refused, broken) = ("syncs_total{result=\"refused\"}", "syncs_total{result=\"transport\"}");
        edge.until_metric(if damage == Damage::Cut { broken } else { refused }, 2).await;
        assert_eq!(edge.directory.names(), NAMES, "{damage:?}");
        assert_eq!(edge.origin(&host(7)).await.as_deref(), Some("http://app.example"), "{damage:?}");
        world.control.damage(Damage::None);
        edge.until_metric("syncs_total{result=\"ok\"}", 2).await;
        assert_eq!(edge.origin(&host(7)).await.as_deref(), Some("http://new.example"), "{damage:?}");
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_used_takes_no_other_with_it_and_not_what_is_known_of_its_own_name() {
    let bad = [
        json!({"name": {"hostname": host(7), "generation": "newest"}}).to_string(),
        json!({"name": {"hostname": host(7), "generation": 2, "origin": "ftp://new.example"}}).to_string(),
        json!({"name": {"hostname": host(7), "generation": 2, "origin": ["http://new.example"]}}).to_string(),
    ];
    for line in bad {
        let (world, edge) = known().await;
        let mut lines: Vec<_> = (0..NAMES).map(|number| self::line(&host(number), 2)).collect();
        lines[7].clone_from(&line);
        world.control.set_lines(lines);
        world.control.forget_changes();
        edge.until_metric("syncs_total{result=\"ok\"}", 2).await;
        assert_eq!((edge.directory.names(), edge.metric("snapshot_names_left_out_total")), (NAMES, 1), "{line}");
        assert_eq!(edge.origin(&host(8)).await.as_deref(), Some("http://new.example"), "{line}");
        assert_eq!(edge.origin(&host(7)).await.as_deref(), Some("http://app.example"), "{line}");
    }
}

#[tokio::test]
async fn lines_that_say_no_name_are_left_out_alone() {
    let (world, edge) = known().await;
    let mut lines: Vec<_> = (0..NAMES).map(|number| line(&host(number), 2)).collect();
    let bad = ["", "{", "{}", "null", "{\"name\":{\"hostname\":\"a..b\"}}", "{\"colour\":\"blue\"}", "\u{feff}{}"];
    lines.extend(bad.map(str::to_owned));
    world.control.set_lines(lines);
    world.control.forget_changes();
    edge.until_metric("syncs_total{result=\"ok\"}", 2).await;
    assert_eq!(edge.metric("snapshot_names_left_out_total"), bad.len() as u64);
    assert_eq!(edge.directory.names(), NAMES);
    assert_eq!(edge.origin(&host(0)).await.as_deref(), Some("http://new.example"));
}

#[tokio::test]
async fn of_two_records_for_a_name_the_newer_one_counts_and_they_are_one_name() {
    let (world, edge) = known().await;
    let all = |generation| (0..NAMES).map(move |number| line(&host(number), generation));
    let newest =
        |number| json!({"name": {"hostname": host(number), "generation": 3, "origin": "http://newest.example"}});
    let lines = all(2).chain([newest(1).to_string()]);
    world.control.set_lines([newest(0).to_string()].into_iter().chain(lines).collect());
    world.control.forget_changes();
    edge.until_metric("syncs_total{result=\"ok\"}", 2).await;
    assert_eq!(edge.directory.names(), NAMES);
    for (number, origin) in [(0, "http://newest.example"), (1, "http://newest.example"), (2, "http://new.example")] {
        assert_eq!(edge.origin(&host(number)).await.as_deref(), Some(origin), "{number}");
    }
    // As many lines as there are names, and one name.
    world.control.set_lines(vec![line(&host(0), 4); NAMES]);
    world.control.forget_changes();
    edge.until_metric("syncs_total{result=\"refused\"}", 1).await;
    assert_eq!(edge.directory.names(), NAMES);
}

#[tokio::test]
async fn twenty_times_as_many_names_as_there_is_room_for_are_refused_and_the_last_good_names_kept() {
    let mut world = World::new().await;
    world.limits.names = NAMES;
    world.control.upsert(&host(0), 1, &to("http://app.example"));
    let edge = world.started().await;
    world.control.set_lines((0..20 * NAMES).map(|number| line(&host(number), 2)).collect());
    world.control.forget_changes();
    edge.until_metric("syncs_total{result=\"too_long\"}", 1).await;
    assert_eq!(edge.directory.names(), 1);
    assert_eq!(edge.origin(&host(0)).await.as_deref(), Some("http://app.example"));
}

#[tokio::test]
async fn an_empty_or_much_smaller_snapshot_is_refused_unless_the_operator_means_it() {
    for left in [0, NAMES * 4 / 5 - 1] {
        let (world, edge) = known().await;
        world.control.set_names(some(left));
        world.control.forget_changes();
        edge.until_metric("syncs_total{result=\"refused\"}", 2).await;
        assert_eq!(edge.directory.names(), NAMES);
        assert_eq!(edge.state(&host(NAMES - 1)).await, FRESH);
        world.control.confirm(true);
        edge.until_metric("syncs_total{result=\"ok\"}", 2).await;
        assert_eq!(edge.directory.names(), left);
        assert_eq!(edge.state(&host(NAMES - 1)).await, Err(Refusal::Denied));
    }
}

#[tokio::test]
async fn a_fifth_may_go_without_a_word_and_what_is_gone_is_refused_at_once() {
    let (world, edge) = known().await;
    world.control.set_names(some(NAMES * 4 / 5));
    world.control.forget_changes();
    edge.until_metric("syncs_total{result=\"ok\"}", 2).await;
    assert_eq!(edge.directory.names(), NAMES * 4 / 5);
    assert_eq!(edge.state(&host(NAMES - 1)).await, Err(Refusal::Denied));
    assert_eq!(world.ask.asked_in_all(), 0);
}

#[tokio::test]
async fn a_sequence_that_goes_back_is_refused_unless_the_operator_means_it() {
    let (world, edge) = known().await;
    // A backup of an hour ago, and then even an earlier epoch.
    for (epoch, head) in [(1, 10), (0, 1000)] {
        world.control.set_epoch(epoch, head);
        let refused = edge.metric("syncs_total{result=\"refused\"}");
        edge.until_metric("syncs_total{result=\"refused\"}", refused + 1).await;
        assert_eq!(edge.directory.names(), NAMES);
    }
    world.control.confirm(true);
    edge.until_metric("syncs_total{result=\"ok\"}", 2).await;
    world.control.upsert("new.example", 1, &to("http://app.example"));
    edge.until_state("new.example", FRESH).await;
}

#[tokio::test]
async fn a_higher_epoch_is_followed_with_its_own_generations() {
    let (world, edge) = known().await;
    world.control.delete(&host(0), 9);
    edge.until_state(&host(0), Err(Refusal::Denied)).await;
    world.control.set_names(some(NAMES));
    world.control.set_epoch(2, 3);
    edge.until_metric("syncs_total{result=\"ok\"}", 2).await;
    assert_eq!(edge.origin(&host(0)).await.as_deref(), Some("http://new.example"));
    world.control.delete(&host(1), 3);
    edge.until_state(&host(1), Err(Refusal::Denied)).await;
}

#[tokio::test]
async fn a_forgotten_sequence_is_made_good_by_a_snapshot_and_the_feed_goes_on() {
    let (mut world, edge) = known().await;
    world.control.stop().await;
    world.control.upsert("late.example", 1, &to("http://app.example"));
    world.control.forget_changes();
    world.control.resume().await;
    edge.until_state("late.example", FRESH).await;
    assert_eq!(world.control.snapshots(), 2);
    world.control.upsert("later.example", 1, &to("http://app.example"));
    edge.until_state("later.example", FRESH).await;
    assert_eq!(world.control.snapshots(), 2);
}

#[tokio::test]
async fn there_is_at_most_one_full_synchronisation_a_minute() {
    let mut world = World::new().await;
    let clock = ManualClock::new(SystemClock.now());
    world.clock = Arc::new(clock.clone());
    world.limits.sync_every = Duration::from_secs(60);
    world.control.upsert("a.example", 1, &to("http://app.example"));
    let edge = world.started().await;
    for round in 1..4 {
        world.control.forget_changes();
        let gone = || edge.metric("polls_total{result=\"gone\"}") == round;
        wait::until("the feed is gone", || std::future::ready(gone().then_some(()))).await;
        clock.advance(Duration::from_secs(59));
        assert_eq!(world.control.snapshots() as u64, round);
        clock.advance(Duration::from_secs(2));
        edge.until_metric("syncs_total{result=\"ok\"}", round + 1).await;
    }
}
