use clock::Clock;

use super::{
    super::*,
    scene::{DAY, Scene, Script, name, subject, until, within},
};
use crate::{OrderLimits, Rate};

#[tokio::test]
async fn a_thousand_visitors_of_a_new_name_make_one_order_and_all_succeed() {
    let scene = Scene::new();
    scene.ca.close_doors();
    let visitors: Vec<_> = (0..1000)
        .map(|_| {
            let certificates = scene.certificates.clone();
            tokio::spawn(async move { certificates.obtain(&name("new.example"), None).await })
        })
        .collect();
    scene.ca.ordered(1).await;
    scene.ca.open_doors();
    let mut serials = std::collections::HashSet::new();
    for visitor in visitors {
        serials.insert(within(visitor).await.unwrap().unwrap().serial().to_owned());
    }
    assert_eq!((serials.len(), scene.ca.orders()), (1, 1));
    until(|| *scene.ca.settled.lock() == [subject("new.example")]).await;
}

#[tokio::test(start_paused = true)]
async fn a_visitor_waits_no_longer_than_the_limit_and_the_next_one_finds_the_certificate() {
    let scene = Scene::new();
    scene.ca.close_doors();
    let start = Instant::now();
    let error = scene.obtain("slow.example").await.unwrap_err();
    assert!(matches!(error, ObtainError::StillIssuing { .. }), "{error}");
    assert_eq!(start.elapsed(), scene.settings.handshake_wait);
    assert_eq!(scene.certificates.explain(&name("slow.example")).await.state, "issuing");
    scene.ca.open_doors();
    scene.obtain("slow.example").await.unwrap();
    assert_eq!(scene.ca.orders(), 1);
}

#[tokio::test]
async fn a_visitor_who_leaves_cancels_nothing() {
    let scene = Scene::new();
    scene.ca.close_doors();
    let certificates = scene.certificates.clone();
    let visitor = tokio::spawn(async move { certificates.obtain(&name("left.example"), None).await });
    scene.ca.ordered(1).await;
    visitor.abort();
    scene.ca.open_doors();
    scene.obtain("left.example").await.unwrap();
    assert_eq!(scene.ca.orders(), 1);
}

#[tokio::test]
async fn a_failure_goes_to_everybody_who_waits_and_is_remembered_across_a_restart() {
    let mut scene = Scene::new();
    scene.ca.close_doors();
    scene.ca.script(Script::Refuse("caa"));
    let visitors: Vec<_> = (0..10)
        .map(|_| {
            let certificates = scene.certificates.clone();
            tokio::spawn(async move { certificates.obtain(&name("bad.example"), None).await })
        })
        .collect();
    scene.ca.ordered(1).await;
    scene.ca.open_doors();
    for visitor in visitors {
        let error = visitor.await.unwrap().unwrap_err();
        let (ObtainError::Failed { failure } | ObtainError::BackingOff { failure, .. }) = error else {
            panic!("{error}")
        };
        assert_eq!(failure.last[0].reason, "caa");
        assert_eq!(failure.last[0].problem, Some(serde_json::json!({"type": "caa"})));
    }
    scene.restart();
    let error = scene.obtain("bad.example").await.unwrap_err();
    let ObtainError::BackingOff { until: next, .. } = error else { panic!("{error}") };
    assert_eq!(scene.ca.orders(), 1);
    assert_eq!(scene.certificates.explain(&name("bad.example")).await.state, "backoff");

    scene.clock.set(next);
    scene.obtain("bad.example").await.unwrap();
    assert_eq!(scene.ca.orders(), 2);
    until(|| !scene.ca.settled.lock().is_empty()).await;
    within(async { while scene.certificates.explain(&name("bad.example")).await.failure.is_some() {} }).await;
}

#[tokio::test]
async fn a_name_never_has_more_than_four_failed_authorizations_an_hour() {
    let scene = Scene::new();
    let hour = Duration::from_secs(3600);
    let mut failed = Vec::new();
    while failed.len() < 12 {
        scene.ca.script(Script::Refuse("unauthorized"));
        let before = scene.ca.orders();
        scene.obtain("bad.example").await.unwrap_err();
        if scene.ca.orders() > before {
            failed.push(scene.clock.now());
        }
        scene.clock.advance(Duration::from_secs(300));
    }
    for window in failed.windows(5) {
        assert!(window[4].since(window[0]) >= hour);
    }
}

#[tokio::test]
async fn the_second_issuer_is_asked_when_the_first_fails_and_both_are_heard() {
    let mut scene = Scene::new();
    let second = scene.add_ca();
    scene.ca.script(Script::Unreachable);
    scene.obtain("a.example").await.unwrap();
    assert_eq!((scene.ca.orders(), second.orders()), (1, 1));

    scene.ca.script(Script::Unreachable);
    second.script(Script::Refuse("caa"));
    let error = scene.obtain("b.example").await.unwrap_err();
    let ObtainError::Failed { failure } = error else { panic!("{error}") };
    let reasons: Vec<_> = failure.last.iter().map(|attempt| attempt.reason.as_str()).collect();
    assert_eq!(reasons, ["unreachable", "caa"]);
}

