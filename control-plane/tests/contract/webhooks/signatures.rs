//! What a receiver can hold against a message.

use std::time::Duration;

use aws_lc_rs::hmac;
use clock::{Clock as _, SystemClock};
use standardwebhooks::Webhook;
use test_support::{Message, Taking};

use super::harness::{Scene, sending};

/// The X-CD signature, as the original's documentation has it: the secret's text is the key.
fn cd_signature(secret: &str, message: &Message) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signed = [message.header("x-cd-timestamp").as_bytes(), b".", &message.body].concat();
    let mac = hmac::sign(&key, &signed);
    format!("sha256={}", mac.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// The verifier looks at the machine's clock.
fn at_the_machines_time(scene: &Scene) {
    scene.bench.clock.set(SystemClock.now());
}

#[test]
fn a_message_is_signed_in_both_ways_and_says_what_happened() {
    sending(|scene| async move {
        at_the_machines_time(&scene);
        let (_, secret) = scene.endpoint().await;
        let connection = scene.tenant.verified("shop.customer.com").await;
        scene.send().await;
        let message = scene.receiver.messages().remove(0);
        Webhook::new(&secret).unwrap().verify(&message.body, &message.headers).unwrap();
        assert_eq!(message.header("x-cd-signature"), cd_signature(&secret, &message));
        assert_eq!(message.header("x-cd-timestamp"), message.header("webhook-timestamp"));
        assert_eq!(message.header("content-type"), "application/json");
        assert!(message.header("user-agent").starts_with("Namegate-Webhooks/"));
        assert_eq!(message.request, "POST /hooks");
        let event = scene.bench.core.events(&scene.tenant.caller, 0, 10).await.unwrap().remove(0);
        assert_eq!(message.header("webhook-id"), event.id);
        let now = scene.bench.core.now().to_string();
        let expected = serde_json::json!({
            "id": event.id, "type": "domain.verified", "jobId": connection.claim.id, "hostname": "shop.customer.com",
            "hostname_seq": 1, "seq": 1, "data": {"hostname": "shop.customer.com"},
            "timestamp": event.created_at.to_string(), "sent_at": now,
        });
        assert_eq!(message.json(), expected);
        let mut forged = message.body.to_vec();
        forged[10] ^= 1;
        assert!(Webhook::new(&secret).unwrap().verify(&forged, &message.headers).is_err());
    });
}

#[test]
fn every_try_and_every_replay_is_signed_anew_with_the_same_id() {
    sending(|scene| async move {
        at_the_machines_time(&scene);
        let (_, secret) = scene.endpoint().await;
        scene.receiver.then(Taking::Status(500, "not now"));
        scene.tenant.verified("shop.customer.com").await;
        scene.send().await;
        scene.later(Duration::from_secs(70)).await;
        let (delivery, attempts) = scene.only().await;
        assert_eq!(attempts.len(), 2);
        scene.bench.core.replay_delivery(&scene.tenant.caller, &delivery.id).await.unwrap();
        scene.later(Duration::from_secs(10)).await;
        let messages = scene.receiver.messages();
        assert_eq!(messages.len(), 3);
        let mut times = Vec::new();
        for message in &messages {
            Webhook::new(&secret).unwrap().verify(&message.body, &message.headers).unwrap();
            assert_eq!(message.header("x-cd-signature"), cd_signature(&secret, message));
            assert_eq!(message.header("webhook-id"), messages[0].header("webhook-id"));
            assert_eq!(message.text("timestamp"), messages[0].text("timestamp"));
            times.push(message.header("webhook-timestamp").parse::<i64>().unwrap());
        }
        assert_eq!((times[1] - times[0], times[2] - times[1]), (70, 10));
        assert_ne!(messages[0].text("sent_at"), messages[1].text("sent_at"));
    });
}

#[test]
fn after_a_rotation_the_secret_before_is_good_for_a_day() {
    sending(|scene| async move {
        at_the_machines_time(&scene);
        let (endpoint, old) = scene.endpoint().await;
        let (_, new) = scene.bench.core.rotate_signing_secret(&scene.tenant.caller, &endpoint.id).await.unwrap();
        assert_ne!(old, new);
        scene.tenant.verified("a.customer.com").await;
        scene.send().await;
        let message = scene.receiver.messages().remove(0);
        for secret in [&old, &new] {
            Webhook::new(secret).unwrap().verify(&message.body, &message.headers).unwrap();
        }
        assert_eq!(message.header("x-cd-signature"), cd_signature(&old, &message), "there is room for one");
        scene.bench.clock.advance(scene.bench.core.settings().former_secret_keep);
        scene.tenant.verified("b.customer.com").await;
        scene.send().await;
        let message = scene.receiver.messages().remove(1);
        assert_eq!(message.header("x-cd-signature"), cd_signature(&new, &message));
        assert!(!message.header("webhook-signature").contains(' '), "one signature");
    });
}
