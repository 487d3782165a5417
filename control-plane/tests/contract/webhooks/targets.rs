//! Where messages do not go.

use control_plane::{
    core::{CoreError, CoreSettings, EndpointPatch, NewEndpoint},
    webhooks::Targets,
};
use test_support::{Loopback, Pebble, PebbleOptions};

use super::harness::{Scene, sending};
use crate::harness::{Bench, on_both, on_both_with};

/// A sender as in production, which asks the DNS of tests.
async fn public(bench: Bench) -> (Scene, Pebble) {
    let pebble = Pebble::start(&Loopback::take(), PebbleOptions::default()).await;
    pebble.dns().set_default(None).await;
    let server = pebble.dns().address().to_string().parse().unwrap();
    let metrics = dns::Metrics::new(&prometheus::Registry::new()).unwrap();
    let resolvers = dns::Resolvers::new(dns::ResolversConfig::new(vec![server]), metrics).unwrap();
    (Scene::new(bench, Targets::Public(resolvers), None).await, pebble)
}

#[test]
fn a_name_that_leads_inside_is_not_dialled_whatever_it_led_to_before() {
    on_both(|bench| async move {
        let (scene, pebble) = public(bench).await;
        // The URL is beyond reproach when the endpoint is made; what the name leads to is its owner's, at any time.
        let port = scene.receiver.tls_url().rsplit(':').next().unwrap().to_owned();
        scene.endpoint_at(&format!("https://hooks.customer.com:{port}"), &[]).await;
        pebble.dns().set_a("hooks.customer.com", &[scene.host.ip()]).await;
        scene.tenant.verified("shop.customer.com").await;
        scene.send().await;
        let (_, attempts) = scene.only().await;
        assert_eq!(attempts[0].error.as_deref(), Some("the host has no public address"));
        assert_eq!(scene.receiver.connections(), 0, "not even a connection");
        assert!(scene.metrics().contains("namegate_control_webhook_attempts_total{result=\"forbidden\"} 1"));
    });
}

#[test]
fn a_name_that_leads_nowhere_is_tried_again() {
    on_both(|bench| async move {
        let (scene, _pebble) = public(bench).await;
        scene.endpoint_at("https://nowhere.customer.com/", &[]).await;
        scene.tenant.verified("shop.customer.com").await;
        scene.send().await;
        let (delivery, attempts) = scene.only().await;
        assert_eq!(attempts[0].error.as_deref(), Some("the host has no address"));
        assert!(delivery.next_retry_at.is_some());
    });
}

#[test]
fn an_endpoint_of_development_is_not_dialled_in_production() {
    let dev = CoreSettings { dev: true, ..CoreSettings::default() };
    on_both_with(dev, |bench| async move {
        let (scene, _pebble) = public(bench).await;
        let urls =
            [scene.receiver.url(), scene.receiver.tls_url(), scene.receiver.tls_url().replace("127.", "::ffff:127.")];
        for url in &urls[..2] {
            scene.endpoint_at(url, &[]).await;
        }
        scene.tenant.verified("shop.customer.com").await;
        scene.send().await;
        assert_eq!(scene.receiver.connections(), 0);
        assert!(scene.metrics().contains("namegate_control_webhook_attempts_total{result=\"forbidden\"} 2"));
    });
}

#[test]
fn addresses_and_plain_text_are_refused_when_an_endpoint_is_made_or_changed() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let core = &bench.core;
        let make = async |url: &str| {
            let mut tx = core.begin().await.unwrap();
            let made = core
                .create_endpoint(&mut tx, &tenant.caller, NewEndpoint { url: url.to_owned(), events: vec![] })
                .await;
            core.commit(tx).await.unwrap();
            made
        };
        let (endpoint, _) = make("https://hooks.customer.com/in").await.unwrap();
        for url in [
            "http://hooks.customer.com/in",
            "https://169.254.169.254/",
            "https://[::ffff:127.0.0.1]/",
            "https://localhost/",
        ] {
            let refused = make(url).await.err();
            assert!(
                matches!(&refused, Some(CoreError::Invalid { pointer, .. }) if pointer == "/url"),
                "{url}: {refused:?}"
            );
            let patch = EndpointPatch { url: Some(url.to_owned()), ..EndpointPatch::default() };
            let refused = core.update_endpoint(&tenant.caller, &endpoint.id, patch).await.err();
            assert!(matches!(refused, Some(CoreError::Invalid { .. })), "{url}: {refused:?}");
        }
    });
}

#[test]
fn a_receivers_certificate_is_verified() {
    sending(|scene| async move {
        scene.endpoint_at(&scene.receiver.tls_url(), &[]).await;
        scene.tenant.verified("shop.customer.com").await;
        scene.send().await;
        let error = scene.only().await.1[0].error.clone().unwrap();
        assert!(error.contains("certificate"), "{error}");
        assert!(scene.receiver.messages().is_empty());
        // The same receiver, by a sender that trusts its root.
        let root = scene.receiver.root_pem().to_owned();
        let Scene { bench, tenant, receiver, .. } = scene;
        let trusting = Scene::new(bench, Targets::Any, Some(root)).await;
        trusting.later(std::time::Duration::from_mins(2)).await;
        assert_eq!(receiver.messages().len(), 1);
        drop(tenant);
    });
}
