//! Names that are served no more.

use super::{
    super::*,
    scene::{DAY, Scene, name, subject, tenant, until, within},
};

const NAME: &str = "a.example";
const NOTES: &str = "namegate/released";

impl Scene {
    async fn is_kept(&self) -> bool {
        self.store.load(&subject(NAME)).await.unwrap().is_some()
    }

    async fn notes(&self) -> usize {
        self.store.list(NOTES).await.unwrap().len()
    }

    /// A name that the control plane has deleted, and whose release is noted.
    async fn released(&self) {
        self.obtain_for(NAME, "app_1").await.unwrap();
        self.gate.give(NAME, Tenancy::Gone);
        self.gate.say(Permission::Stop);
        self.certificates.release(&name(NAME), Some(&tenant("app_1")));
        while self.notes().await == 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until the loop has gone round at this time.
    async fn went_round(&self) {
        use clock::Clock as _;
        let now = self.clock.now();
        until(|| self.certificates.heartbeat() >= now).await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_deleted_names_certificate_and_key_go_after_a_week_whatever_is_restarted() {
    let mut scene = Scene::new();
    let running = scene.run();
    within(scene.released()).await;
    drop(running);
    scene.clock.advance(6 * DAY);
    scene.restart();
    let running = scene.run();
    within(scene.certificates.scanned()).await;
    scene.went_round().await;
    assert!(scene.is_kept().await, "a day is left");
    drop(running);
    scene.clock.advance(DAY);
    scene.restart();
    let _running = scene.run();
    until(|| scene.ca.settled.lock().len() >= 2).await;
    while scene.notes().await > 0 {
        tokio::task::yield_now().await;
    }
    assert!(!scene.is_kept().await);
}

#[tokio::test]
async fn a_name_that_comes_back_within_the_week_keeps_its_certificate() {
    let scene = Scene::new();
    let _running = scene.run();
    within(scene.released()).await;
    scene.clock.advance(3 * DAY);
    scene.gate.give(NAME, Tenancy::Of(tenant("app_1")));
    scene.gate.say(Permission::Renew);
    scene.obtain_for(NAME, "app_1").await.unwrap();
    while scene.notes().await > 0 {
        tokio::task::yield_now().await;
    }
    scene.clock.advance(5 * DAY);
    scene.went_round().await;
    assert!(scene.is_kept().await);
    assert_eq!(scene.ca.orders(), 1);
}

#[tokio::test]
async fn nothing_goes_that_the_gate_wants_or_may_want() {
    for word in [Permission::Renew, Permission::Unknown] {
        let scene = Scene::new();
        let _running = scene.run();
        within(scene.released()).await;
        // A snapshot had left the name out by mistake, and nobody has visited it since it is back.
        scene.gate.say(word);
        scene.gate.asked.store(false, Ordering::SeqCst);
        scene.clock.advance(8 * DAY);
        until(|| scene.gate.asked.load(Ordering::SeqCst)).await;
        scene.went_round().await;
        assert!(scene.is_kept().await, "{word:?}");
    }
}

#[tokio::test]
async fn another_tenant_finds_nothing_of_a_name_that_was_deleted() {
    for visited in [true, false] {
        let mut scene = Scene::new();
        let running = scene.run();
        within(scene.released()).await;
        drop(running);
        // The note outlasts the process.
        scene.restart();
        scene.gate.say(Permission::Renew);
        scene.gate.give(NAME, Tenancy::Of(tenant("app_2")));
        let running = scene.run();
        if visited {
            let leaf = scene.obtain_for(NAME, "app_2").await.unwrap();
            assert_eq!((leaf.tenant(), scene.ca.orders()), (Some(&tenant("app_2")), 2));
        } else {
            until(|| !scene.ca.abandoned.lock().is_empty()).await;
            assert!(!scene.is_kept().await);
        }
        drop(running);
    }
}

#[tokio::test]
async fn a_name_without_a_certificate_is_not_noted() {
    let scene = Scene::new();
    let _running = scene.run();
    scene.gate.give("other.example", Tenancy::Gone);
    scene.certificates.release(&name("other.example"), None);
    within(scene.released()).await;
    scene.went_round().await;
    assert_eq!(scene.store.list(NOTES).await.unwrap(), [format!("{NOTES}/{NAME}.json")]);
}

#[tokio::test]
async fn an_order_that_ends_behind_the_deletion_is_removed_with_its_name() {
    let scene = Scene::new();
    scene.ca.close_doors();
    let (certificates, _running) = (scene.certificates.clone(), scene.run());
    let order = tokio::spawn(async move { certificates.obtain(&name(NAME), Some(&tenant("app_1"))).await });
    scene.ca.ordered(1).await;
    scene.gate.give(NAME, Tenancy::Gone);
    scene.gate.say(Permission::Stop);
    scene.certificates.release(&name(NAME), Some(&tenant("app_1")));
    scene.ca.open_doors();
    within(order).await.unwrap().unwrap();
    assert!(scene.is_kept().await);
    scene.went_round().await;
    scene.clock.advance(8 * DAY);
    until(|| scene.ca.settled.lock().len() >= 2).await;
    while scene.notes().await > 0 {
        tokio::task::yield_now().await;
    }
    assert!(!scene.is_kept().await);
}
