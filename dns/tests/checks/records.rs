//! Desired records against what zones really look like.

use std::time::Duration;

use dns::{
    Reason, Role,
    check::{ObservedRecord, RecordKind, check_records},
    merge::{Verdict, Vote},
};
use hickory_proto::rr::RecordType;

use crate::{
    authority::Fault,
    scene::{EDGE, EDGE_V4, EDGE_V6, HOST, Scene, ZONE, desired, owner},
};

const EVERYWHERE: Verdict = Verdict::Present { everywhere: true };

async fn check(scene: &Scene, host: &str, kind: RecordKind, value: &str) -> ObservedRecord {
    let mut observed = check_records(&scene.resolvers, &[desired(host, kind, value)]).await;
    assert_eq!(observed.len(), 1);
    observed.remove(0)
}

async fn cname(scene: &Scene) -> ObservedRecord {
    check(scene, HOST, RecordKind::Cname, EDGE).await
}

#[tokio::test]
async fn a_cname_to_the_edge_is_seen_by_every_server() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.cname(HOST, EDGE));
    let seen = cname(&scene).await;
    assert_eq!((seen.state, seen.propagated), (EVERYWHERE, true));
    let roles: Vec<_> = seen.servers.iter().map(|view| (view.role, view.vote)).collect();
    let (own, recursive) = ((Role::Authority, Vote::Match), (Role::Recursive, Vote::Match));
    assert_eq!(roles, [own, own, recursive, recursive]);
    assert_eq!(scene.metric("in_flight", None), 0.0);
}

#[tokio::test]
async fn case_and_final_dots_do_not_matter() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.cname("SHOP.Customer.TEST", "EDGE.SaaS.Test"));
    let seen = check(&scene, "Shop.customer.test.", RecordKind::Cname, "Edge.saas.test.").await;
    assert_eq!(seen.state, EVERYWHERE);
}

#[tokio::test]
async fn a_chain_that_leads_through_the_edge_counts() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.cname(HOST, "a.other.test").cname("a.other.test", EDGE));
    let seen = cname(&scene).await;
    assert_eq!(seen.state, EVERYWHERE, "{seen:?}");
}

#[tokio::test]
async fn a_flattened_cname_shows_the_edges_addresses_and_no_others() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.ip_of(ZONE, EDGE_V4).ip_of(ZONE, EDGE_V6));
    assert_eq!(check(&scene, ZONE, RecordKind::Cname, EDGE).await.state, EVERYWHERE);
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.ip_of(ZONE, EDGE_V4));
    assert_eq!(check(&scene, ZONE, RecordKind::Cname, EDGE).await.state, EVERYWHERE, "a part of them is enough");
    scene.everywhere(|server| _ = server.ip_of(ZONE, "192.0.2.99"));
    let seen = check(&scene, ZONE, RecordKind::Cname, EDGE).await;
    assert_eq!((seen.state, seen.observed_value.as_deref()), (Verdict::Absent, Some("192.0.2.10, 192.0.2.99")));
}

#[tokio::test]
async fn a_name_that_resolves_to_something_else_is_not_ours() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.cname(HOST, "other.test").ip_of("other.test", "192.0.2.99"));
    let seen = cname(&scene).await;
    assert_eq!(seen.state, Verdict::Absent);
    assert_eq!(seen.observed_value.as_deref(), Some("CNAME other.test, 192.0.2.99"));
}

#[tokio::test]
async fn addresses_must_contain_the_desired_one() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.ip_of(ZONE, EDGE_V4).ip_of(ZONE, "192.0.2.99"));
    let records = [
        desired(ZONE, RecordKind::A, EDGE_V4),
        desired(ZONE, RecordKind::Aaaa, EDGE_V6),
        desired(ZONE, RecordKind::A, "192.0.2.11"),
    ];
    let seen = check_records(&scene.resolvers, &records).await;
    let states: Vec<_> = seen.iter().map(|record| record.state).collect();
    assert_eq!(states, [EVERYWHERE, Verdict::Absent, Verdict::Absent]);
    let desired: Vec<_> = seen.into_iter().map(|record| record.desired).collect();
    assert_eq!(desired, records, "in the order that was asked for");
}

