//! The manager of certificates hears what it must order ahead.

use control_client::{Event, Whose};
use serde_json::json;

use crate::harness::{Edge, World, name, to};

fn known(text: &str, pointing: bool) -> Event {
    Event::Known { name: name(text), pointing, tenant: None }
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
    assert_eq!(next(&mut edge).await, Event::Gone { name: name("a.example"), tenant: None });
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

fn of(tenant: &str, pointing: bool) -> serde_json::Value {
    json!({"tenant": tenant, "pointing": pointing})
}

#[tokio::test]
async fn a_move_to_another_tenant_is_told_before_it_is_live_by_a_change_and_by_a_snapshot() {
    let tenant = |id: &str| id.parse::<names::Tenant>().unwrap();
    let told = |id: &str| Event::Known { name: name("a.example"), pointing: false, tenant: Some(tenant(id)) };
    let moving = |id: &str| Event::Moving { name: name("a.example"), to: tenant(id) };
    let world = World::new().await;
    world.control.upsert("a.example", 1, &json!({}));
    let mut edge = world.started().await;
    assert_eq!(next(&mut edge).await, known("a.example", false));
    world.control.upsert("a.example", 2, &of("app_1", false));
    assert_eq!(next(&mut edge).await, told("app_1"), "the first that is told is no move");
    world.control.upsert("a.example", 3, &of("app_2", false));
    assert_eq!([next(&mut edge).await, next(&mut edge).await], [moving("app_2"), told("app_2")]);
    edge.stop().await;

    // The next process knows from disk whose the name was.
    world.control.set_names([("a.example".to_owned(), json!({"generation": 4, "tenant": "app_3"}))]);
    world.control.forget_changes();
    let mut edge = world.started().await;
    assert_eq!([next(&mut edge).await, next(&mut edge).await], [moving("app_3"), told("app_3")]);
    assert_eq!(edge.gate.whose(&name("a.example")), Whose::Of(tenant("app_3")));
    assert_eq!(edge.gate.whose(&name("b.example")), Whose::Unknown);
    world.control.delete("a.example", 5);
    assert_eq!(next(&mut edge).await, Event::Gone { name: name("a.example"), tenant: Some(tenant("app_3")) });
    assert_eq!(edge.gate.whose(&name("a.example")), Whose::Gone);
}
