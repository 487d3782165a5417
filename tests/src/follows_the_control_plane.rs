//! What the control plane knows is live at the edge: before the first visitor, on standing connections, without it.

use futures::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use serde_json::json;
use test_support::{ControlProcess, Origin, PebbleOptions, client::http as http_client, wait};

use crate::stack::controlled::{Controlled, path};

const NAME: &str = "shop.customer.com";

#[tokio::test]
async fn a_verified_and_pointing_name_has_its_certificate_before_the_first_visitor() {
    let stack = Controlled::start().await;
    let live = stack.live(NAME).await;
    assert_eq!(live["certificate"]["status"], "valid", "{live}");
    assert_eq!(stack.orders(NAME), 1);
    assert_eq!(stack.edge.metric("namegate_edge_tls_handshakes_total").await, 0.0, "nobody has visited");
    assert_eq!(stack.get(NAME).await.unwrap().status(), StatusCode::OK);
    assert_eq!(stack.orders(NAME), 1, "the visitor finds it");
}

#[tokio::test]
async fn a_caa_record_that_forbids_the_order_is_found_before_the_ca_is_asked() {
    let stack = Controlled::start().await;
    stack.pebble.dns().set_caa("customer.com", "issue", ";").await;
    let made = stack.point(NAME).await;
    let told = stack.until_connection(&made, "verified and held back", |now| now["reason_code"] == "caa_forbids").await;
    assert_ne!(told["verified_at"], json!(null), "{told}");
    let ask = format!("/internal/ask?domain={NAME}");
    assert_eq!(stack.control.get(&ask).await.0, 403);
    stack.until_refused(NAME).await;
    assert_eq!(stack.orders(NAME), 0, "no visitor can cause an order that the authority must refuse");

    stack.pebble.dns().clear("customer.com").await;
    let (status, open) = stack.control.send("POST", &format!("{}/verify", path(&made)), None).await;
    assert_eq!(status, 200, "{open}");
    assert_eq!(stack.control.get(&ask).await.0, 200);
    // The edge hears of it by the feed; whether the visitor or the feed causes the order is a matter of milliseconds.
    let visit = async || stack.get(NAME).await.ok().filter(|answer| answer.status() == StatusCode::OK).map(drop);
    wait::until("the first visit is served", visit).await;
    assert_eq!(stack.orders(NAME), 1);
}