#[tokio::test]
async fn records_of_one_name_cost_each_question_once() {
    let scene = Scene::without_authority().await;
    scene.everywhere(|server| _ = server.ip_of(ZONE, EDGE_V4).ip_of(ZONE, EDGE_V6));
    let records = [desired(ZONE, RecordKind::A, EDGE_V4), desired(ZONE, RecordKind::Aaaa, EDGE_V6)];
    check_records(&scene.resolvers, &records).await;
    assert_eq!(scene.recursive[0].questions(), 2, "A and AAAA");
}

#[tokio::test]
async fn a_missing_name_is_absent_and_a_failing_one_is_not() {
    let scene = Scene::new().await;
    assert_eq!(cname(&scene).await.state, Verdict::Absent, "NXDOMAIN");
    scene.everywhere(|server| _ = server.txt(HOST, &["something"]));
    assert_eq!(cname(&scene).await.state, Verdict::Absent, "NODATA");
    for (fault, reason) in [
        (Fault::ServFail, Reason::ServFail),
        (Fault::Refused, Reason::Refused),
        (Fault::Bogus, Reason::Bogus),
        (Fault::Garbage, Reason::Malformed),
        (Fault::Silence, Reason::Timeout),
        (Fault::Referral, Reason::NotResponsible),
    ] {
        scene.everywhere(|server| _ = server.fault(HOST, fault));
        assert_eq!(cname(&scene).await.state, Verdict::Indeterminate(reason), "{fault:?}");
    }
}

#[tokio::test]
async fn a_half_propagated_change_is_neither_here_nor_gone() {
    let scene = Scene::new().await;
    scene.own[0].cname(HOST, EDGE);
    assert_eq!(cname(&scene).await.state, Verdict::Propagating, "one server of the zone has it");
    scene.own[1].cname(HOST, EDGE);
    let seen = cname(&scene).await;
    assert_eq!(seen.state, Verdict::Present { everywhere: false }, "the zone has it, the world not yet");
    assert!(!seen.propagated);
    scene.recursive.iter().for_each(|server| _ = server.cname(HOST, EDGE));
    assert!(cname(&scene).await.propagated);
    scene.own.iter().for_each(|server| _ = server.remove(HOST));
    assert_eq!(cname(&scene).await.state, Verdict::Propagating, "removed, and still in caches");
}

#[tokio::test]
async fn a_server_that_is_not_responsible_has_no_say() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.cname(HOST, EDGE));
    scene.own[0].remove(HOST).fault(HOST, Fault::NotAuthoritative);
    assert_eq!(cname(&scene).await.state, EVERYWHERE);
}

#[tokio::test]
async fn one_resolver_that_answers_is_enough_to_see_and_not_to_miss() {
    let scene = Scene::without_authority().await;
    scene.recursive[0].fault(HOST, Fault::Silence);
    assert_eq!(cname(&scene).await.state, Verdict::Indeterminate(Reason::Timeout));
    scene.recursive[1].cname(HOST, EDGE);
    assert_eq!(cname(&scene).await.state, EVERYWHERE);
}

#[tokio::test]
async fn a_dead_type_hides_nothing_that_decides() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.fault_for(HOST, RecordType::AAAA, Fault::ServFail).ip_of(HOST, EDGE_V4));
    assert_eq!(check(&scene, HOST, RecordKind::A, EDGE_V4).await.state, EVERYWHERE);
    assert_eq!(check(&scene, HOST, RecordKind::A, "192.0.2.11").await.state, Verdict::Absent);
    let v6 = check(&scene, HOST, RecordKind::Aaaa, EDGE_V6).await;
    assert_eq!(v6.state, Verdict::Indeterminate(Reason::ServFail));
    assert_eq!(cname(&scene).await.state, Verdict::Indeterminate(Reason::ServFail), "a stray AAAA may be hidden");
}

