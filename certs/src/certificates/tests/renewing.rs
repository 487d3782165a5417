use std::sync::atomic::Ordering;

use clock::Clock;

use super::{
    super::*,
    scene::{DAY, LIFE, Scene, Script, name, subject, until},
};
use crate::RenewalHint;

/// Moves the clock on until `question` is answered with yes; how far it was moved.
async fn advance_until(scene: &Scene, step: Duration, mut question: impl FnMut() -> bool) -> Duration {
    let start = scene.clock.now();
    until(|| {
        let yes = question();
        if !yes {
            scene.clock.advance(step);
        }
        yes
    })
    .await;
    scene.clock.now().since(start)
}

/// Lets every task run until it waits.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_certificate_is_renewed_in_its_window_without_a_visitor() {
    let scene = Scene::new();
    scene.stored("quiet.example", Duration::ZERO).await;
    let _running = scene.run();
    settle().await;
    for _ in 0..59 {
        scene.clock.advance(DAY);
        settle().await;
    }
    assert_eq!(scene.ca.orders(), 0, "too early");
    for _ in 0..4 {
        scene.clock.advance(DAY);
        settle().await;
    }
    assert_eq!(scene.ca.orders(), 1);
    let leaf = scene.certificates.find(&name("quiet.example"), None).expect("the new certificate is served at once");
    assert!(leaf.not_after() > scene.clock.now() + LIFE - 5 * DAY);
}

#[tokio::test]
async fn the_old_certificate_is_served_while_the_new_one_is_ordered() {
    let scene = Scene::new();
    let old = scene.obtain("a.example").await.unwrap();
    scene.ca.close_doors();
    let _running = scene.run();
    settle().await;
    scene.clock.advance(70 * DAY);
    scene.ca.ordered(2).await;
    assert_eq!(scene.obtain("a.example").await.unwrap().serial(), old.serial());
    scene.ca.open_doors();
    until(|| scene.certificates.find(&name("a.example"), None).unwrap().serial() != old.serial()).await;
    assert_eq!(scene.ca.orders(), 2);
}

#[tokio::test]
async fn the_issuers_window_decides_when_there_is_one() {
    let scene = Scene::new();
    let now = scene.clock.now();
    let hint = RenewalHint { start: now + 10 * DAY, end: now + 11 * DAY, ask_again: now + DAY };
    *scene.ca.hint.lock() = Some(hint);
    scene.stored("a.example", Duration::ZERO).await;
    let _running = scene.run();
    settle().await;
    scene.clock.advance(Duration::from_secs(6 * 3600));
    settle().await;
    scene.clock.set(now + 10 * DAY - Duration::from_secs(60));
    settle().await;
    assert_eq!(scene.ca.orders(), 0);
    scene.clock.set(now + 11 * DAY);
    scene.ca.ordered(1).await;
}

#[tokio::test]
async fn a_name_that_the_gate_refuses_is_not_renewed_until_it_allows_again() {
    let scene = Scene::new();
    scene.gate.say(Permission::Stop);
    scene.stored("gone.example", Duration::ZERO).await;
    let _running = scene.run();
    settle().await;
    scene.clock.advance(70 * DAY);
    until(|| scene.gate.asked.load(Ordering::SeqCst)).await;
    settle().await;
    assert_eq!(scene.ca.orders(), 0);
    assert_eq!(scene.certificates.explain(&name("gone.example")).await.state, "refused");
    scene.gate.say(Permission::Renew);
    scene.clock.advance(DAY);
    scene.ca.ordered(1).await;
}

