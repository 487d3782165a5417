//! Receivers as they are.

use std::time::Duration;

use control_plane::core::{DeliveryStatus, DisableReason};
use test_support::{Receiver, Taking};

use super::harness::sending;

#[test]
fn an_answer_counts_by_its_status_whatever_its_body_does() {
    sending(|scene| async move {
        scene.endpoint().await;
        for taking in [Taking::Huge, Taking::HangBody, Taking::Status(299, "\u{0}fine"), Taking::Take] {
            scene.receiver.then(taking.clone());
            scene.tenant.verified(&format!("shop{}.customer.com", scene.receiver.messages().len())).await;
            scene.send().await;
            let delivery = scene.deliveries().await.pop().unwrap();
            assert_eq!(delivery.status, DeliveryStatus::Delivered, "{taking:?}");
            let (_, _, attempts) = scene.bench.core.delivery(&scene.tenant.caller, &delivery.id).await.unwrap();
            let kept = attempts[0].response.as_deref().unwrap_or_default();
            match taking {
                Taking::Huge => assert_eq!(kept, "x".repeat(1024)),
                Taking::HangBody => assert_eq!(kept, "wait for it"),
                Taking::Status(..) => assert_eq!(kept, "\u{fffd}fine"),
                _ => assert_eq!(kept, ""),
            }
        }
        assert_eq!(scene.receiver.messages().len(), 4);
    });
}

#[test]
fn a_redirect_is_not_followed() {
    sending(|scene| async move {
        scene.endpoint().await;
        let elsewhere = Receiver::start(&scene.host).await;
        scene.receiver.answer(Taking::Redirect(elsewhere.url()));
        scene.tenant.verified("shop.customer.com").await;
        scene.send().await;
        let (delivery, attempts) = scene.only().await;
        assert_eq!((delivery.status, attempts[0].status_code), (DeliveryStatus::Pending, Some(302)));
        assert_eq!(elsewhere.connections(), 0);
    });
}

#[test]
fn silence_ends_after_five_seconds_and_is_written_down() {
    sending(|scene| async move {
        scene.endpoint().await;
        scene.receiver.answer(Taking::Hang);
        scene.tenant.verified("shop.customer.com").await;
        scene.send().await;
        let (delivery, attempts) = scene.only().await;
        assert_eq!(delivery.status, DeliveryStatus::Pending);
        assert_eq!(attempts[0].error.as_deref(), Some("no answer within 5 seconds"));
        assert!(attempts[0].duration_ms >= 5000, "{attempts:?}");
        assert!(scene.metrics().contains("namegate_control_webhook_attempts_total{result=\"timed_out\"} 1"));
        assert!(scene.metrics().contains("namegate_control_webhooks_in_flight 0"));
    });
}

#[test]
fn a_receiver_that_is_not_there_is_tried_again() {
    sending(|scene| async move {
        // Nobody listens on that port of an address of our own.
        let (endpoint, _) = scene.endpoint_at(&format!("http://{}/?token=hush", scene.host.at(9)), &[]).await;
        scene.tenant.verified("shop.customer.com").await;
        scene.send().await;
        let (delivery, attempts) = scene.only().await;
        assert_eq!((delivery.status, attempts[0].status_code), (DeliveryStatus::Pending, None));
        let error = attempts[0].error.clone().unwrap();
        assert!(error.contains("refused") && !error.contains("hush"), "{error}");
        let since = scene.bench.core.endpoint(&scene.tenant.caller, &endpoint.id).await.unwrap().failing_since;
        assert_eq!(since, Some(attempts[0].at));
    });
}

#[test]
fn a_receiver_that_is_gone_is_told_nothing_any_more() {
    sending(|scene| async move {
        let (endpoint, _) = scene.endpoint().await;
        scene.receiver.answer(Taking::Status(410, "moved away"));
        scene.tenant.verified("a.customer.com").await;
        scene.send().await;
        scene.tenant.verified("b.customer.com").await;
        scene.later(Duration::from_hours(2)).await;
        assert_eq!(scene.receiver.messages().len(), 1);
        let endpoint = scene.bench.core.endpoint(&scene.tenant.caller, &endpoint.id).await.unwrap();
        assert_eq!(endpoint.disabled_reason, Some(DisableReason::Gone));
        let (delivery, attempts) = scene.only().await;
        assert_eq!((delivery.status, attempts[0].status_code), (DeliveryStatus::Failed, Some(410)));
        assert_eq!(attempts[0].response.as_deref(), Some("moved away"));
        let events = scene.bench.core.events(&scene.tenant.caller, 0, 10).await.unwrap();
        let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(kinds, ["ownership.proven", "endpoint.disabled", "ownership.proven"]);
        assert!(scene.metrics().contains("webhook_endpoints_disabled_total{reason=\"gone\"} 1"));
    });
}
