use clock::Clock;

use super::{
    super::*,
    scene::{DAY, Scene, Script, name, subject, until, within},
};

#[tokio::test]
async fn every_order_is_told_of_with_its_attempt() {
    let scene = Scene::new();
    scene.ca.script(Script::Refuse("caa"));
    assert!(scene.obtain("a.example").await.is_err());
    assert_eq!(scene.ear.heard(), ["a.example failed 1"]);
    assert!(scene.obtain("a.example").await.is_err());
    assert!(scene.ear.heard().is_empty(), "no order, no news");
    scene.clock.advance(DAY);
    scene.obtain("a.example").await.unwrap();
    assert_eq!(scene.ear.heard(), ["a.example issued at attempt 2"]);
    scene.obtain("a.example").await.unwrap();
    assert!(scene.ear.heard().is_empty());
}

#[tokio::test]
async fn what_the_store_holds_is_told_of_at_the_start_and_its_renewal_when_it_comes() {
    let scene = Scene::new();
    scene.stored("a.example", 70 * DAY).await;
    scene.stored("ended.example", 100 * DAY).await;
    let _running = scene.run();
    within(scene.certificates.scanned()).await;
    let mut heard = Vec::new();
    until(|| {
        heard.extend(scene.ear.heard());
        heard.len() >= 2
    })
    .await;
    assert_eq!(heard, ["a.example kept", "a.example renewed at attempt 1"]);
}

#[tokio::test]
async fn a_name_that_was_let_go_is_served_again_from_the_store_without_an_order() {
    let scene = Scene::new();
    scene.obtain("a.example").await.unwrap();
    assert!(scene.certificates.is_planned(&subject("a.example")));
    scene.certificates.release(&name("a.example"), None);
    assert!(scene.certificates.find(&name("a.example"), None).is_none(), "it has left memory");
    assert!(!scene.certificates.is_planned(&subject("a.example")), "and is not renewed");
    scene.obtain("a.example").await.unwrap();
    assert!(scene.certificates.is_planned(&subject("a.example")));
    assert_eq!(scene.ca.orders(), 1);
}

#[tokio::test]
async fn an_order_ahead_outlasts_a_handshake_s_patience() {
    let scene = Scene::with(Settings { handshake_wait: Duration::ZERO, ..Settings::default() });
    scene.ca.close_doors();
    let (ahead, started) = (scene.certificates.clone(), scene.clock.now());
    let ordering = tokio::spawn(async move { ahead.obtain_ahead(&subject("a.example"), None).await });
    scene.ca.ordered(1).await;
    assert!(matches!(scene.obtain("a.example").await, Err(ObtainError::StillIssuing { .. })));
    scene.ca.open_doors();
    assert!(within(ordering).await.unwrap().is_ok());
    assert_eq!((scene.ca.orders(), scene.clock.now()), (1, started));
}
