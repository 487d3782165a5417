//! One question, one server: what goes over the wire and what is believed.

use std::time::{Duration, Instant};

use dns::{Absence, Answer, Limits, Reason, Server, Transport};

use crate::{
    authority::Fault,
    scene::{EDGE, HOST, Scene, owner},
};

fn present(values: &[&str]) -> Answer<Vec<String>> {
    Answer::Present(values.iter().map(|&value| value.to_owned()).collect())
}

#[tokio::test]
async fn answers_to_other_questions_are_passed_over() {
    let scene = Scene::without_authority().await;
    scene.recursive[0].txt(HOST, &["right"]).fault(HOST, Fault::Forged);
    assert_eq!(scene.resolvers.txt(&owner(HOST)).await, present(&["right"]));
}

#[tokio::test]
async fn a_truncated_answer_is_fetched_over_tcp() {
    let scene = Scene::without_authority().await;
    scene.recursive[0].txt(HOST, &["whole"]).fault(HOST, Fault::Truncated);
    assert_eq!(scene.resolvers.txt(&owner(HOST)).await, present(&["whole"]));
    let long = "x".repeat(250);
    let all = vec![long.as_str(); 8];
    scene.recursive[0].txt("long.customer.test", &all);
    let answer = scene.resolvers.txt(&owner("long.customer.test")).await;
    assert_eq!(answer, present(&[long.repeat(8).as_str()]));
    assert_eq!(scene.metric("tcp_total", Some("truncated")), 2.0);
}

#[tokio::test]
async fn a_resolver_behind_tcp_only_is_asked_so() {
    let scene = Scene::with(|config| {
        config.authority = dns::Authority::Skip;
        config.servers.iter_mut().for_each(|server| server.transport = Transport::Tcp);
    });
    let scene = scene.await;
    scene.recursive[0].txt(HOST, &["here"]);
    assert_eq!(scene.resolvers.txt(&owner(HOST)).await, present(&["here"]));
    assert_eq!(scene.recursive[0].questions(), 0, "nothing over UDP");
}

#[tokio::test]
async fn a_server_from_before_edns_is_asked_again_without() {
    let scene = Scene::without_authority().await;
    scene.recursive[0].txt(HOST, &["old"]).fault(HOST, Fault::FormErr);
    assert_eq!(scene.resolvers.txt(&owner(HOST)).await, present(&["old"]));
}

#[tokio::test]
async fn the_next_resolver_is_asked_when_one_says_nothing() {
    let scene = Scene::without_authority().await;
    scene.recursive[0].fault(HOST, Fault::ServFail);
    scene.recursive[1].txt(HOST, &["second"]);
    assert_eq!(scene.resolvers.txt(&owner(HOST)).await, present(&["second"]));
}

#[tokio::test]
async fn both_kinds_of_absence_are_told_apart() {
    let scene = Scene::without_authority().await;
    scene.recursive[0].txt(HOST, &["x"]);
    assert_eq!(scene.resolvers.cname(&owner(HOST)).await, Answer::Absent(Absence::NoData));
    assert_eq!(scene.resolvers.cname(&owner("no.customer.test")).await, Answer::Absent(Absence::NoName));
    scene.recursive[0].cname("www.customer.test", EDGE);
    assert_eq!(scene.resolvers.cname(&owner("www.customer.test")).await, Answer::Present(owner(EDGE)));
}

#[tokio::test]
async fn special_names_are_asked_for_like_all_others() {
    let scene = Scene::without_authority().await;
    for name in ["a.localhost", "a.invalid"] {
        scene.recursive[0].txt(name, &["asked"]);
        assert_eq!(scene.resolvers.txt(&owner(name)).await, present(&["asked"]), "{name}");
    }
}

#[tokio::test]
async fn a_check_ends_at_its_deadline() {
    let deadline = Duration::from_secs(1);
    let scene = Scene::with(|config| {
        config.limits = Limits { check_deadline: deadline, ..Limits::default() };
        // Nobody listens at the first: the kernel says so at once.
        config.servers.insert(0, Server::new("127.0.0.1:1".parse().unwrap()));
    });
    let scene = scene.await;
    scene.everywhere(|server| _ = server.fault(HOST, Fault::Silence));
    let start = Instant::now();
    assert_eq!(scene.resolvers.txt(&owner(HOST)).await, Answer::Indeterminate(Reason::Timeout));
    assert!(start.elapsed() >= deadline);
    assert_eq!(scene.metric("queries_total", Some("unreachable")), 1.0);
}

#[tokio::test]
async fn questions_beyond_the_limit_wait_and_are_then_given_up() {
    let scene = Scene::with(|config| {
        config.authority = dns::Authority::Skip;
        config.limits = Limits {
            queries_in_flight: 1,
            attempt_timeout: Duration::from_secs(1),
            check_deadline: Duration::from_millis(200),
            ..Limits::default()
        };
    });
    let scene = scene.await;
    scene.everywhere(|server| _ = server.fault(HOST, Fault::Silence));
    let name = owner(HOST);
    let (one, other) = tokio::join!(scene.resolvers.txt(&name), scene.resolvers.txt(&name));
    let seen = [one, other];
    // Whoever had the one slot timed out; at the second resolver there was no time left for anyone.
    assert!(seen.iter().all(|answer| !answer.is_definite()));
    assert!(scene.metric("queries_total", Some("overloaded")) >= 1.0);
    assert_eq!(scene.metric("in_flight", None), 0.0);
}
