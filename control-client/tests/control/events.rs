//! The manager of certificates hears what it must order ahead.

use control_client::Event;
use serde_json::json;

use crate::harness::{Edge, World, name, to};

fn known(text: &str, pointing: bool) -> Event {
    Event::Known { name: name(text), pointing }
}

async fn next(edge: &mut Edge) -> Event {
    tokio::time::timeout(test_support::wait::LIMIT, edge.events.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_listener_hears_what_is_new_and_the_rest_is_there_to_be_walked_over() {
    let world = World::new().await;
    world.control.upsert("a.example", 1, &to("http://app.example"));
    let mut edge = world.started().await;
    assert_eq!(next(&mut edge).await, known("a.example", true));
    world.control.upsert("b.example", 1, &json!({}));
    world.control.upsert("b.example", 2, &json!({"pointing": true}));
    world.control.delete("a.example", 2);
    assert_eq!(next(&mut edge).await, known("b.example", false));
    assert_eq!(next(&mut edge).await, known("b.example", true));
    assert_eq!(next(&mut edge).await, Event::Gone(name("a.example")));
    world.control.upsert("c.example", 1, &json!({}));
    assert_eq!(next(&mut edge).await, known("c.example", false));
    edge.stop().await;

    let mut edge = world.started().await;
    let mut pointing = Vec::new();
    edge.directory.each_pointing(|name| pointing.push(name));
    assert_eq!(pointing, [name("b.example")], "only what a certificate can be had for");
    assert!(edge.directory.find(&name("c.example")).is_some_and(|listed| !listed.pointing));
    assert_eq!(edge.directory.find(&name("a.example")), None);
    // A snapshot tells of the difference and of nothing else.
    world.control.set_names([
        ("b.example".to_owned(), json!({"generation": 2, "pointing": true})),
        ("c.example".to_owned(), json!({"generation": 2, "pointing": true})),
    ]);
    world.control.forget_changes();
    assert_eq!(next(&mut edge).await, known("c.example", true));
    assert!(edge.events.try_recv().is_err());
}
