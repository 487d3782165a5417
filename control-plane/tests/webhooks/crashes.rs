//! SIGKILL between a change and its webhook, and while the webhook is under way.

use test_support::{Postgres, Taking};

use crate::harness::{Scene, Worker};

async fn committed_and_killed(database: Option<String>) {
    let mut scene = Scene::start(database, Worker::Off).await;
    scene.endpoint().await;
    for _ in 0..3 {
        scene.happen("shop.customer.com").await;
    }
    let events = scene.events().await;
    scene.die_and_come_back(Worker::On).await;
    let messages = scene.receiver.until(3).await;
    let ids: Vec<_> = messages.iter().map(|message| message.header("webhook-id")).collect();
    assert_eq!(ids, events, "each event, once and in order");
    let numbers: Vec<_> = scene.receiver.story("shop.customer.com").into_iter().map(|(_, number)| number).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

async fn killed_while_sending(database: Option<String>) {
    let mut scene = Scene::start(database, Worker::On).await;
    scene.endpoint().await;
    scene.receiver.then(Taking::Hang);
    scene.happen("shop.customer.com").await;
    scene.receiver.until(1).await;
    scene.die_and_come_back(Worker::On).await;
    // As soon as the dead sender's lease is over.
    let messages = scene.receiver.until(2).await;
    assert_eq!(messages[0].header("webhook-id"), messages[1].header("webhook-id"));
    scene.delivered(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_was_committed_before_a_crash_is_delivered_after_it() {
    let postgres = Postgres::start().await;
    tokio::join!(committed_and_killed(None), committed_and_killed(Some(postgres.create_database())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_was_under_way_in_a_crash_comes_again_with_the_same_id() {
    let postgres = Postgres::start().await;
    tokio::join!(killed_while_sending(None), killed_while_sending(Some(postgres.create_database())));
}
