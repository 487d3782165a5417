//! One question for everyone who waits.

use std::{sync::Arc, time::Duration};

use control_client::{Freshness, Refusal};
use tokio::task::JoinSet;

use crate::{
    endpoint::{Say, json},
    harness::{edge, edge_with, name},
};

const NAME: &str = "shop.customer.example";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_visitors_at_once_ask_once_whatever_the_answer() {
    for say in [json(r#"{"generation":1}"#), Say::Status(404), Say::Status(500)] {
        let edge = edge(say.clone()).await;
        let held = edge.endpoint.hold().await;
        let mut visitors = JoinSet::new();
        for _ in 0..1000 {
            let gate = edge.gate.clone();
            visitors.spawn(async move { gate.admit(&name(NAME)).await.map(|admitted| admitted.freshness) });
        }
        edge.endpoint.until_asked(1).await;
        drop(held);
        let outcomes = visitors.join_all().await;
        assert_eq!(outcomes.len(), 1000);
        assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]), "{say:?}");
        assert_eq!(edge.endpoint.asked().len(), 1, "{say:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn visitors_of_many_names_ask_once_a_name() {
    let edge = edge(Say::Status(200)).await;
    let mut visitors = JoinSet::new();
    for number in 0..2000 {
        let gate = edge.gate.clone();
        visitors.spawn(async move { gate.admit(&name(&format!("n{}.example", number % 100))).await.unwrap() });
    }
    visitors.join_all().await;
    let mut asked = edge.endpoint.asked();
    asked.sort();
    asked.dedup();
    assert_eq!((asked.len(), edge.endpoint.asked().len()), (100, 100));
    assert_eq!(edge.files().await.len(), 100);
}

#[tokio::test]
async fn a_visitor_who_leaves_cancels_nothing() {
    let edge = edge(Say::Status(200)).await;
    let held = edge.endpoint.hold().await;
    let visit = |gate: control_client::Gate| tokio::spawn(async move { gate.admit(&name(NAME)).await });
    let leaver = visit(edge.gate.clone());
    edge.endpoint.until_asked(1).await;
    let stayer = visit(edge.gate.clone());
    tokio::task::yield_now().await;
    leaver.abort();
    assert!(leaver.await.unwrap_err().is_cancelled());
    drop(held);
    assert_eq!(stayer.await.unwrap().unwrap().freshness, Freshness::Fresh);
    assert_eq!(edge.state(NAME).await, Ok(Freshness::Fresh));
    assert_eq!(edge.endpoint.asked().len(), 1);
}

#[tokio::test]
async fn the_answer_is_remembered_when_every_visitor_has_left() {
    let edge = edge(Say::Status(404)).await;
    let held = edge.endpoint.hold().await;
    let gate = edge.gate.clone();
    let leaver = tokio::spawn(async move { gate.admit(&name(NAME)).await });
    edge.endpoint.until_asked(1).await;
    leaver.abort();
    assert!(leaver.await.is_err());
    drop(held);
    assert_eq!(edge.state(NAME).await, Err(Refusal::Denied));
    assert_eq!(edge.endpoint.asked().len(), 1);
}

#[tokio::test]
async fn above_the_limit_of_questions_new_names_are_refused_at_once_and_known_ones_served() {
    let edge = edge_with(Say::Status(200), |settings| settings.limits.questions_in_flight = 2).await;
    let site = edge.admit("known.example").await.unwrap().site;
    edge.run_out();
    let held = edge.endpoint.hold().await;
    let mut visitors = JoinSet::new();
    for text in ["a.example", "b.example"] {
        let gate = edge.gate.clone();
        visitors.spawn(async move { gate.admit(&name(text)).await.map(|admitted| admitted.freshness) });
    }
    edge.endpoint.until_asked(3).await;
    assert_eq!(edge.state("c.example").await, Err(Refusal::Unavailable));
    let known = edge.admit("known.example").await.unwrap();
    assert_eq!(known.freshness, Freshness::Stale);
    assert!(Arc::ptr_eq(&known.site, &site));
    assert_eq!((edge.metric("refused_in_flight_total"), edge.metric("in_flight")), (2, 2));
    assert_eq!(edge.endpoint.asked().len(), 3);
    drop(held);
    assert_eq!(visitors.join_all().await, [Ok(Freshness::Fresh), Ok(Freshness::Fresh)]);
    assert_eq!(edge.state("c.example").await, Ok(Freshness::Fresh));
}

#[tokio::test]
async fn a_flood_of_invented_names_costs_so_many_questions_and_known_names_are_asked_about_all_the_same() {
    let edge = edge_with(Say::Status(200), |settings| settings.limits.questions_per_second = 2).await;
    edge.admit("known.example").await.unwrap();
    edge.endpoint.say(Say::Status(404));
    let mut refused = 0;
    for n in 0..100 {
        match edge.state(&format!("n{n}.example")).await {
            Err(Refusal::Unavailable) => refused += 1,
            other => assert_eq!(other, Err(Refusal::Denied)),
        }
    }
    // Ten seconds' worth, of which the known name has taken one.
    assert_eq!((refused, edge.endpoint.asked().len()), (81, 20));
    assert_eq!(edge.metric("refused_rate_total"), 81);
    edge.clock.advance(Duration::from_secs(1));
    assert_eq!(edge.state("n99.example").await, Err(Refusal::Denied));
    assert_eq!(edge.state("other.example").await, Err(Refusal::Denied));
    assert_eq!(edge.state("another.example").await, Err(Refusal::Unavailable));
    edge.run_out();
    assert_eq!(edge.state("known.example").await, Err(Refusal::Denied), "whoever was allowed is asked about");
}
