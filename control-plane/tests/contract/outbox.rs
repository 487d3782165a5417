//! Events and deliveries.

use std::{sync::Arc, time::Duration};

use control_plane::core::{
    CoreError, Delivery, DeliveryAttempt, DisableReason, EndpointPatch, EventKind, NewEndpoint, NextStep, Recorded,
};
use futures::future::join_all;
use parking_lot::Mutex;

use crate::harness::{Tenant, on_both};

const LEASE: Duration = Duration::from_secs(30);

async fn endpoint(tenant: &Tenant, events: &[EventKind]) -> String {
    let mut tx = tenant.core.begin().await.unwrap();
    let new = NewEndpoint { url: "https://hooks.example/in".to_owned(), events: events.to_vec() };
    let (endpoint, secret) = tenant.core.create_endpoint(&mut tx, &tenant.caller, new).await.unwrap();
    tenant.core.commit(tx).await.unwrap();
    assert_eq!(tenant.core.signing_secrets(&endpoint).unwrap().current, secret);
    endpoint.id
}

fn attempt(tenant: &Tenant, n: i64, status: i64) -> DeliveryAttempt {
    let at = tenant.core.now();
    DeliveryAttempt { n, at, status_code: Some(status), error: None, duration_ms: 5, response: None }
}

async fn deliveries(tenant: &Tenant) -> Vec<Delivery> {
    let all = tenant.core.deliveries(&tenant.caller, None, None, 1000).await.unwrap();
    all.into_iter().map(|(delivery, _)| delivery).collect()
}

#[test]
fn deliveries_of_a_name_keep_their_order_and_survive_a_dead_sender() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let all = endpoint(&tenant, &[]).await;
        let drifts = endpoint(&tenant, &[EventKind::ClaimDrifted]).await;
        let core = &bench.core;
        let id = tenant.verified("shop.customer.com").await.claim.id;
        core.archive_connection(&tenant.caller, &id).await.unwrap();
        assert!(core.lease_deliveries(&drifts, 10, LEASE).await.unwrap().is_empty(), "it wants neither");
        let due = core.lease_deliveries(&all, 10, LEASE).await.unwrap();
        assert_eq!(due.len(), 1, "the second event waits for the first");
        assert_eq!(due[0].event.kind, EventKind::OwnershipProven);
        assert!(core.lease_deliveries(&all, 10, LEASE).await.unwrap().is_empty(), "it is leased");
        bench.clock.advance(LEASE);
        let again = core.lease_deliveries(&all, 10, LEASE).await.unwrap();
        assert_eq!(again[0].delivery.id, due[0].delivery.id, "its sender died");
        let taken = attempt(&tenant, 1, 200);
        let late = core.record_delivery_attempt(&due[0], &taken, NextStep::Delivered).await.unwrap();
        assert_eq!(late, Recorded::Lost, "a lost lease writes nothing");
        let kept = core.record_delivery_attempt(&again[0], &taken, NextStep::Delivered).await.unwrap();
        assert_eq!(kept, Recorded::Kept);
        let second = core.lease_deliveries(&all, 10, LEASE).await.unwrap();
        assert_eq!(second[0].event.kind, EventKind::ClaimArchived);
        let (replay, _) = core.replay_delivery(&tenant.caller, &again[0].delivery.id).await.unwrap();
        let third = core.lease_deliveries(&all, 10, LEASE).await.unwrap();
        assert_eq!(third[0].delivery.id, replay.id, "a replay stands outside the order");
    });
}

#[test]
fn a_delivery_that_is_given_up_lets_the_next_one_go() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let to = endpoint(&tenant, &[]).await;
        let core = &bench.core;
        let id = tenant.verified("shop.customer.com").await.claim.id;
        let first = core.lease_deliveries(&to, 10, LEASE).await.unwrap().remove(0);
        core.archive_connection(&tenant.caller, &id).await.unwrap();
        let recorded = core.record_delivery_attempt(&first, &attempt(&tenant, 1, 500), NextStep::GiveUp).await.unwrap();
        assert_eq!(recorded, Recorded::Kept, "one bad minute disables nothing");
        assert_eq!(core.lease_deliveries(&to, 10, LEASE).await.unwrap()[0].event.kind, EventKind::ClaimArchived);
    });
}

