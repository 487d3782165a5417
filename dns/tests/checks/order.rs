//! What a look before an order sees: a yes is quick, and a "no" is held against everybody.

use dns::{
    Absence, Answer, Reason,
    check::{
        caa::{CaIdentity, CaaVerdict},
        order,
    },
};

use crate::{
    authority::Fault,
    scene::{EDGE, EDGE_V4, HOST, Scene, ZONE, owner},
};

fn ca() -> CaIdentity {
    CaIdentity {
        domains: vec!["ca.test".into()],
        account_uri: Some("https://ca.test/acct/1".into()),
        methods: vec!["http-01".into(), "tls-alpn-01".into()],
    }
}

#[tokio::test]
async fn an_address_costs_two_questions_to_one_resolver() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.cname(HOST, EDGE).ip_of(EDGE, EDGE_V4));
    let found = order::addresses(&scene.resolvers, &owner(HOST)).await;
    assert_eq!(found.present().unwrap().addresses[0].to_string(), EDGE_V4, "{found:?}");
    assert_eq!(scene.metric("queries_total", None), 2.0);
}

#[tokio::test]
async fn a_name_is_absent_when_nobody_shows_it_and_not_when_somebody_does() {
    let scene = Scene::new().await;
    assert_eq!(order::addresses(&scene.resolvers, &owner(HOST)).await, Answer::Absent(Absence::NoName));
    scene.everywhere(|server| _ = server.txt(HOST, &["exists"]));
    assert_eq!(order::addresses(&scene.resolvers, &owner(HOST)).await, Answer::Absent(Absence::NoData));
    // Just made: the resolvers remember that it was not there.
    scene.own[1].ip_of(HOST, EDGE_V4);
    let found = order::addresses(&scene.resolvers, &owner(HOST)).await;
    assert_eq!(found.present().unwrap().addresses[0].to_string(), EDGE_V4, "{found:?}");
}

#[tokio::test]
async fn servers_that_say_nothing_make_no_name_absent() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.fault(HOST, Fault::ServFail));
    assert_eq!(order::addresses(&scene.resolvers, &owner(HOST)).await, Answer::Indeterminate(Reason::ServFail));
    // One resolver that says "no" among four who have a vote is not enough.
    let scene = Scene::new().await;
    for server in scene.own.iter().chain(&scene.recursive[1..]) {
        server.fault(HOST, Fault::Refused);
    }
    assert_eq!(order::addresses(&scene.resolvers, &owner(HOST)).await, Answer::Indeterminate(Reason::Refused));
}

#[tokio::test]
async fn caa_refuses_by_the_nearest_set_and_says_where_it_stands() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.caa(ZONE, "issue", "other.test"));
    let set = order::caa(&scene.resolvers, &owner(HOST)).await.present().unwrap().clone();
    assert_eq!(set.at, owner(ZONE));
    assert_eq!(order::refusal(&scene.resolvers, &set, &ca()).await, Some(CaaVerdict::OtherIssuer));
    scene.everywhere(|server| _ = server.caa(HOST, "issue", "ca.test"));
    let set = order::caa(&scene.resolvers, &owner(HOST)).await.present().unwrap().clone();
    assert_eq!(set.at, owner(HOST));
    assert_eq!(order::refusal(&scene.resolvers, &set, &ca()).await, None);
}

#[tokio::test]
async fn caa_of_an_alias_stands_where_the_alias_leads() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.cname(HOST, EDGE).caa(EDGE, "issue", "other.test"));
    let set = order::caa(&scene.resolvers, &owner(HOST)).await.present().unwrap().clone();
    assert_eq!(set.at, owner(EDGE));
}

#[tokio::test]
async fn caa_that_was_mended_at_the_zones_servers_refuses_nobody() {
    let scene = Scene::new().await;
    for resolver in &scene.recursive {
        resolver.caa(ZONE, "issue", "other.test");
    }
    let set = order::caa(&scene.resolvers, &owner(HOST)).await.present().unwrap().clone();
    assert_eq!(order::refusal(&scene.resolvers, &set, &ca()).await, None, "the resolvers are a TTL late");
    for server in &scene.own {
        server.caa(ZONE, "issue", "other.test");
    }
    assert_eq!(order::refusal(&scene.resolvers, &set, &ca()).await, Some(CaaVerdict::OtherIssuer));
    scene.own[0].caa(ZONE, "issue", "ca.test");
    assert_eq!(order::refusal(&scene.resolvers, &set, &ca()).await, None, "one server has the new set");
}