#[tokio::test]
async fn a_gate_that_cannot_be_asked_stops_no_renewal() {
    let scene = Scene::new();
    scene.gate.say(Permission::Unknown);
    scene.stored("a.example", Duration::ZERO).await;
    let _running = scene.run();
    settle().await;
    scene.clock.advance(70 * DAY);
    scene.ca.ordered(1).await;
    assert!(scene.gate.asked.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_renewal_that_fails_is_tried_until_it_succeeds_and_never_hammers() {
    let scene = Scene::new();
    scene.stored("a.example", Duration::ZERO).await;
    let _running = scene.run();
    settle().await;
    for _ in 0..3 {
        scene.ca.script(Script::Refuse("dns"));
    }
    scene.clock.advance(63 * DAY);
    scene.ca.ordered(1).await;
    let took = advance_until(&scene, Duration::from_secs(30), || scene.ca.orders() == 4).await;
    assert!(took > Duration::from_secs(6660), "the ladder is kept: {took:?}");
    assert!(took < Duration::from_secs(3 * 3600), "{took:?}");
    until(|| {
        scene.certificates.find(&name("a.example"), None).is_some_and(|l| l.not_before() > scene.clock.now() - DAY)
    })
    .await;
}

#[tokio::test]
async fn many_certificates_that_come_due_at_once_take_turns() {
    let scene = Scene::with(Settings { orders_in_flight: 8, ..Settings::default() });
    for i in 0..50 {
        scene.stored(&format!("host{i}.example"), 70 * DAY).await;
    }
    scene.ca.close_doors();
    let _running = scene.run();
    scene.ca.ordered(2).await;
    settle().await;
    assert_eq!(scene.ca.orders(), 2, "a quarter of the slots");
    // A new name does not stand in their line.
    let certificates = scene.certificates.clone();
    let visitor = tokio::spawn(async move { certificates.obtain(&name("new.example"), None).await });
    scene.ca.ordered(3).await;
    scene.ca.open_doors();
    visitor.await.unwrap().unwrap();
    scene.ca.ordered(51).await;
    settle().await;
    assert_eq!(scene.ca.orders(), 51);
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_renews_in_turns_and_one_that_jumps_back_renews_nothing() {
    let scene = Scene::with(Settings { orders_in_flight: 8, ..Settings::default() });
    for i in 0..50 {
        scene.stored(&format!("host{i}.example"), 10 * DAY).await;
    }
    let _running = scene.run();
    settle().await;
    let now = scene.clock.now();
    scene.clock.set(now - 60 * DAY);
    settle().await;
    assert_eq!(scene.ca.orders(), 0, "back");
    scene.ca.close_doors();
    scene.clock.set(now + 60 * DAY);
    scene.ca.ordered(2).await;
    settle().await;
    assert_eq!(scene.ca.orders(), 2, "ahead: all are due, a quarter of the slots is theirs");
    // Set right again, what was not begun is not due any more; what was is ended.
    scene.clock.set(now);
    scene.ca.open_doors();
    settle().await;
    assert!(scene.ca.orders() < 10, "{} of 50 were renewed for nothing", scene.ca.orders());
}

#[tokio::test]
async fn an_order_that_a_crash_cut_off_is_gone_on_with_at_the_start() {
    let scene = Scene::new();
    scene.ca.unfinished.lock().push(subject("cut.example"));
    scene.stored("done.example", DAY).await;
    scene.ca.unfinished.lock().push(subject("done.example"));
    let _running = scene.run();
    scene.ca.ordered(1).await;
    until(|| scene.certificates.find(&name("cut.example"), None).is_some()).await;
    until(|| scene.ca.settled.lock().len() == 2).await;
    assert_eq!(scene.ca.orders(), 1, "the stored one's order is over");
}

#[tokio::test]
async fn a_panic_in_a_renewal_costs_that_attempt_only() {
    let scene = Scene::new();
    scene.stored("a.example", 70 * DAY).await;
    scene.ca.script(Script::Panic);
    let _running = scene.run();
    scene.ca.ordered(1).await;
    advance_until(&scene, Duration::from_secs(10), || scene.ca.orders() == 2).await;
}

#[tokio::test]
async fn the_loop_shows_that_it_lives() {
    let scene = Scene::new();
    let _running = scene.run();
    let start = scene.clock.now();
    until(|| scene.certificates.heartbeat() == start).await;
    scene.clock.advance(Duration::from_secs(31));
    until(|| scene.certificates.heartbeat() == scene.clock.now()).await;
}

#[tokio::test]
async fn a_certificate_of_a_minute_rolls_over_again_and_again() {
    let scene = Scene::new();
    *scene.ca.life.lock() = Duration::from_secs(60);
    scene.obtain("a.example").await.unwrap();
    let _running = scene.run();
    for _ in 0..600 {
        scene.clock.advance(Duration::from_secs(1));
        settle().await;
        assert!(scene.certificates.find(&name("a.example"), None).is_some(), "at every moment there is a valid one");
    }
    assert!((15..=25).contains(&scene.ca.orders()), "{}", scene.ca.orders());
}

#[tokio::test]
async fn a_renewal_with_an_obstacle_costs_no_order_and_is_tried_again_while_the_old_certificate_is_served() {
    let scene = Scene::new();
    let old = scene.obtain("a.example").await.unwrap();
    for _ in 0..3 {
        scene.ca.obstacle("points_elsewhere");
    }
    let _running = scene.run();
    settle().await;
    scene.clock.advance(70 * DAY);
    let took = advance_until(&scene, Duration::from_secs(30), || scene.ca.orders() == 2).await;
    assert!(took <= Duration::from_secs(10 * 60), "{took:?}");
    let heard = scene.ear.heard();
    let failed = heard.iter().filter(|told| told.starts_with("a.example not renewed")).count();
    assert_eq!(failed, 3, "{heard:?}");
    until(|| scene.certificates.find(&name("a.example"), None).is_some_and(|leaf| leaf.serial() != old.serial())).await;
}