#[tokio::test]
async fn a_known_name_costs_no_question_and_explain_says_where_it_is_known_from() {
    let stack = Controlled::start().await;
    stack.live(NAME).await;
    for _ in 0..5 {
        assert_eq!(stack.get(NAME).await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(stack.questions().await, 0.0);
    let explained = stack.explain(NAME).await;
    assert_eq!((&explained["outcome"], &explained["gate"]["source"]), (&json!("serve"), &json!("feed")), "{explained}");
    let generation = explained["gate"]["generation"].as_u64().unwrap();
    let known = format!("(known name, from the feed, generation {generation})");
    assert!(explained["reason"].as_str().unwrap().contains(&known), "{explained}");
    // A name that the control plane has not told of is asked about, at the control plane.
    stack.until_refused("stranger.customer.com").await;
    assert_eq!(stack.questions().await, 1.0);
}

#[tokio::test]
async fn a_certificate_is_told_of_once_as_a_pair_of_events_whatever_is_restarted() {
    let mut stack = Controlled::start().await;
    stack.live(NAME).await;
    let pair = ["domain.verified", "ssl.issued", "domain.flow.completed"];
    assert_eq!(stack.events().await, pair);
    // The edge cannot know what the process before it has told: it tells again.
    let sent = "namegate_edge_control_reports_sent_total";
    stack.edge.restart().await;
    stack.edge.until_metric(sent, 1.0).await;
    stack.control.restart().await;
    stack.edge.restart().await;
    stack.edge.until_metric(sent, 1.0).await;
    assert_eq!(stack.events().await, pair);
    assert_eq!(stack.orders(NAME), 1);
}

#[tokio::test]
async fn a_certificate_from_before_the_connection_is_told_of_when_the_name_comes_back() {
    let stack = Controlled::start().await;
    let first = stack.live(NAME).await;
    stack.delete(&first).await;
    stack.until_refused(NAME).await;
    let again = stack.live(NAME).await;
    assert_ne!(again["id"], first["id"]);
    assert_eq!(stack.get(NAME).await.unwrap().status(), StatusCode::OK);
    assert_eq!(stack.orders(NAME), 1, "the certificate of before serves");
}

#[tokio::test]
async fn a_deletion_is_live_on_new_and_standing_connections() {
    let stack = Controlled::start().await;
    let made = stack.live(NAME).await;
    let (mut h1, mut h2) = (stack.open(NAME, "http/1.1").await, stack.open(NAME, "h2").await);
    for http in [&mut h1, &mut h2] {
        assert_eq!(http.get(NAME, "/").await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(stack.explain(NAME).await["certificate"]["source"], "memory");

    stack.delete(&made).await;
    stack.until_refused(NAME).await;
    let served = stack.origin.requests();
    for http in [&mut h1, &mut h2] {
        assert_eq!(http.get(NAME, "/").await.unwrap().status(), StatusCode::MISDIRECTED_REQUEST);
    }
    assert!(h1.get(NAME, "/").await.is_err(), "the connection was closed behind the answer");
    assert_eq!(stack.origin.requests(), served, "no request has reached the origin");
    let explained = stack.explain(NAME).await;
    assert_eq!(
        (&explained["outcome"], &explained["gate"]["verdict"]),
        (&json!("refuse"), &json!("deny")),
        "{explained}"
    );
    assert_eq!(explained["certificate"]["source"], "store", "it has left memory: {explained}");
    let planned = async || (stack.edge.metric("namegate_edge_certificate_planned").await == 0.0).then_some(());
    wait::until("its renewal has left the plan", planned).await;
}

#[tokio::test]
async fn a_deletion_ends_the_tunnels_of_its_name_and_no_others() {
    let stack = Controlled::start().await;
    let (made, _) = tokio::join!(stack.live(NAME), stack.live("other.customer.com"));
    let open = async |name: &str| {
        let visit = stack.client().alpn(&["http/1.1"]).visit(stack.edge.https(), name).await.unwrap();
        visit.websocket(name, "/ws").await.unwrap()
    };
    let (mut gone, mut stays) = tokio::join!(open(NAME), open("other.customer.com"));
    stack.delete(&made).await;
    let end = tokio::time::timeout(wait::LIMIT, gone.next()).await.expect("the tunnel ends");
    // The library says so of an end that close_notify announces; another one is an error of the stream.
    assert!(matches!(&end, Some(Err(error)) if error.to_string().contains("without closing handshake")), "{end:?}");
    stays.send("still there?".into()).await.unwrap();
    assert_eq!(stays.next().await.unwrap().unwrap().into_text().unwrap().as_str(), "still there?");
}

#[tokio::test]
async fn a_changed_origin_is_live_on_standing_connections() {
    let stack = Controlled::start().await;
    let made = stack.live(NAME).await;
    let other = Origin::start(&stack.host).await;
    let mut standing = stack.open(NAME, "h2").await;
    assert_eq!(standing.get(NAME, "/").await.unwrap().status(), StatusCode::OK);
    assert_eq!(other.requests(), 0);
    let patch = json!({"origin": other.url()});
    let (status, patched) = stack.control.send("PATCH", &path(&made), Some(&patch)).await;
    assert_eq!(status, 200, "{patched}");
    let before = stack.origin.requests();
    while other.requests() == 0 {
        assert_eq!(standing.get(NAME, "/").await.unwrap().status(), StatusCode::OK, "no request is lost by the change");
        assert!(stack.origin.requests() - before < 10_000, "the change never came");
    }
    let before = stack.origin.requests();
    assert_eq!(stack.get(NAME).await.unwrap().status(), StatusCode::OK);
    assert_eq!(standing.get(NAME, "/").await.unwrap().status(), StatusCode::OK);
    assert_eq!((stack.origin.requests(), other.requests() >= 3), (before, true), "it stays where it is");
}

#[tokio::test]
async fn a_restart_without_the_control_plane_serves_everything_it_served_before() {
    let mut stack = Controlled::start().await;
    stack.live(NAME).await;
    let gone = stack.live("gone.customer.com").await;
    stack.delete(&gone).await;
    stack.until_refused("gone.customer.com").await;
    stack.control.kill9();
    assert!(stack.edge.terminate().await.success());
    // `restart` waits for readiness: it does not depend on the control plane.
    stack.edge.restart().await;
    assert_eq!(stack.get(NAME).await.unwrap().status(), StatusCode::OK);
    assert_eq!(stack.explain(NAME).await["gate"]["verdict"], "allow_stale");
    let health = http_client::get(&format!("http://{}/readyz?verbose", stack.edge.admin())).await.unwrap();
    let health: serde_json::Value = serde_json::from_slice(health.body()).unwrap();
    assert_eq!((&health["ready"], &health["control"]["names"]), (&json!(true), &json!(1)), "{health}");
    assert!(stack.get("gone.customer.com").await.is_err());
    assert!(stack.get("stranger.customer.com").await.is_err());
    assert_eq!((stack.orders(NAME), stack.orders("stranger.customer.com")), (1, 0), "and orders nothing");
}

#[tokio::test]
async fn a_deleted_name_does_not_come_back_from_an_old_backup_of_the_control_plane() {
    let mut stack = Controlled::start().await;
    let made = stack.live(NAME).await;
    assert!(stack.control.terminate().await.success());
    let database = stack.control.folder().join("control.db");
    let backup = std::fs::read(&database).unwrap();
    stack.control.restart().await;
    stack.delete(&made).await;
    stack.until_refused(NAME).await;
    stack.control.kill9();
    for leftover in ["control.db-wal", "control.db-shm"] {
        drop(std::fs::remove_file(stack.control.folder().join(leftover)));
    }
    std::fs::write(&database, backup).unwrap();
    stack.control.restart().await;
    assert_eq!(stack.control.get(&path(&made)).await.1["state"], "live", "the old database believes in it");
    stack.edge.until_metric("namegate_edge_control_polls_total{result=\"gone\"}", 1.0).await;
    assert!(stack.get(NAME).await.is_err(), "the feed's numbers are not from here any more");
    // A restart finds the deletion on disk and the old names at the control plane.
    stack.edge.restart().await;
    stack.edge.until_metric("namegate_edge_control_syncs_total{result=\"refused\"}", 1.0).await;
    assert!(stack.get(NAME).await.is_err());
    assert_eq!(stack.explain(NAME).await["outcome"], "refuse");
}

#[tokio::test]
async fn a_failed_order_is_told_with_the_ca_s_words_and_its_next_attempt() {
    let blocked = "blocked.customer.com";
    let options = PebbleOptions { blocklist: vec![blocked.to_owned()], ..PebbleOptions::default() };
    let stack = Controlled::start_with(options).await;
    let made = stack.point(blocked).await;
    let failed =
        stack.until_connection(&made, "the order has failed", |now| now["certificate"]["status"] == "failed").await;
    let problem = &failed["certificate"]["problem"];
    assert_eq!(problem["type"], "urn:ietf:params:acme:error:rejectedIdentifier", "{failed}");
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{failed}");
    assert_eq!(failed["reason_code"], "certificate_failed", "{failed}");
    assert!(failed["next_attempt_at"].is_string(), "{failed}");
    let told = failed["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .any(|attempt| attempt["detail"].to_string().contains("rejectedIdentifier"));
    assert!(told, "{failed}");
    assert!(stack.events().await.contains(&"ssl.failed".to_owned()));
    assert!(!stack.events().await.contains(&"ssl.issued".to_owned()));
}

#[tokio::test]
async fn a_token_that_the_control_plane_does_not_know_costs_names_nothing_and_is_mended_in_its_file() {
    let mut stack = Controlled::start().await;
    stack.live(NAME).await;
    let token = stack.control.token_file();
    std::fs::write(&token, "another").unwrap();
    stack.edge.restart().await;
    stack.edge.until_metric("namegate_edge_control_polls_total{result=\"unauthorized\"}", 1.0).await;
    assert_eq!(stack.get(NAME).await.unwrap().status(), StatusCode::OK);
    std::fs::write(&token, ControlProcess::EDGE_TOKEN).unwrap();
    stack.edge.until_metric("namegate_edge_control_polls_total{result=\"ok\"}", 1.0).await;
}
