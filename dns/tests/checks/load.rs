//! How much one process can check: printed, not judged.

use std::time::Instant;

use dns::{
    Authority, Limits,
    check::{RecordKind, check_ownership, check_records},
    merge::Verdict,
};
use futures::future::join_all;

use crate::scene::{EDGE, Scene, desired, owner};

const CHECKS: usize = 1000;

/// Resident memory in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Processor time of this process in seconds, the servers' included.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// One name: its CNAME and its token.
async fn check(scene: &Scene, number: usize) -> bool {
    let host = format!("h{number}.customer.test");
    let records = [desired(&host, RecordKind::Cname, EDGE)];
    let name = owner(&format!("_c.{host}"));
    let records = check_records(&scene.resolvers, &records);
    let ownership = check_ownership(&scene.resolvers, &name, "token");
    let (records, ownership) = tokio::join!(records, ownership);
    records[0].state == Verdict::Present { everywhere: true } && ownership.is_proven()
}

#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
async fn round(scene: &Scene, what: &str) {
    let (start, used, asked) = (Instant::now(), processor(), scene.metric("queries_total", None));
    let right = join_all((0..CHECKS).map(|number| check(scene, number))).await.into_iter().filter(|right| *right);
    let right = right.count();
    let (took, used) = (start.elapsed().as_secs_f64(), processor() - used);
    println!(
        "{what}: {CHECKS} names (CNAME and TXT) in {took:.2} s: {:.0} names/s, {:.1} questions each, {:.2} ms of \
         processor each (servers included), {} MiB",
        CHECKS as f64 / took,
        (scene.metric("queries_total", None) - asked) / CHECKS as f64,
        1000.0 * used / CHECKS as f64,
        resident()
    );
    assert_eq!(right, CHECKS);
}

fn fill(scene: &Scene) {
    scene.everywhere(|server| {
        for number in 0..CHECKS {
            server.cname(&format!("h{number}.customer.test"), EDGE);
            server.txt(&format!("_c.h{number}.customer.test"), &["token"]);
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_names_at_once_are_all_right() {
    let limits = || Limits { queries_in_flight: 128, ..Limits::default() };
    let scene = Scene::with(|config| config.limits = limits()).await;
    fill(&scene);
    round(&scene, "4 servers, zones unknown").await;
    round(&scene, "4 servers, zones known").await;
    let scene = Scene::with(|config| {
        config.limits = limits();
        config.authority = Authority::Skip;
        config.servers.truncate(1);
    });
    let scene = scene.await;
    fill(&scene);
    round(&scene, "1 resolver").await;
}
