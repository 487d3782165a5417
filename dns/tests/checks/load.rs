//! How much one process can check: printed, not judged.

use std::time::{Duration, Instant};

use dns::check::{RecordKind, check_ownership, check_records};
use dns::{Limits, merge::Verdict};
use futures::future::join_all;

use crate::scene::{EDGE, Scene, desired, owner};

/// Resident memory in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_checks_at_once_are_all_right() {
    const CHECKS: usize = 1000;
    let scene = Scene::with(|config| {
        config.limits = Limits { attempt_timeout: Duration::from_secs(2), ..Limits::default() };
    });
    let scene = scene.await;
    scene.everywhere(|server| {
        for number in 0..CHECKS {
            server.cname(&format!("h{number}.customer.test"), EDGE);
            server.txt(&format!("_c.h{number}.customer.test"), &["token"]);
        }
    });
    let (before, start) = (resident(), Instant::now());
    let check = async |number: usize| {
        let host = format!("h{number}.customer.test");
        let records = [desired(&host, RecordKind::Cname, EDGE)];
        let name = owner(&format!("_c.{host}"));
        let (records, ownership) =
            tokio::join!(check_records(&scene.resolvers, &records), check_ownership(&scene.resolvers, &name, "token"));
        records[0].state == Verdict::Present { everywhere: true } && ownership.is_proven()
    };
    let right = join_all((0..CHECKS).map(check)).await.into_iter().filter(|right| *right).count();
    let (took, questions) = (start.elapsed(), scene.metric("queries_total", None));
    println!(
        "{CHECKS} checks (CNAME and TXT, 4 servers) in {took:?}: {:.0} checks/s, {:.0} questions/s, {} -> {} MiB",
        CHECKS as f64 / took.as_secs_f64(),
        questions / took.as_secs_f64(),
        before,
        resident()
    );
    assert_eq!(right, CHECKS);
}
