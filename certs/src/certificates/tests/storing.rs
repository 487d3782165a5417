use clock::Clock;

use super::{
    super::*,
    scene::{DAY, Scene, name, subject, until},
};

#[tokio::test]
async fn a_stored_certificate_is_served_after_a_restart_without_an_order() {
    let mut scene = Scene::new();
    let serial = scene.obtain("a.example").await.unwrap().serial().to_owned();
    scene.restart();
    assert!(scene.certificates.find(&name("a.example"), None).is_none());
    assert_eq!(scene.certificates.explain(&name("a.example")).await.source, "store");
    assert!(scene.certificates.find(&name("a.example"), None).is_none(), "explaining has no side effect");
    let leaf = scene.certificates.load(&name("a.example"), None).await.unwrap().unwrap();
    assert_eq!(leaf.serial(), serial);
    assert!(scene.certificates.find(&name("a.example"), None).is_some());
    assert_eq!(scene.ca.orders(), 1);
}

#[tokio::test]
async fn an_error_of_the_store_never_leads_to_an_order() {
    let scene = Scene::new();
    scene.store.break_down();
    let error = scene.obtain("a.example").await.unwrap_err();
    assert!(matches!(error, ObtainError::Load(LoadError::Store(_))), "{error}");
    assert!(scene.certificates.load(&name("a.example"), None).await.is_err());
    assert_eq!(scene.ca.orders(), 0);
}

#[tokio::test]
async fn a_broken_stored_certificate_is_an_error_and_not_a_missing_one() {
    let scene = Scene::new();
    let mut bundle = scene.ca.bundle(&subject("a.example"), scene.clock.now());
    bundle.key_pem = crate::fixture::bundle("a.example").key_pem;
    scene.store.save(&subject("a.example"), &bundle).await.unwrap();
    let error = scene.obtain("a.example").await.unwrap_err();
    assert!(matches!(error, ObtainError::Load(LoadError::Leaf(_))), "{error}");
    assert_eq!(scene.ca.orders(), 0);
    scene.obtain("b.example").await.unwrap();
}

#[tokio::test]
async fn a_missing_name_is_looked_for_once_in_a_while() {
    let scene = Scene::new();
    for _ in 0..100 {
        assert!(scene.certificates.load(&name("missing.example"), None).await.unwrap().is_none());
    }
    assert_eq!(scene.store.loads(), 1);
    scene.clock.advance(Duration::from_secs(6));
    scene.stored("missing.example", DAY).await;
    assert!(scene.certificates.load(&name("missing.example"), None).await.unwrap().is_some());
}

#[tokio::test]
async fn one_name_is_read_once_however_many_ask() {
    let scene = Scene::new();
    scene.stored("a.example", DAY).await;
    let readers: Vec<_> = (0..100)
        .map(|_| {
            let certificates = scene.certificates.clone();
            tokio::spawn(async move { certificates.load(&name("a.example"), None).await })
        })
        .collect();
    for reader in readers {
        assert!(reader.await.unwrap().unwrap().is_some());
    }
    assert_eq!(scene.store.loads(), 1);
}

#[tokio::test]
async fn a_full_disk_keeps_the_new_certificate_in_service_and_places_no_second_order() {
    let scene = Scene::with(Settings { cache_bytes: 0, ..Settings::default() });
    let _running = scene.run();
    scene.store.set_full(true);
    let serial = scene.obtain("a.example").await.unwrap().serial().to_owned();
    for _ in 0..3 {
        scene.clock.advance(Duration::from_secs(11));
        tokio::task::yield_now().await;
        assert_eq!(scene.obtain("a.example").await.unwrap().serial(), serial);
    }
    assert!(scene.ca.settled.lock().is_empty(), "the order stays in the journal");
    scene.store.set_full(false);
    until(|| {
        scene.clock.advance(Duration::from_secs(1));
        !scene.ca.settled.lock().is_empty()
    })
    .await;
    assert_eq!(scene.obtain("a.example").await.unwrap().serial(), serial);
    assert_eq!(scene.ca.orders(), 1);
}

#[tokio::test]
async fn a_certificate_that_is_put_in_is_served_at_once() {
    let scene = Scene::new();
    let (old, new) = (scene.clock.now() - 2 * DAY, scene.clock.now() - DAY);
    scene.certificates.insert(&subject("a.example"), &scene.ca.bundle(&subject("a.example"), old)).await.unwrap();
    let leaf =
        scene.certificates.insert(&subject("a.example"), &scene.ca.bundle(&subject("a.example"), new)).await.unwrap();
    let found = scene.certificates.find(&name("a.example"), None).unwrap();
    assert_eq!(found.serial(), leaf.serial());
    assert_eq!(scene.certificates.explain(&name("a.example")).await.state, "serving");
}
