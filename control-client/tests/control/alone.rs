//! Promises about time: nothing runs beside them.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use control_client::Refusal;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use test_support::wait;
use tokio::runtime::Builder;

use crate::harness::{Edge, World, to};

#[tokio::test]
async fn changes_and_deletions_are_live_within_a_second_at_p99_of_200() {
    let world = World::new().await;
    for number in 0..200 {
        world.control.upsert(&format!("n{number}.example"), 1, &to("http://old.example"));
    }
    let edge = world.started().await;
    let (mut moved, mut deleted) = (Vec::new(), Vec::new());
    for number in 0..200 {
        let name = format!("n{number}.example");
        let published = Instant::now();
        world.control.upsert(&name, 2, &to("http://new.example"));
        spin(|| async { edge.origin(&name).await.as_deref() == Some("http://new.example") }).await;
        moved.push(published.elapsed());
        let published = Instant::now();
        world.control.delete(&name, 3);
        spin(|| async { edge.state(&name).await == Err(Refusal::Denied) }).await;
        deleted.push(published.elapsed());
    }
    for (what, times) in [("origin change", &mut moved), ("deletion", &mut deleted)] {
        times.sort();
        let (p50, p99) = (times.get(99).unwrap(), times.get(197).unwrap());
        println!("{what}: p50 {p50:?}, p99 {p99:?}, worst {:?}", times.last().unwrap());
        assert!(*p99 < Duration::from_secs(1), "{what}: {p99:?}");
    }
    assert_eq!(world.ask.asked_in_all(), 0);
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
    let back = tokio::time::Instant::now();
    world.control.resume().await;
    let polls = || world.control.polls().split_off(before);
    // Each asks twice at once: whether anything is there, and then for what comes.
    wait::until("all edges are back", || std::future::ready((polls().len() >= 2 * EDGES).then_some(()))).await;
    let times: Vec<_> = polls().into_iter().map(|poll| poll - back).collect();
    let slots: Vec<_> = (0..20).map(|slot| times.iter().filter(|t| t.as_millis() / 100 == slot).count()).collect();
    println!("questions in each tenth of a second: {slots:?}");
    assert!(slots.iter().all(|count| *count <= EDGES), "more than half at once: {slots:?}");
}

/// What the line to the control plane may take at once of a thread that visitors are served on; twice that without
/// optimisation.
const TURN: Duration = Duration::from_millis(if cfg!(debug_assertions) { 10 } else { 5 });
const NAMES: usize = 100_000;
const CHANGES: usize = 5_000;

#[test]
fn a_hundred_thousand_names_and_thousands_of_changes_never_hold_up_the_thread_that_serves() {
    // The control plane has threads of its own: what it does is not measured.
    let peer = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = peer.block_on(World::new());
    let name = |number: usize| format!("n{number}.example");
    let line = |number| json!({"name": {"hostname": name(number), "generation": 1, "origin": "http://old.example"}});
    world.control.set_lines((1..=NAMES).map(|number| line(number).to_string()).collect());
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let edge = world.start();
        let snapshot = longest_turn(|| edge.directory.names() == NAMES).await;
        world.control.hold();
        for number in 1..=CHANGES {
            world.control.upsert(&name(number), 2, &to("http://new.example"));
        }
        world.control.release();
        let last = name(CHANGES).parse().unwrap();
        let changes = longest_turn(|| edge.directory.find(&last).is_some_and(|listed| listed.pointing)).await;
        println!("longest turn with {NAMES} names: {snapshot:?}, with {CHANGES} changes: {changes:?}");
        assert!(snapshot < TURN && changes < TURN, "{snapshot:?}, {changes:?}");
        assert_eq!(served(&edge, &[name(1), name(CHANGES), name(NAMES)]).await, ["new", "new", "old"]);
    });
}

/// The longest time that this thread's other tasks had it between two turns of this one. Processor time: what other
/// programs take of the machine is not theirs.
async fn longest_turn(done: impl Fn() -> bool) -> Duration {
    let mut longest = Duration::ZERO;
    let deadline = Instant::now() + wait::LIMIT;
    while !done() {
        assert!(Instant::now() < deadline, "it never came to an end");
        let begun = used();
        tokio::task::yield_now().await;
        longest = longest.max(used() - begun);
    }
    longest
}

/// Processor time of this thread.
fn used() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

/// The first label of the origins' names.
async fn served(edge: &Edge, names: &[String]) -> Vec<String> {
    let mut labels = Vec::new();
    for name in names {
        let origin = edge.origin(name).await.unwrap();
        labels.push(origin.trim_start_matches("http://").split('.').next().unwrap().to_owned());
    }
    labels
}

/// Looks as often as the scheduler lets it: the harness's own pause must not be what is measured.
async fn spin<F: Future<Output = bool>>(look: impl Fn() -> F) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !look().await {
        assert!(Instant::now() < deadline, "a change never became live");
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}
