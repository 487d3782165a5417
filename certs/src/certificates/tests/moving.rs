//! Names that move from one tenant to another.

use clock::Clock as _;

use super::{
    super::*,
    scene::{DAY, Scene, name, subject, tenant, until, within},
};

const NAME: &str = "a.example";

impl Scene {
    /// What the store holds for the name.
    async fn kept(&self) -> Option<Bundle> {
        self.store.load(&subject(NAME)).await.unwrap()
    }

    /// Whom the stored certificate is for.
    async fn keeper(&self) -> Option<String> {
        self.kept().await.and_then(|bundle| bundle.tenant()).map(|tenant| tenant.to_string())
    }

    fn find_for(&self, id: &str) -> Option<Arc<Leaf>> {
        self.certificates.find(&name(NAME), Some(&tenant(id)))
    }
}

#[tokio::test]
async fn another_tenant_gets_a_certificate_and_key_of_its_own_and_the_former_ones_are_gone() {
    let scene = Scene::new();
    let first = scene.obtain_for(NAME, "app_1").await.unwrap();
    assert_eq!(scene.keeper().await.as_deref(), Some("app_1"));
    let key = scene.kept().await.unwrap().key_pem;
    scene.hand_over(NAME, "app_2");
    assert!(scene.find_for("app_2").is_none() && scene.find_for("app_1").is_none(), "it has left memory");
    let second = scene.obtain_for(NAME, "app_2").await.unwrap();
    assert_ne!(second.serial(), first.serial());
    assert_ne!(scene.kept().await.unwrap().key_pem, key);
    assert_eq!((scene.keeper().await.as_deref(), scene.ca.orders()), (Some("app_2"), 2));
    assert!(scene.find_for("app_1").is_none(), "a visitor who was admitted before gets nothing of it");
}

#[tokio::test]
async fn what_was_the_former_tenants_goes_without_a_visitor() {
    let scene = Scene::new();
    let _running = scene.run();
    scene.obtain_for(NAME, "app_1").await.unwrap();
    scene.hand_over(NAME, "app_2");
    until(|| !scene.ca.abandoned.lock().is_empty()).await;
    assert!(scene.kept().await.is_none());
    assert!(!scene.certificates.is_planned(&subject(NAME)));
    // What was just being written is found by the second look.
    let late = scene.ca.bundle(&subject(NAME), scene.clock.now()).of(Some(&tenant("app_1")));
    scene.store.save(&subject(NAME), &late).await.unwrap();
    scene.clock.advance(Duration::from_secs(59));
    until(|| scene.ca.abandoned.lock().len() >= 2).await;
    assert!(scene.kept().await.is_none());
}

#[tokio::test]
async fn the_same_tenant_and_an_unknown_one_are_served_from_the_store_without_an_order() {
    let mut scene = Scene::new();
    let first = scene.obtain_for(NAME, "app_1").await.unwrap();
    for id in [Some("app_1"), None] {
        let asker = id.map(tenant);
        scene.certificates.release(&name(NAME), asker.as_ref());
        let again = within(scene.certificates.obtain(&name(NAME), asker.as_ref())).await.unwrap();
        assert_eq!(again.serial(), first.serial(), "{id:?}");
        scene.restart();
    }
    assert_eq!(scene.ca.orders(), 1);
}

#[tokio::test]
async fn a_certificate_that_nobody_is_noted_for_serves_until_its_name_moves() {
    let scene = Scene::new();
    scene.stored(NAME, DAY).await;
    let kept = scene.kept().await.unwrap();
    scene.obtain_for(NAME, "app_1").await.unwrap();
    assert_eq!((scene.ca.orders(), scene.kept().await.unwrap().meta), (0, kept.meta), "and nothing is written into it");
    scene.hand_over(NAME, "app_2");
    scene.obtain_for(NAME, "app_2").await.unwrap();
    assert_eq!((scene.ca.orders(), scene.keeper().await.as_deref()), (1, Some("app_2")));
}

#[tokio::test]
async fn an_order_in_flight_for_the_former_tenant_is_given_up_and_its_outcome_is_nobodys() {
    let scene = Scene::new();
    scene.ca.close_doors();
    let (certificates, running) = (scene.certificates.clone(), scene.run());
    let former = tokio::spawn(async move { certificates.obtain(&name(NAME), Some(&tenant("app_1"))).await });
    scene.ca.ordered(1).await;
    scene.hand_over(NAME, "app_2");
    assert!(matches!(within(former).await.unwrap(), Err(ObtainError::Moved)));
    until(|| !scene.ca.abandoned.lock().is_empty()).await;
    assert_eq!(scene.ca.abandoned.lock()[0], (subject(NAME), tenant("app_2")));
    assert!(scene.kept().await.is_none() && scene.find_for("app_1").is_none());
    scene.ca.open_doors();
    scene.obtain_for(NAME, "app_2").await.unwrap();
    assert_eq!((scene.keeper().await.as_deref(), scene.ca.orders()), (Some("app_2"), 2));
    drop(running);
}

