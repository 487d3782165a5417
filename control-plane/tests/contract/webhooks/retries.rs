//! When a message is tried again, and what is written down of it.

use std::time::Duration;

use control_plane::core::{DeliveryStatus, NextStep, Recorded};
use test_support::Taking;

use super::harness::sending;

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn a_message_is_tried_after_1_2_4_8_16_32_and_60_minutes_and_then_given_up() {
    sending(|scene| async move {
        scene.endpoint().await;
        scene.receiver.answer(Taking::Status(500, "no"));
        scene.tenant.verified("shop.customer.com").await;
        scene.send().await;
        assert_eq!(scene.receiver.messages().len(), 1, "at once");
        for (tries, minutes) in (1..).zip([1, 2, 4, 8, 16, 32, 60]) {
            let (delivery, attempts) = scene.only().await;
            assert_eq!((delivery.status, delivery.attempts), (DeliveryStatus::Pending, tries));
            let next = delivery.next_retry_at.unwrap();
            let wait = next.since(attempts.last().unwrap().at);
            assert!(wait >= MINUTE * minutes && wait <= MINUTE * minutes * 11 / 10, "try {tries}: {wait:?}");
            let left = next.since(scene.bench.core.now());
            scene.later(left - Duration::from_millis(1)).await;
            assert_eq!(scene.receiver.messages().len(), usize::try_from(tries).unwrap(), "not before its time");
            scene.later(Duration::from_millis(1)).await;
            assert_eq!(scene.receiver.messages().len(), usize::try_from(tries).unwrap() + 1);
        }
        let (delivery, attempts) = scene.only().await;
        assert_eq!((delivery.status, delivery.next_retry_at), (DeliveryStatus::Failed, None));
        assert_eq!(attempts.iter().map(|attempt| attempt.n).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert!(attempts.iter().all(|attempt| attempt.status_code == Some(500)));
        assert_eq!(attempts[0].response.as_deref(), Some("no"));
        scene.later(Duration::from_hours(48)).await;
        assert_eq!(scene.receiver.messages().len(), 8, "never again by itself");
        assert!(scene.metrics().contains("namegate_control_webhook_attempts_total{result=\"refused\"} 8"));
    });
}

#[test]
fn a_receiver_that_asks_for_time_gets_it() {
    sending(|scene| async move {
        scene.endpoint().await;
        scene.receiver.then(Taking::RetryAfter(503, "600".to_owned()));
        scene.receiver.then(Taking::RetryAfter(500, "600".to_owned()));
        scene.tenant.verified("shop.customer.com").await;
        scene.send().await;
        let wait = async || {
            let (delivery, attempts) = scene.only().await;
            delivery.next_retry_at.unwrap().since(attempts.last().unwrap().at).as_secs()
        };
        assert_eq!(wait().await, 600);
        scene.later(Duration::from_secs(600)).await;
        assert!((120..=132).contains(&wait().await), "only 429 and 503 may ask");
        scene.later(Duration::from_secs(132)).await;
        assert_eq!(scene.only().await.0.status, DeliveryStatus::Delivered);
    });
}

#[test]
fn a_message_whose_sender_does_not_come_back_is_sent_by_another_once_its_lease_is_over() {
    sending(|scene| async move {
        let (endpoint, _) = scene.endpoint().await;
        scene.tenant.verified("shop.customer.com").await;
        let core = &scene.bench.core;
        let lease = Duration::from_secs(20);
        let taken = core.lease_deliveries(&endpoint.id, 1, lease).await.unwrap().remove(0);
        scene.later(lease - Duration::from_millis(1)).await;
        assert!(scene.receiver.messages().is_empty());
        scene.later(Duration::from_millis(1)).await;
        assert_eq!(scene.receiver.messages()[0].header("webhook-id"), taken.event.id);
        let (delivery, attempts) = scene.only().await;
        let late = core.record_delivery_attempt(&taken, &attempts[0], NextStep::GiveUp).await.unwrap();
        assert_eq!((late, delivery.status), (Recorded::Lost, DeliveryStatus::Delivered));
        assert_eq!(scene.only().await.0.status, DeliveryStatus::Delivered, "who comes too late changes nothing");
    });
}

#[test]
fn a_sender_that_runs_sends_without_being_asked_and_ends_when_told_to() {
    sending(|scene| async move {
        scene.endpoint().await;
        let sender = tokio::spawn(scene.sender.clone().run());
        scene.receiver.then(Taking::Status(503, ""));
        scene.tenant.verified("shop.customer.com").await;
        scene.receiver.until(1).await;
        // Its retry waits for the clock alone.
        test_support::wait::until("the try is written down", async || {
            (scene.only().await.0.attempts == 1).then_some(())
        })
        .await;
        scene.bench.clock.advance(Duration::from_mins(2));
        scene.receiver.until(2).await;
        scene.stopping.cancel();
        sender.await.unwrap();
        assert_eq!(scene.only().await.0.status, DeliveryStatus::Delivered, "what was begun is written down");
    });
}