/// Delivers until there is nothing.
async fn deliver_all(tenant: Tenant, to: String, seen: Arc<Mutex<Vec<(String, i64)>>>) {
    loop {
        let due = tenant.core.lease_deliveries(&to, 4, LEASE).await.unwrap();
        if due.is_empty() {
            return;
        }
        for due in due {
            seen.lock().push((due.event.hostname.clone().unwrap(), due.event.hostname_seq.unwrap()));
            let taken = attempt(&tenant, 1, 200);
            let recorded = tenant.core.record_delivery_attempt(&due, &taken, NextStep::Delivered).await.unwrap();
            assert_eq!(recorded, Recorded::Kept);
        }
    }
}

#[test]
fn no_delivery_is_left_waiting_however_events_and_answers_meet() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let to = endpoint(&tenant, &[]).await;
        // Events are written while those before them are being delivered: each must find its way.
        let writers = (0..8).map(|n| {
            let tenant = tenant.clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    let id = tenant.verified(&format!("shop{n}.customer.com")).await.claim.id;
                    tenant.core.archive_connection(&tenant.caller, &id).await.unwrap();
                }
            })
        });
        let seen: Arc<Mutex<Vec<(String, i64)>>> = Arc::default();
        let senders = (0..3).map(|_| tokio::spawn(deliver_all(tenant.clone(), to.clone(), Arc::clone(&seen))));
        let senders: Vec<_> = senders.collect();
        join_all(writers).await.into_iter().for_each(|run| run.unwrap());
        join_all(senders).await.into_iter().for_each(|run| run.unwrap());
        // They may have stopped for want of work a moment before there was some.
        deliver_all(tenant.clone(), to, Arc::clone(&seen)).await;
        for name in 0..8 {
            let hostname = format!("shop{name}.customer.com");
            let seen = seen.lock();
            let numbers: Vec<_> = seen.iter().filter(|(of, _)| *of == hostname).map(|(_, number)| *number).collect();
            assert_eq!(numbers, (1..=10).collect::<Vec<_>>(), "{hostname}");
        }
        let all = deliveries(&tenant).await;
        assert_eq!(all.len(), 80);
        let left: Vec<_> = all.iter().filter(|delivery| delivery.finished_at.is_none()).collect();
        assert!(left.is_empty(), "{left:?}");
    });
}

#[test]
fn a_gone_endpoint_is_told_nothing_any_more_and_the_others_are_told_of_that() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let gone = endpoint(&tenant, &[]).await;
        let core = &bench.core;
        tenant.verified("a.customer.com").await;
        tenant.verified("b.customer.com").await;
        let first = core.lease_deliveries(&gone, 1, LEASE).await.unwrap().remove(0);
        let other = endpoint(&tenant, &[]).await;
        let recorded = core.record_delivery_attempt(&first, &attempt(&tenant, 1, 410), NextStep::Gone).await.unwrap();
        assert_eq!(recorded, Recorded::Disabled(DisableReason::Gone));
        assert!(core.lease_deliveries(&gone, 10, LEASE).await.unwrap().is_empty());
        let told = core.lease_deliveries(&other, 10, LEASE).await.unwrap();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].event.kind, EventKind::EndpointDisabled);
        assert_eq!(told[0].event.data.0["endpoint_id"], *gone);
        assert_eq!(told[0].event.hostname, None);
        let refused = core.replay_delivery(&tenant.caller, &first.delivery.id).await;
        assert!(matches!(refused, Err(CoreError::EndpointDisabled)), "{refused:?}");
        // Switched on again it begins anew: what happened meanwhile is not sent.
        tenant.verified("c.customer.com").await;
        let on = EndpointPatch { enabled: Some(true), ..EndpointPatch::default() };
        let on = core.update_endpoint(&tenant.caller, &gone, on).await.unwrap();
        assert_eq!((on.enabled.0, on.disabled_reason, on.failing_since), (true, None, None));
        assert!(core.lease_deliveries(&gone, 10, LEASE).await.unwrap().is_empty());
        tenant.verified("d.customer.com").await;
        let told = core.lease_deliveries(&gone, 10, LEASE).await.unwrap();
        assert_eq!(told.iter().map(|due| due.event.hostname.as_deref()).collect::<Vec<_>>(), [Some("d.customer.com")]);
    });
}