#[tokio::test]
async fn whoever_waits_behind_an_order_of_the_former_tenant_gets_one_of_their_own() {
    let scene = Scene::new();
    scene.ca.close_doors();
    let ask = |id: &'static str| {
        let certificates = scene.certificates.clone();
        tokio::spawn(async move { certificates.obtain(&name(NAME), Some(&tenant(id))).await })
    };
    let former = ask("app_1");
    scene.ca.ordered(1).await;
    scene.hand_over(NAME, "app_2");
    let new = ask("app_2");
    scene.ca.open_doors();
    assert!(within(former).await.unwrap().is_err());
    assert_eq!(within(new).await.unwrap().unwrap().tenant(), Some(&tenant("app_2")));
}

#[tokio::test]
async fn what_the_store_did_not_take_is_forgotten_with_its_tenant() {
    let scene = Scene::new();
    scene.store.set_full(true);
    scene.obtain_for(NAME, "app_1").await.unwrap();
    scene.hand_over(NAME, "app_2");
    scene.store.set_full(false);
    let _running = scene.run();
    until(|| !scene.ca.abandoned.lock().is_empty()).await;
    scene.clock.advance(Duration::from_secs(30));
    until(|| scene.ca.abandoned.lock().len() >= 2).await;
    assert!(scene.kept().await.is_none());
    assert!(scene.find_for("app_2").is_none());
}

#[tokio::test]
async fn a_store_that_is_down_serves_nothing_of_the_former_tenants_and_orders_nothing() {
    let scene = Scene::new();
    scene.obtain_for(NAME, "app_1").await.unwrap();
    scene.hand_over(NAME, "app_2");
    scene.store.break_down();
    assert!(matches!(scene.obtain_for(NAME, "app_2").await, Err(ObtainError::Load(LoadError::Store(_)))));
    assert_eq!(scene.ca.orders(), 1);
}

#[tokio::test]
async fn a_certificate_of_another_tenant_that_is_met_unannounced_waits_for_the_gates_word() {
    // A crash has cut the removal off, or another edge of the fleet has heard of a move before this one.
    let mut scene = Scene::new();
    scene.obtain_for(NAME, "app_1").await.unwrap();
    scene.restart();
    scene.gate.give(NAME, Tenancy::Of(tenant("app_2")));
    scene.gate.say(Permission::Unknown);
    let _running = scene.run();
    within(scene.certificates.scanned()).await;
    assert!(!scene.certificates.is_planned(&subject(NAME)));
    assert!(matches!(scene.obtain_for(NAME, "app_2").await, Err(ObtainError::Moved)), "not served, nothing ordered");
    scene.clock.advance(Duration::from_secs(31));
    until(|| scene.gate.asked.load(Ordering::SeqCst)).await;
    assert!(scene.kept().await.is_some(), "nobody could say");
    scene.gate.say(Permission::Renew);
    scene.clock.advance(Duration::from_secs(10));
    until(|| !scene.ca.abandoned.lock().is_empty()).await;
    assert!(scene.kept().await.is_none());
    scene.obtain_for(NAME, "app_2").await.unwrap();
    assert_eq!(scene.ca.orders(), 2);
}

#[tokio::test]
async fn an_edge_that_is_behind_removes_nothing_of_the_new_tenants() {
    let scene = Scene::new();
    scene.gate.give(NAME, Tenancy::Of(tenant("app_1")));
    let ahead = scene.ca.bundle(&subject(NAME), scene.clock.now()).of(Some(&tenant("app_2")));
    scene.store.save(&subject(NAME), &ahead).await.unwrap();
    let _running = scene.run();
    assert!(matches!(scene.obtain_for(NAME, "app_1").await, Err(ObtainError::Moved)));
    // The news arrive.
    scene.hand_over(NAME, "app_2");
    let leaf = scene.obtain_for(NAME, "app_2").await.unwrap();
    scene.clock.advance(Duration::from_secs(60));
    until(|| scene.ca.abandoned.lock().len() >= 2).await;
    assert_eq!((leaf.tenant(), scene.ca.orders()), (Some(&tenant("app_2")), 0));
    assert_eq!(scene.keeper().await.as_deref(), Some("app_2"));
}

#[tokio::test]
async fn a_renewal_is_for_whomever_the_name_belongs_to() {
    let scene = Scene::new();
    scene.stored(NAME, 70 * DAY).await;
    scene.gate.give(NAME, Tenancy::Of(tenant("app_1")));
    let _running = scene.run();
    until(|| scene.ca.orders() == 1 && scene.find_for("app_1").is_some_and(|leaf| leaf.tenant().is_some())).await;
    assert_eq!(scene.keeper().await.as_deref(), Some("app_1"));
}

#[tokio::test]
async fn what_the_operator_manages_is_nobodys() {
    let scene = Scene::new();
    scene.gate.give(NAME, Tenancy::Nobodys);
    scene.obtain_for(NAME, "app_1").await.unwrap();
    assert_eq!(scene.keeper().await, None);
    scene.certificates.hand_over(&name(NAME), &tenant("app_2"));
    scene.obtain_for(NAME, "app_2").await.unwrap();
    scene.certificates.release(&name(NAME), None);
    scene.obtain_for(NAME, "app_3").await.unwrap();
    let wildcard = scene.certificates.obtain_ahead(&subject("*.apps.example"), None).await.unwrap();
    for id in ["app_1", "app_2"] {
        let served = scene.certificates.find(&name("shop.apps.example"), Some(&tenant(id))).unwrap();
        assert_eq!(served.serial(), wildcard.serial());
        scene.hand_over("shop.apps.example", "app_2");
    }
    assert_eq!(scene.ca.orders(), 2);
}
