//! Events and deliveries.

use std::time::Duration;

use control_plane::core::{DeliveryAttempt, DeliveryStatus, EventKind, NewEndpoint};

use crate::harness::{Tenant, on_both};

const LEASE: Duration = Duration::from_secs(30);

async fn endpoint(tenant: &Tenant, events: &[EventKind]) -> String {
    let mut tx = tenant.core.begin().await.unwrap();
    let new = NewEndpoint { url: "https://hooks.example/in".to_owned(), events: events.to_vec() };
    let (endpoint, secret) = tenant.core.create_endpoint(&mut tx, &tenant.caller, new).await.unwrap();
    tenant.core.commit(tx).await.unwrap();
    let opened = tenant.core.keyring().unwrap().open(&endpoint.secret_context(), &endpoint.sealed_secret).unwrap();
    assert_eq!(opened, secret.as_bytes());
    endpoint.id
}

#[test]
fn deliveries_of_a_name_keep_their_order_and_survive_a_dead_sender() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        endpoint(&tenant, &[]).await;
        endpoint(&tenant, &[EventKind::ClaimDrifted]).await;
        let core = &bench.core;
        let id = tenant.verified("shop.customer.com").await.claim.id;
        core.archive_connection(&tenant.caller, &id).await.unwrap();
        let due = core.lease_deliveries(10, LEASE).await.unwrap();
        assert_eq!(due.len(), 1, "the second event waits for the first, the other endpoint wants neither");
        assert_eq!(due[0].event.kind, EventKind::OwnershipProven);
        assert!(core.lease_deliveries(10, LEASE).await.unwrap().is_empty(), "it is leased");
        bench.clock.advance(LEASE);
        let again = core.lease_deliveries(10, LEASE).await.unwrap();
        assert_eq!(again[0].delivery.id, due[0].delivery.id, "its sender died");
        let attempt = |n| DeliveryAttempt {
            n,
            at: core.now(),
            status_code: Some(200),
            error: None,
            duration_ms: 5,
            response: None,
        };
        let late = core.record_delivery_attempt(&due[0], &attempt(1), DeliveryStatus::Delivered, None).await.unwrap();
        assert!(!late, "a lost lease writes nothing");
        assert!(core.record_delivery_attempt(&again[0], &attempt(1), DeliveryStatus::Delivered, None).await.unwrap());
        let second = core.lease_deliveries(10, LEASE).await.unwrap();
        assert_eq!(second[0].event.kind, EventKind::ClaimArchived);
        let (replay, _) = core.replay_delivery(&tenant.caller, &again[0].delivery.id).await.unwrap();
        let third = core.lease_deliveries(10, LEASE).await.unwrap();
        assert_eq!(third[0].delivery.id, replay.id, "a replay stands outside the order");
    });
}
