use clock::Clock;

use super::{
    super::*,
    scene::{DAY, LIFE, Scene, Script, subject, until},
};
use crate::{OrderLimits, Rate};

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// A CA that gives two certificates for a registered domain in a week.
fn two_for_a_domain() -> OrderLimits {
    OrderLimits {
        account: Some(Rate { most: 300, per: Duration::from_secs(3 * 3600) }),
        domain: Some(Rate { most: 2, per: WEEK }),
        name: Some(Rate { most: 5, per: WEEK }),
        renewals_exempt: true,
    }
}

fn limited() -> Scene {
    let mut scene = Scene::new();
    *scene.ca.limits.lock() = two_for_a_domain();
    scene.restart();
    scene
}

/// The reason for which nothing was ordered, and what it says.
async fn refusal(scene: &Scene, text: &str) -> (String, String) {
    let refused = scene.obtain(text).await.map(|_| ()).unwrap_err();
    let ObtainError::Failed { failure } = refused else { panic!("{refused}") };
    (failure.last[0].reason.clone(), failure.last[0].detail.clone())
}

#[tokio::test]
async fn a_limit_that_is_reached_costs_no_order_says_when_there_is_room_and_leaves_others_alone() {
    let scene = limited();
    for name in ["a.shop.example", "b.shop.example"] {
        scene.obtain(name).await.unwrap();
    }
    let (reason, detail) = refusal(&scene, "c.shop.example").await;
    assert_eq!(reason, "waiting_domain");
    assert!(detail.contains("2 new certificates for names of shop.example in 7 days"), "{detail}");
    assert_eq!(scene.ca.orders(), 2);
    let Err(ObtainError::BackingOff { until, failure }) = scene.obtain("c.shop.example").await else { panic!() };
    assert_eq!((failure.attempts, failure.unsaved), (0, false));
    assert!((WEEK / 2..=WEEK * 11 / 20).contains(&until.since(scene.clock.now())), "{until}");
    scene.obtain("a.other.example").await.unwrap();
    scene.clock.set(until);
    scene.obtain("c.shop.example").await.unwrap();
    assert_eq!(scene.ca.orders(), 4);
}

#[tokio::test]
async fn the_next_issuer_gives_what_the_first_one_has_no_room_for() {
    let mut scene = limited();
    let second = scene.add_ca();
    for name in ["a.shop.example", "b.shop.example", "c.shop.example"] {
        scene.obtain(name).await.unwrap();
    }
    assert_eq!((scene.ca.orders(), second.orders()), (2, 1));
}

#[tokio::test]
async fn an_order_that_fails_takes_nothing_from_its_domain() {
    let scene = limited();
    for name in ["a.shop.example", "b.shop.example", "c.shop.example"] {
        scene.ca.script(Script::Refuse("unauthorized"));
        assert_eq!(refusal(&scene, name).await.0, "unauthorized");
    }
    scene.obtain("d.shop.example").await.unwrap();
}

#[tokio::test]
async fn a_restart_forgets_no_order_and_counts_no_renewal() {
    let mut scene = limited();
    scene.obtain("a.shop.example").await.unwrap();
    scene.clock.advance(DAY);
    scene.obtain("b.shop.example").await.unwrap();
    // Renewed before the restart: these count for nothing, however many.
    for n in 0..5 {
        scene.stored(&format!("renewed{n}.shop.example"), Duration::ZERO).await;
    }
    scene.restart();
    let running = scene.run();
    scene.certificates.scanned().await;
    assert_eq!(refusal(&scene, "c.shop.example").await.0, "waiting_domain");
    // One comes back in half a week, and it is there to be had.
    scene.clock.advance(WEEK / 2);
    scene.obtain("d.shop.example").await.unwrap();
    assert_eq!(refusal(&scene, "e.shop.example").await.0, "waiting_domain");
    drop(running);
    scene.restart();
    let _running = scene.run();
    scene.certificates.scanned().await;
    assert_eq!(refusal(&scene, "f.shop.example").await.0, "waiting_domain");
}

#[tokio::test]
async fn a_restart_counts_in_the_order_in_which_was_ordered() {
    for names in [["a.shop.example", "b.shop.example"], ["b.shop.example", "a.shop.example"]] {
        let mut scene = limited();
        scene.obtain(names[0]).await.unwrap();
        // What this took is back before the other is ordered.
        scene.clock.advance(WEEK * 5 / 8);
        scene.obtain(names[1]).await.unwrap();
        scene.restart();
        let _running = scene.run();
        scene.certificates.scanned().await;
        scene.obtain("c.shop.example").await.unwrap();
        assert_eq!(refusal(&scene, "d.shop.example").await.0, "waiting_domain");
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_not_taken_for_a_new_one() {
    let mut scene = limited();
    scene.obtain("a.shop.example").await.unwrap();
    let counted = || async {
        crate::store::counted_at(&scene.store.load(&subject("a.shop.example")).await.unwrap().unwrap().meta)
    };
    assert_eq!(counted().await, Some(scene.clock.now()));
    let running = scene.run();
    scene.certificates.scanned().await;
    scene.clock.advance(LIFE * 3 / 4);
    scene.ca.ordered(2).await;
    until(|| scene.ear.heard().iter().any(|told| told.contains("renewed"))).await;
    assert_eq!(counted().await, None);
    drop(running);
    scene.restart();
    let _running = scene.run();
    scene.certificates.scanned().await;
    for name in ["b.shop.example", "c.shop.example"] {
        scene.obtain(name).await.unwrap();
    }
}

#[tokio::test]
async fn edges_with_one_store_count_together() {
    let (mut one, mut two) = Scene::two(Settings::default());
    *one.ca.limits.lock() = two_for_a_domain();
    one.restart();
    two.restart();
    let _running = [one.run(), two.run()];
    one.certificates.scanned().await;
    two.certificates.scanned().await;
    one.obtain("a.shop.example").await.unwrap();
    two.obtain("b.shop.example").await.unwrap();
    until(|| one.certificates.is_planned(&subject("b.shop.example"))).await;
    until(|| two.certificates.is_planned(&subject("a.shop.example"))).await;
    for edge in [&one, &two] {
        assert_eq!(refusal(edge, "c.shop.example").await.0, "waiting_domain");
    }
    // Each knows its own orders when they come back to it: none counts twice.
    one.obtain("a.other.example").await.unwrap();
    until(|| two.certificates.is_planned(&subject("a.other.example"))).await;
    one.obtain("b.other.example").await.unwrap();
    assert_eq!(one.ca.orders(), 4);
}

#[tokio::test]
async fn a_tenant_whose_names_wait_does_not_keep_another_waiting() {
    let scene = Scene::with(Settings { orders_in_flight: 2, ..Settings::default() });
    scene.ca.close_doors();
    let visit = |text: String, id: &'static str| {
        let certificates = scene.certificates.clone();
        tokio::spawn(async move { certificates.obtain(&text.parse().unwrap(), Some(&id.parse().unwrap())).await })
    };
    let crowd: Vec<_> = (0..50).map(|n| visit(format!("n{n}.crowd.example"), "app_1")).collect();
    until(|| scene.certificates.0.slots.waiting() == 49).await;
    let other = visit("shop.other.example".to_owned(), "app_2");
    until(|| scene.certificates.0.slots.waiting() == 50).await;
    scene.ca.pass(3);
    other.await.unwrap().unwrap();
    assert!(scene.ca.orders() <= 4, "{} orders before it", scene.ca.orders());
    scene.ca.open_doors();
    for visit in crowd {
        visit.await.unwrap().unwrap();
    }
}
