//! Names that move to another tenant while an order is in flight.

use std::{fs, path::PathBuf};

use certs::{CertificatesSettings, Store};
use names::Tenant;
use test_support::{Kind, wait};

use crate::scene::{Scene, name, run, subject};

const NAME: &str = "moved.customer.test";

fn tenant(text: &str) -> Tenant {
    text.parse().unwrap()
}

impl Scene {
    /// The journal's entry of the name.
    fn journal(&self) -> Option<PathBuf> {
        let issuers = fs::read_dir(self.folder().join("namegate/orders")).ok()?;
        let entries = issuers.flatten().map(|issuer| issuer.path().join(format!("{NAME}.json")));
        entries.into_iter().find(|entry| entry.exists())
    }

    /// The key in it.
    fn journalled_key(&self) -> Option<String> {
        let entry: serde_json::Value = serde_json::from_slice(&fs::read(self.journal()?).ok()?).ok()?;
        Some(entry.get("key")?.as_str()?.to_owned())
    }
}

async fn a_process_died_with_an_order_of_the_first_tenant() -> Scene {
    let scene = Scene::start().await;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let certificates = scene.manager();
    scene.proxy.hold_answer(Kind::Finalize);
    runtime.spawn(async move { certificates.obtain(&name(NAME), Some(&tenant("app_1"))).await });
    scene.proxy.answer_reached(Kind::Finalize).await;
    runtime.shutdown_background();
    scene.proxy.release();
    scene
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_a_dead_process_left_for_another_tenant_is_not_resumed() {
    let scene = a_process_died_with_an_order_of_the_first_tenant().await;
    let former = scene.journalled_key().expect("the order was journalled");

    let leaf = scene.manager().obtain(&name(NAME), Some(&tenant("app_2"))).await.unwrap();
    assert_eq!((leaf.tenant(), scene.orders()), (Some(&tenant("app_2")), 2));
    let kept = scene.store.load(&subject(NAME)).await.unwrap().unwrap();
    assert_ne!(kept.key_pem, former);
    assert_ne!(scene.journalled_key(), Some(former), "no file has it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_a_dead_process_left_for_the_same_tenant_is_resumed_and_noted() {
    let scene = a_process_died_with_an_order_of_the_first_tenant().await;
    // The next process is not told whose the name is before it finishes the order.
    let certificates = scene.manager();
    let _running = run(&certificates);
    wait::until("the order is finished", async || certificates.find(&name(NAME), None).map(drop)).await;
    let kept = scene.store.load(&subject(NAME)).await.unwrap().unwrap();
    assert_eq!((kept.tenant(), scene.orders()), (Some(tenant("app_1")), 1));
    assert!(certificates.find(&name(NAME), Some(&tenant("app_2"))).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_in_flight_leaves_no_key_behind_when_its_name_moves() {
    let scene = Scene::start().await;
    let certificates = scene.manager_of(vec![std::sync::Arc::new(scene.issuer())], CertificatesSettings::default());
    let _running = run(&certificates);
    scene.proxy.hold_answer(Kind::Finalize);
    let ordering = certificates.clone();
    let former = tokio::spawn(async move { ordering.obtain(&name(NAME), Some(&tenant("app_1"))).await });
    scene.proxy.answer_reached(Kind::Finalize).await;
    let key = scene.journalled_key().expect("the order is journalled");
    certificates.hand_over(&name(NAME), &tenant("app_2"));
    assert!(former.await.unwrap().is_err());
    wait::until("the journal has let go of the key", async || scene.journal().is_none().then_some(())).await;
    scene.proxy.release();

    let leaf = certificates.obtain(&name(NAME), Some(&tenant("app_2"))).await.unwrap();
    assert_eq!((leaf.tenant(), scene.orders()), (Some(&tenant("app_2")), 2));
    assert_ne!(scene.store.load(&subject(NAME)).await.unwrap().unwrap().key_pem, key);
}
