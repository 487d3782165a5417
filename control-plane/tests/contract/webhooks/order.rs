//! Order, and who waits for whom.

use std::time::Duration;

use control_plane::core::{DeliveryStatus, Routing};
use test_support::{Receiver, Taking};

use super::harness::sending;
use crate::harness::{issued, pointing};

#[test]
fn events_of_a_name_arrive_in_order_although_the_first_fails() {
    sending(|scene| async move {
        scene.endpoint().await;
        scene.receiver.answer_for("slow.customer.com", Taking::Status(500, ""));
        let ids = [scene.tenant.pointing("slow.customer.com").await, scene.tenant.pointing("quick.customer.com").await];
        scene
            .bench
            .core
            .take_reports(&[issued("r1", "slow.customer.com"), issued("r2", "quick.customer.com")])
            .await
            .unwrap();
        drop(ids);
        scene.send().await;
        let whole = [("domain.verified", 1), ("ssl.issued", 2), ("domain.flow.completed", 3)];
        let whole = whole.map(|(kind, seq)| (kind.to_owned(), seq));
        assert_eq!(scene.receiver.story("quick.customer.com"), whole, "other names do not wait");
        assert_eq!(scene.receiver.story("slow.customer.com"), whole[..1]);
        scene.later(Duration::from_mins(2)).await;
        assert_eq!(
            scene.receiver.story("slow.customer.com"),
            [&whole[..1], &whole[..1]].concat(),
            "the first one again"
        );
        scene.receiver.answer_for("slow.customer.com", Taking::Take);
        scene.later(Duration::from_mins(5)).await;
        assert_eq!(scene.receiver.story("slow.customer.com"), [&whole[..1], &whole[..1], &whole[..]].concat());
        assert!(scene.deliveries().await.iter().all(|delivery| delivery.status == DeliveryStatus::Delivered));
    });
}

#[test]
fn a_receiver_that_was_away_for_an_hour_misses_nothing() {
    sending(|scene| async move {
        scene.endpoint().await;
        scene.receiver.answer(Taking::Close);
        let made = scene.tenant.pointing("shop.customer.com").await;
        scene.bench.core.take_reports(&[issued("r", "shop.customer.com")]).await.unwrap();
        for _ in 0..30 {
            scene.later(Duration::from_mins(2)).await;
        }
        for _ in 0..3 {
            scene.tenant.see(&made.claim.id, pointing(Routing::Wrong)).await.unwrap();
            scene.later(Duration::from_mins(3)).await;
        }
        let away = scene.receiver.messages().len();
        scene.receiver.answer(Taking::Take);
        scene.later(Duration::from_hours(1)).await;
        let numbers: Vec<_> = scene.receiver.messages()[away..]
            .iter()
            .map(|message| message.json()["hostname_seq"].as_i64().unwrap())
            .collect();
        assert_eq!(numbers, [1, 2, 3, 4], "verified, issued, completed, drift: gap-free and in order");
    });
}

#[test]
fn a_receiver_that_hangs_holds_up_nobody_else() {
    sending(|scene| async move {
        let stuck = Receiver::start(&scene.host).await;
        stuck.answer(Taking::Hang);
        scene.endpoint_at(&stuck.url(), &[]).await;
        scene.endpoint().await;
        let sender = tokio::spawn(scene.sender.clone().run());
        for n in 0..12 {
            scene.tenant.verified(&format!("shop{n}.customer.com")).await;
        }
        // More than one batch: had they to wait for a try that hangs, this would take its five seconds at least.
        scene.receiver.until(12).await;
        let waiting = scene.deliveries().await;
        let hanging = waiting.iter().filter(|delivery| delivery.status == DeliveryStatus::Pending).count();
        assert!(hanging >= 8, "the other one has not come back yet: {hanging}");
        scene.stopping.cancel();
        sender.await.unwrap();
    });
}

#[test]
fn what_has_piled_up_is_sent_once_the_receiver_is_back() {
    sending(|scene| async move {
        scene.endpoint().await;
        scene.receiver.answer(Taking::Close);
        for n in 0..30 {
            scene.tenant.verified(&format!("shop{n}.customer.com")).await;
        }
        scene.send().await;
        let away = scene.receiver.messages().len();
        assert_eq!(away, 30, "each was tried once");
        scene.receiver.answer(Taking::Take);
        // All of them are due again after two minutes: the first one alone, the others side by side.
        scene.later(Duration::from_mins(2)).await;
        assert!(scene.deliveries().await.iter().all(|delivery| delivery.status == DeliveryStatus::Delivered));
        assert_eq!(scene.receiver.messages().len(), 60);
    });
}

#[test]
fn two_processes_on_one_database_send_each_message_once_and_in_order() {
    sending(|scene| async move {
        scene.endpoint().await;
        for n in 0..20 {
            let made = scene.tenant.verified(&format!("shop{n}.customer.com")).await;
            scene.bench.core.archive_connection(&scene.tenant.caller, &made.claim.id).await.unwrap();
        }
        let other = scene.another_sender();
        let (first, second) = tokio::join!(scene.sender.deliver_due(), other.deliver_due());
        assert!(first.unwrap() + second.unwrap() > 0);
        // One of them may have looked while the other had everything.
        scene.send().await;
        assert_eq!(scene.receiver.messages().len(), 40);
        for n in 0..20 {
            let story = scene.receiver.story(&format!("shop{n}.customer.com"));
            assert_eq!(story, [("domain.verified".to_owned(), 1), ("domain.archived".to_owned(), 2)]);
        }
    });
}
