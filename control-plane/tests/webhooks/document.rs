//! `docs/webhooks.md`: its commands and its verifiers, as they stand there.

use bytes::Bytes;
use control_plane::{core::EventKind, surfaces::connect_domain::event_name};
use serde_json::Value;
use test_support::{Block, Document, Message, Shell};

use crate::{
    harness::{Scene, Worker},
    programs::{Verifiers, signed_at},
};

const DOCUMENT: &str = "docs/webhooks.md";

/// Types a command of the document with what the reader knows by now in it.
async fn types(shell: &mut Shell, block: &Block, known: &[(&str, String)]) -> Value {
    let text = known.iter().fold(block.text.clone(), |text, (placeholder, value)| text.replace(placeholder, value));
    assert!(!text.contains('<'), "{}: nothing has said yet what to put into {text}", block.place);
    let output = shell.run_text(&block.place, &text).await;
    let answer: Value =
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("{}: {error}: {output}", block.place));
    assert_eq!(answer.get("error"), None, "{}: {answer}", block.place);
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_document_does_what_it_says() {
    let scene = Scene::start(None, Worker::On).await;
    let document = Document::read(DOCUMENT);
    let mut shell = Shell::start(std::path::Path::new("/"), &[]).await;
    let mut known = vec![
        ("http://localhost:8080", scene.control.url()),
        ("https://hooks.acme.example/namegate", scene.receiver.url()),
    ];
    let made = types(&mut shell, document.commands_under("Make an endpoint")[0], &known).await;
    let text = |value: &Value, key: &str| value[key].as_str().unwrap().to_owned();
    let old = text(&made, "signing_secret");
    known.push(("<ENDPOINT_ID>", text(&made, "id")));
    scene.happen("shop.customer.com").await;
    known.push(("<DELIVERY_ID>", text(&scene.delivered(1).await[0], "id")));

    let on = types(&mut shell, document.commands_under("Answer")[0], &known).await;
    assert_eq!(on["enabled"], true);
    let [list, one, replay, events] = document.commands_under("Look, and send again")[..] else {
        panic!("four commands")
    };
    assert_eq!(types(&mut shell, list, &known).await["data"][0]["status"], "delivered");
    let one = types(&mut shell, one, &known).await;
    assert_eq!((&one["log"][0]["status_code"], &one["type"]), (&204.into(), &"domain.archived".into()));
    types(&mut shell, replay, &known).await;
    let messages = scene.receiver.until(2).await;
    assert_eq!(messages[0].header("webhook-id"), messages[1].header("webhook-id"));
    assert_eq!(types(&mut shell, events, &known).await["data"][0]["id"], messages[0].header("webhook-id"));

    let rotated = types(&mut shell, document.commands_under("Change the secret")[0], &known).await;
    assert!(rotated["former_secret_until"].is_string());
    let new = text(&rotated, "signing_secret");
    scene.happen("other.customer.com").await;
    let message = scene.receiver.until(3).await.remove(2);
    let verifiers = Verifiers::of(&document);
    for secret in [&old, &new] {
        assert!(verifiers.say(secret, &message, false).await.into_iter().all(|good| good), "both are good");
    }
    assert_eq!(verifiers.say(&old, &message, true).await, [true]);
    assert_eq!(verifiers.say(&new, &message, true).await, [false], "there is room for one");
    let log = scene.control.log();
    assert!(!log.contains("whsec_") && !log.contains(&scene.receiver.url()), "neither secrets nor URLs are logged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_verifiers_of_the_document_take_our_messages_and_no_others() {
    let scene = Scene::start(None, Worker::On).await;
    let (_, secret) = scene.endpoint().await;
    scene.happen("shop.customer.com").await;
    let message = scene.receiver.until(1).await.remove(0);
    let verifiers = Verifiers::of(&Document::read(DOCUMENT));
    let say = async |secret: &str, message: &Message| {
        let mut said = verifiers.say(secret, message, false).await;
        said.extend(verifiers.say(secret, message, true).await);
        assert_eq!(said.len(), 4);
        said
    };
    assert_eq!(say(&secret, &message).await, [true; 4], "as it came");
    let now: i64 = message.header("webhook-timestamp").parse().unwrap();
    assert_eq!(say(&secret, &signed_at(&message, &secret, now)).await, [true; 4], "signed here as there");
    assert_eq!(say(&secret, &signed_at(&message, &secret, now - 400)).await, [false; 4], "too old");
    // Ten minutes ahead: the five that are allowed are not reached however slow this machine is.
    assert_eq!(say(&secret, &signed_at(&message, &secret, now + 900)).await, [false; 4], "from the future");
    let mut forged = message.clone();
    forged.body = Bytes::from(String::from_utf8(message.body.to_vec()).unwrap().replace("shop", "evil"));
    assert_eq!(say(&secret, &forged).await, [false; 4], "changed on the way");
    assert_eq!(say(&format!("whsec_{}", "A".repeat(32)), &message).await, [false; 4], "another secret");
}

#[test]
fn the_document_has_every_event() {
    let document = Document::read(DOCUMENT);
    let text = std::fs::read_to_string(document.path()).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let mut listed: Vec<_> = rows.collect();
    let mut sent: Vec<_> = EventKind::ALL.iter().map(|kind| event_name(*kind)).collect();
    listed.sort_unstable();
    sent.sort_unstable();
    assert_eq!(listed, sent);
}
