//! Reports of certificates reach the control plane, whatever happens on the way.

use std::collections::BTreeSet;

use control_api::{CertificateReport, Problem, ReportKind};
use test_support::{FakeControl, wait};

use crate::harness::{Edge, World, name};

fn report(number: usize) -> CertificateReport {
    CertificateReport {
        id: String::new(),
        hostname: name(&format!("n{number}.example")),
        kind: ReportKind::Failed,
        at_ms: 5,
        issuer: "https://ca.example/directory".to_owned(),
        attempt: 1,
        serial: None,
        not_before_ms: None,
        not_after_ms: None,
        problem: Some(Problem { kind: "urn:ietf:params:acme:error:caa".to_owned(), ..Problem::default() }),
        next_attempt_ms: None,
    }
}

/// Different names in the reports that were taken.
fn taken(control: &FakeControl) -> usize {
    control.reports().iter().map(|report| report["hostname"].to_string()).collect::<BTreeSet<_>>().len()
}

async fn until_taken(control: &FakeControl, count: usize) {
    wait::until(&format!("{count} reports are taken"), || std::future::ready((taken(control) >= count).then_some(())))
        .await;
}

async fn until_queued(edge: &Edge, count: u64) {
    edge.until_metric("reports_queued", count).await;
}

#[tokio::test]
async fn a_report_arrives_with_an_id_of_its_own() {
    let world = World::new().await;
    let edge = world.started().await;
    (0..300).for_each(|number| edge.reporter.report(report(number)));
    until_taken(&world.control, 300).await;
    let ids: BTreeSet<_> = world.control.reports().iter().map(|report| report["id"].to_string()).collect();
    assert_eq!(ids.len(), 300);
    let first = world.control.reports().swap_remove(0);
    assert_eq!(first["problem"]["type"], "urn:ietf:params:acme:error:caa");
    edge.until_metric("reports_sent_total", 300).await;
    wait::until("none is left", || std::future::ready((edge.metric("reports_queued") == 0).then_some(()))).await;
}

#[tokio::test]
async fn reports_survive_an_outage_a_crash_and_a_stop() {
    let mut world = World::new().await;
    world.control.stop().await;
    let edge = world.start();
    (0..700).for_each(|number| edge.reporter.report(report(number)));
    until_queued(&edge, 700).await;
    drop(edge);
    let edge = world.start();
    assert_eq!(edge.metric("reports_queued"), 700);
    (700..800).for_each(|number| edge.reporter.report(report(number)));
    edge.stop().await;
    let edge = world.start();
    assert_eq!(edge.metric("reports_queued"), 800, "a stop stores what was reported");
    world.control.resume().await;
    until_taken(&world.control, 800).await;
    assert_eq!(world.control.reports().len(), 800, "nothing was sent twice without need");
}

#[tokio::test]
async fn what_the_control_plane_refuses_does_not_hold_up_the_rest() {
    let world = World::new().await;
    world.control.answer_reports(422);
    let edge = world.started().await;
    (0..3).for_each(|number| edge.reporter.report(report(number)));
    edge.until_metric("reports_dropped_total{reason=\"refused\"}", 3).await;
    world.control.answer_reports(503);
    (3..6).for_each(|number| edge.reporter.report(report(number)));
    edge.until_metric("report_failures_total{result=\"status\"}", 2).await;
    world.control.answer_reports(204);
    until_taken(&world.control, 3).await;
}

#[tokio::test]
async fn above_the_limit_reports_are_dropped_and_counted() {
    let mut world = World::new().await;
    world.limits.reports = 10;
    world.control.stop().await;
    let edge = world.start();
    (0..25).for_each(|number| edge.reporter.report(report(number)));
    edge.until_metric("reports_dropped_total{reason=\"limit\"}", 15).await;
    assert_eq!(edge.metric("reports_queued"), 10);
}

#[tokio::test]
async fn what_the_old_process_reports_until_its_end_is_sent_by_the_new_one() {
    let mut world = World::new().await;
    world.control.stop().await;
    let old = world.start();
    old.reporter.report(report(0));
    until_queued(&old, 1).await;
    let new = world.start();
    (1..5).for_each(|number| old.reporter.report(report(number)));
    new.reporter.report(report(5));
    until_queued(&old, 5).await;
    old.stop().await;
    world.control.resume().await;
    until_taken(&world.control, 6).await;
    wait::until("none is left", || std::future::ready((new.metric("reports_queued") == 0).then_some(()))).await;
}
