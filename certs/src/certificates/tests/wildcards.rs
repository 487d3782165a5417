//! One certificate for all names below another.

use super::{
    super::*,
    scene::{DAY, LIFE, Scene, Script, name, subject, until, within},
};

const WILDCARD: &str = "*.apps.example";

async fn serial(scene: &Scene, text: &str) -> String {
    scene.certificates.obtain(&name(text), None).await.unwrap().serial().to_owned()
}

#[tokio::test]
async fn names_below_a_wildcard_are_served_by_it_and_order_nothing() {
    let scene = Scene::new();
    let wildcard = scene.certificates.obtain_ahead(&subject(WILDCARD), None).await.unwrap();
    for visited in ["a.apps.example", "b.apps.example"] {
        assert_eq!(scene.certificates.find(&name(visited), None).unwrap().serial(), wildcard.serial());
        assert_eq!(serial(&scene, visited).await, wildcard.serial());
    }
    assert_eq!((scene.ca.orders(), scene.store.loads()), (1, 2), "the names cost no look into the store");
    for uncovered in ["apps.example", "b.a.apps.example"] {
        assert!(scene.certificates.find(&name(uncovered), None).is_none());
        assert_ne!(serial(&scene, uncovered).await, wildcard.serial());
    }
    assert_eq!(scene.ca.orders(), 3);
}

#[tokio::test]
async fn a_stored_wildcard_is_found_by_the_first_name_and_kept_once_for_all() {
    let mut scene = Scene::new();
    let wildcard = scene.certificates.obtain_ahead(&subject(WILDCARD), None).await.unwrap();
    scene.restart();
    let loads = scene.store.loads();
    assert_eq!(serial(&scene, "a.apps.example").await, wildcard.serial());
    assert_eq!(serial(&scene, "b.apps.example").await, wildcard.serial());
    assert_eq!((scene.store.loads() - loads, scene.ca.orders()), (1, 1));
}

#[tokio::test]
async fn a_renewed_wildcard_reaches_every_name_below_it_at_once() {
    let scene = Scene::new();
    let _running = scene.run();
    let old = scene.certificates.obtain_ahead(&subject(WILDCARD), None).await.unwrap();
    assert_eq!(serial(&scene, "a.apps.example").await, old.serial());
    scene.clock.advance(LIFE - 20 * DAY);
    scene.ca.ordered(2).await;
    let found = || scene.certificates.find(&name("a.apps.example"), None).unwrap().serial() != old.serial();
    until(found).await;
    assert_eq!(scene.ca.orders(), 2, "the names below are not renewed themselves");
}

#[tokio::test]
async fn a_name_is_served_by_its_own_certificate_as_long_as_it_has_one() {
    let mut scene = Scene::new();
    let own = serial(&scene, "a.apps.example").await;
    let wildcard = scene.certificates.obtain_ahead(&subject(WILDCARD), None).await.unwrap();
    assert_eq!(serial(&scene, "a.apps.example").await, own);
    // The wildcard is at hand before anybody has read the name's own after a restart.
    scene.restart();
    let _running = scene.run();
    within(scene.certificates.scanned()).await;
    scene.certificates.obtain_ahead(&subject(WILDCARD), None).await.unwrap();
    assert_eq!(serial(&scene, "a.apps.example").await, own);
    scene.certificates.release(&name("a.apps.example"), None);
    assert_eq!(scene.certificates.find(&name("a.apps.example"), None).unwrap().serial(), wildcard.serial());
}

#[tokio::test]
async fn a_visit_while_the_wildcard_is_ordered_waits_for_it() {
    let scene = Scene::new();
    scene.ca.close_doors();
    let ahead = scene.certificates.clone();
    let ordering = tokio::spawn(async move { ahead.obtain_ahead(&subject(WILDCARD), None).await });
    scene.ca.ordered(1).await;
    let certificates = scene.certificates.clone();
    let visit = tokio::spawn(async move { certificates.obtain(&name("a.apps.example"), None).await });
    until(|| scene.certificates.0.orders.is_open(&subject("a.apps.example"))).await;
    scene.ca.open_doors();
    let (wildcard, visited) = (ordering.await.unwrap().unwrap(), visit.await.unwrap().unwrap());
    assert_eq!((visited.serial(), scene.ca.orders()), (wildcard.serial(), 1));
}

#[tokio::test]
async fn a_wildcard_that_cannot_be_had_keeps_no_name_from_its_own_certificate() {
    let scene = Scene::new();
    scene.ca.script(Script::Refuse("unauthorized"));
    assert!(scene.certificates.obtain_ahead(&subject(WILDCARD), None).await.is_err());
    assert!(
        scene.certificates.obtain(&name("a.apps.example"), None).await.unwrap().is_named(&subject("a.apps.example"))
    );
    // And its failure is remembered like any other.
    let again = scene.certificates.obtain_ahead(&subject(WILDCARD), None).await;
    assert!(matches!(again, Err(ObtainError::BackingOff { .. })), "{again:?}");
}
