//! What was served before a restart is served after it, whether the control plane is there or not.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use control_client::{Freshness, Refusal};
use test_support::wait;

use crate::harness::{World, to};

const STALE: Result<Freshness, Refusal> = Ok(Freshness::Stale);

fn host(number: usize) -> String {
    format!("n{number}.example")
}

/// Ends when a change is on disk.
async fn until_written(path: &Path, text: &str) {
    let read = || fs::read_to_string(path).ok().filter(|lines| lines.contains(text)).map(drop);
    wait::until(&format!("{text} is on disk"), || std::future::ready(read())).await;
}

#[tokio::test]
async fn a_crash_with_the_control_plane_down_loses_no_name_and_brings_none_back() {
    let mut world = World::new().await;
    for number in 0..100 {
        world.control.upsert(&host(number), 1, &to("http://app.example"));
    }
    let edge = world.started().await;
    let changes = world.path("control/changes.ndjson");
    until_written(&changes, "base").await;
    world.control.upsert(&host(1), 2, &to("http://new.example"));
    world.control.upsert("late.example", 1, &to("http://app.example"));
    world.control.delete(&host(2), 2);
    until_written(&changes, "delete").await;
    drop(edge);
    world.control.stop().await;
    world.ask.stop().await;

    for cut in [false, true] {
        if cut {
            // A crash in the middle of a line.
            let mut text = fs::read(&changes).unwrap();
            text.extend_from_slice(b"{\"change\":{\"seq\":");
            fs::write(&changes, text).unwrap();
        }
        let edge = world.start();
        for number in (0..100).filter(|number| *number != 2) {
            assert_eq!(edge.state(&host(number)).await, STALE, "{number}");
        }
        assert_eq!(edge.origin(&host(1)).await.as_deref(), Some("http://new.example"));
        assert_eq!(edge.state("late.example").await, STALE);
        assert_eq!(edge.state(&host(2)).await, Err(Refusal::Unavailable));
    }
    world.control.resume().await;
    let edge = world.started().await;
    edge.until_state(&host(0), Ok(Freshness::Fresh)).await;
    assert_eq!(edge.state(&host(2)).await, Err(Refusal::Denied));
    assert_eq!(world.control.snapshots(), 1, "the feed goes on where it stood");
}

#[tokio::test]
async fn files_are_for_the_owner_alone() {
    let world = World::new().await;
    world.control.upsert("a.example", 1, &to("http://app.example"));
    world.started().await.stop().await;
    let mode = |file: &str| fs::metadata(world.path(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("control/names.ndjson"), mode("control/changes.ndjson"), mode("control")), (0o600, 0o600, 0o700));
}

#[tokio::test]
async fn a_broken_file_is_left_out_and_made_good() {
    let world = World::new().await;
    for number in 0..100 {
        world.control.upsert(&host(number), 1, &to("http://app.example"));
    }
    world.started().await.stop().await;
    let path = world.path("control/names.ndjson");
    let good = fs::read(&path).unwrap();
    let half = good.get(..good.len() / 2).unwrap().to_vec();
    let flipped: Vec<u8> = String::from_utf8(good).unwrap().replacen("app.example", "bad.example", 1).into_bytes();
    for (broken, round) in [half, flipped, b"\0\xff\n".to_vec(), vec![b'x'; 100_000]].into_iter().zip(2..) {
        fs::write(&path, broken).unwrap();
        let edge = world.start();
        assert_eq!(edge.metric("disk_failures_total{action=\"broken\"}"), 1);
        edge.until_state(&host(99), Ok(Freshness::Fresh)).await;
        assert_eq!(world.control.snapshots(), round);
        edge.stop().await;
    }
}