#[tokio::test]
async fn loops_long_chains_and_endless_sets_say_nothing() {
    let scene = Scene::without_authority().await;
    scene.everywhere(|server| {
        server.cname("loop.customer.test", "pool.customer.test").cname("pool.customer.test", "loop.customer.test");
        for step in 0..12 {
            server.cname(&format!("c{step}.customer.test"), &format!("c{}.customer.test", step + 1));
        }
        for number in 0..17 {
            server.ip_of("many.customer.test", &format!("192.0.2.{number}"));
        }
    });
    for (host, reason) in [("loop", Reason::ChainLoop), ("c0", Reason::ChainTooLong), ("many", Reason::TooMany)] {
        let host = format!("{host}.customer.test");
        let seen = check(&scene, &host, RecordKind::A, "192.0.2.1").await;
        assert_eq!(seen.state, Verdict::Indeterminate(reason), "{host}");
    }
}

#[tokio::test]
async fn ten_thousand_answers_are_refused_whole() {
    let scene = Scene::without_authority().await;
    scene.everywhere(|server| {
        for number in 0..10_000 {
            server.ip_of(HOST, &format!("10.9.{}.{}", number / 250, number % 250));
        }
    });
    let seen = check(&scene, HOST, RecordKind::A, "10.9.0.1").await;
    // 160 KB do not fit into any DNS message: even over TCP the server cuts it.
    assert_eq!(seen.state, Verdict::Indeterminate(Reason::TooMany));
    assert!(scene.metric("tcp_total", Some("truncated")) >= 2.0);
}

#[tokio::test]
async fn the_zone_is_found_once_and_below_a_cname_too() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.cname(HOST, "far.elsewhere.test").zone("elsewhere.test", &[]));
    let zone = scene.resolvers.ns(&owner(HOST)).await;
    let (name, servers) = zone.present().unwrap();
    assert_eq!((name.to_string().as_str(), servers.len()), (ZONE, 2));
    let before = scene.recursive[0].questions();
    assert_eq!(scene.resolvers.ns(&owner(HOST)).await, zone);
    assert_eq!(scene.recursive[0].questions(), before, "remembered");
}

#[tokio::test]
async fn private_name_servers_are_not_asked_without_leave() {
    let scene = Scene::with(|config| {
        config.authority = dns::Authority::Ask { port: crate::authority::PORT, private: false };
    });
    let scene = scene.await;
    scene.everywhere(|server| _ = server.cname(HOST, EDGE));
    let seen = cname(&scene).await;
    assert_eq!(seen.state, EVERYWHERE, "the resolvers are enough");
    assert!(seen.servers.iter().all(|view| view.role == Role::Recursive));
    assert_eq!(scene.own[0].questions() + scene.own[1].questions(), 0);
}

#[tokio::test]
async fn a_dead_first_resolver_does_not_eat_the_time_of_the_others() {
    let dead = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let scene = Scene::with(|config| {
        config.servers.insert(0, dns::Server::new(dead.local_addr().unwrap()));
        config.limits.attempt_timeout = Duration::from_secs(60);
        config.limits.check_deadline = Duration::from_secs(4);
    });
    let scene = scene.await;
    scene.everywhere(|server| _ = server.cname(HOST, EDGE));
    let seen = cname(&scene).await;
    assert_eq!(seen.state, EVERYWHERE);
    let silent: Vec<_> = seen.servers.iter().filter(|view| view.vote != Vote::Match).collect();
    assert!(matches!(silent.as_slice(), [view] if view.vote == Vote::Unknown(Reason::Timeout)), "{silent:?}");
    assert_eq!(seen.servers.len(), 5, "the zone's servers were found");
}
