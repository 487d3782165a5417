//! The manager with everything real: store, issuer, CA.

use std::time::Duration;

use certs::ObtainError;
use clock::{Clock, SystemClock};
use test_support::{PebbleOptions, wait};

use crate::scene::{Ports, Scene, name, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_visitors_of_a_new_name_make_one_order_at_the_ca() {
    let scene = Scene::start().await;
    let certificates = scene.manager();
    let visitors: Vec<_> = (0..1000)
        .map(|_| {
            let certificates = certificates.clone();
            tokio::spawn(async move { certificates.obtain(&name("new.customer.test"), None).await })
        })
        .collect();
    for visitor in visitors {
        visitor.await.unwrap().unwrap();
    }
    assert_eq!(scene.orders(), 1);
}

#[tokio::test]
async fn a_restart_serves_from_disk_and_orders_nothing() {
    let scene = Scene::start().await;
    let serial = scene.manager().obtain(&name("a.customer.test"), None).await.unwrap().serial().to_owned();
    let certificates = scene.manager();
    let _running = run(&certificates);
    assert_eq!(certificates.obtain(&name("a.customer.test"), None).await.unwrap().serial(), serial);
    assert_eq!(scene.orders(), 1);
}

#[tokio::test]
async fn a_name_that_does_not_point_here_fails_with_the_cas_words_and_is_left_alone() {
    let scene = Scene::with(PebbleOptions::default(), Ports::Neither).await;
    let certificates = scene.manager();
    let error = certificates.obtain(&name("astray.customer.test"), None).await.unwrap_err();
    let ObtainError::Failed { failure } = error else { panic!("{error}") };
    assert_eq!(failure.last[0].reason, "connection");
    assert_eq!(failure.authorizations.len(), 2);
    let orders = scene.orders();
    let error = scene.manager().obtain(&name("astray.customer.test"), None).await.unwrap_err();
    assert!(matches!(error, ObtainError::BackingOff { .. }), "{error}");
    assert_eq!(scene.orders(), orders);
    let view = serde_json::to_value(scene.manager().explain(&name("astray.customer.test")).await).unwrap();
    assert_eq!(view["state"], "backoff");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_of_a_minute_roll_over_before_they_end() {
    let validity = Duration::from_secs(20);
    let options = PebbleOptions { validity: Some(validity), ..PebbleOptions::default() };
    let scene = Scene::with(options, Ports::Both).await;
    let certificates = scene.manager();
    let _running = run(&certificates);
    let first = certificates.obtain(&name("short.customer.test"), None).await.unwrap();
    wait::until("a newer certificate is served", async || {
        let found =
            certificates.find(&name("short.customer.test"), None).expect("there is a valid one at every moment");
        assert!(found.is_valid_at(SystemClock.now()));
        (found.serial() != first.serial()).then_some(())
    })
    .await;
}