#[tokio::test]
async fn an_issuer_that_is_down_is_left_alone_for_a_while() {
    let mut scene = Scene::new();
    let second = scene.add_ca();
    for i in 0..10 {
        scene.ca.script(Script::Unreachable);
        scene.obtain(&format!("host{i}.example")).await.unwrap();
    }
    assert_eq!((scene.ca.orders(), second.orders()), (3, 10));
    scene.clock.advance(Duration::from_secs(6));
    scene.obtain("later.example").await.unwrap();
    assert_eq!(scene.ca.orders(), 4, "one order finds out whether it is back");
}

#[tokio::test]
async fn a_task_that_dies_frees_the_name() {
    let scene = Scene::new();
    scene.ca.script(Script::Panic);
    let error = scene.obtain("a.example").await.unwrap_err();
    assert!(matches!(error, ObtainError::Died), "{error}");
    scene.obtain("a.example").await.unwrap();
}

#[tokio::test]
async fn an_expired_certificate_is_ordered_anew_like_a_missing_one() {
    let scene = Scene::new();
    scene.stored("old.example", 100 * DAY).await;
    let leaf = scene.obtain("old.example").await.unwrap();
    assert!(leaf.is_valid_at(scene.clock.now()));
    assert_eq!(scene.ca.orders(), 1);
}

#[tokio::test]
async fn names_are_never_mixed_up() {
    let scene = Scene::new();
    let leaves = tokio::join!(scene.obtain("a.example"), scene.obtain("b.example"));
    assert!(leaves.0.unwrap().covers(&name("a.example")));
    assert!(leaves.1.unwrap().covers(&name("b.example")));
}

#[tokio::test]
async fn an_obstacle_costs_no_order_and_the_name_is_looked_at_again_within_minutes() {
    let mut scene = Scene::new();
    let mut waits = Vec::new();
    for _ in 0..6 {
        scene.ca.obstacle("dns_nxdomain");
        let ObtainError::Failed { failure } = scene.obtain("early.example").await.unwrap_err() else { panic!() };
        assert_eq!((failure.last[0].reason.as_str(), failure.attempts), ("dns_nxdomain", 0));
        assert_eq!(failure.last[0].detail, "nothing was ordered: scripted. none");
        assert!(matches!(scene.obtain("early.example").await, Err(ObtainError::BackingOff { .. })));
        waits.push(failure.next_order().since(scene.clock.now()).as_secs());
        scene.clock.set(failure.next_order());
    }
    for (wait, rung) in waits.iter().zip([60, 120, 240, 480, 600, 600]) {
        assert!((rung..=rung + rung / 10).contains(wait), "{wait} after {rung}");
    }
    assert_eq!(scene.ca.orders(), 0);
    assert_eq!(scene.ear.heard().last().unwrap(), "early.example failed 6");
    // A restart may look at once: no CA has counted anything.
    scene.ca.obstacle("dns_nxdomain");
    scene.obtain("early.example").await.unwrap_err();
    scene.restart();
    scene.obtain("early.example").await.unwrap();
    assert_eq!(scene.ca.orders(), 1);
}

#[tokio::test]
async fn an_obstacle_spends_nothing_of_what_the_ca_allows() {
    let mut scene = Scene::new();
    let account = Some(Rate { most: 1, per: DAY });
    *scene.ca.limits.lock() = OrderLimits { account, renewals_exempt: true, ..OrderLimits::default() };
    scene.restart();
    for name in ["a.example", "b.example", "c.example"] {
        scene.ca.obstacle("points_elsewhere");
        scene.obtain(name).await.unwrap_err();
    }
    scene.obtain("ready.example").await.unwrap();
}

#[tokio::test]
async fn an_issuer_that_has_an_obstacle_is_passed_over_for_the_next() {
    let mut scene = Scene::new();
    let second = scene.add_ca();
    scene.ca.obstacle("caa_forbids");
    scene.obtain("a.example").await.unwrap();
    assert_eq!((scene.ca.orders(), second.orders()), (0, 1));
    // What the one that was asked says is what counts.
    scene.ca.obstacle("caa_forbids");
    second.script(Script::Refuse("caa"));
    let ObtainError::Failed { failure } = scene.obtain("b.example").await.unwrap_err() else { panic!() };
    let reasons: Vec<_> = failure.last.iter().map(|attempt| attempt.reason.as_str()).collect();
    assert_eq!((reasons, failure.attempts), (vec!["caa_forbids", "caa"], 1));
}