#[test]
fn an_endpoint_that_nothing_reaches_for_days_is_disabled_when_another_message_is_given_up() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let to = endpoint(&tenant, &[]).await;
        let core = &bench.core;
        let fail = async |name: &str, next| {
            tenant.verified(name).await;
            let due = core.lease_deliveries(&to, 1, LEASE).await.unwrap().remove(0);
            let tried = attempt(&tenant, due.delivery.attempts + 1, 500);
            core.record_delivery_attempt(&due, &tried, next).await.unwrap()
        };
        assert_eq!(fail("a.customer.com", NextStep::GiveUp).await, Recorded::Kept);
        bench.clock.advance(core.settings().disable_after);
        let later = core.now().after(Duration::from_secs(60));
        assert_eq!(fail("b.customer.com", NextStep::Retry(later)).await, Recorded::Kept, "it is being tried");
        assert_eq!(fail("c.customer.com", NextStep::Delivered).await, Recorded::Kept);
        assert_eq!(core.endpoint(&tenant.caller, &to).await.unwrap().failing_since, None, "one success is enough");
        assert_eq!(fail("d.customer.com", NextStep::GiveUp).await, Recorded::Kept);
        bench.clock.advance(core.settings().disable_after);
        // `b` is due again and first.
        assert_eq!(fail("e.customer.com", NextStep::GiveUp).await, Recorded::Disabled(DisableReason::Failing));
        let after = core.endpoint(&tenant.caller, &to).await.unwrap();
        assert_eq!((after.enabled.0, after.disabled_reason), (false, Some(DisableReason::Failing)));
        assert!(deliveries(&tenant).await.iter().all(|delivery| delivery.finished_at.is_some()));
    });
}

#[test]
fn an_account_has_a_bounded_number_of_endpoints() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        for _ in 0..20 {
            endpoint(&tenant, &[]).await;
        }
        let mut tx = tenant.core.begin().await.unwrap();
        let new = NewEndpoint { url: "https://hooks.example/in".to_owned(), events: Vec::new() };
        let refused = tenant.core.create_endpoint(&mut tx, &tenant.caller, new).await;
        assert!(matches!(refused, Err(CoreError::Invalid { .. })), "{:?}", refused.err());
    });
}

#[test]
fn finished_deliveries_are_thrown_away_after_their_time_and_others_are_not() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let to = endpoint(&tenant, &[]).await;
        tenant.verified("old.customer.com").await;
        tenant.verified("stuck.customer.com").await;
        let due = bench.core.lease_deliveries(&to, 1, LEASE).await.unwrap().remove(0);
        bench.core.record_delivery_attempt(&due, &attempt(&tenant, 1, 200), NextStep::Delivered).await.unwrap();
        bench.clock.advance(bench.core.settings().deliveries_keep);
        bench.core.sweep().await.unwrap();
        assert_eq!(deliveries(&tenant).await.len(), 2, "to the moment");
        bench.clock.advance(Duration::from_millis(1));
        bench.core.sweep().await.unwrap();
        let left = deliveries(&tenant).await;
        assert_eq!(left.len(), 1);
        assert_ne!(left[0].id, due.delivery.id);
    });
}
