//! When a message is tried again, and what is written down of it.

use std::time::Duration;

use control_plane::core::DeliveryStatus;
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
fn a_message_whose_sender_does_not_come_back_is_sent_by_another_with_the_same_id() {
    sending(|scene| async move {
        scene.endpoint().await;
        scene.receiver.then(Taking::Hang);
        scene.tenant.verified("shop.customer.com").await;
        let first = tokio::spawn(scene.sender.clone().run());
        scene.receiver.until(1).await;
        scene.bench.clock.advance(Duration::from_secs(20));
        scene.another_sender().deliver_due().await.unwrap();
        scene.stopping.cancel();
        first.await.unwrap();
        let messages = scene.receiver.messages();
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[0].header("webhook-id"), messages[1].header("webhook-id"));
        let (delivery, attempts) = scene.only().await;
        assert_eq!(delivery.status, DeliveryStatus::Delivered, "what the first one found out comes too late");
        assert_eq!((attempts.len(), attempts[0].status_code), (1, Some(204)));
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
