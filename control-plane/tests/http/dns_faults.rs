//! DNS that fails, and DNS that is half-way.

use serde_json::Value;
use test_support::{Loopback, Pebble, PebbleOptions};

use crate::harness::{Control, TARGET, Worker, on_sqlite};

const KEY: &str = "sk_test_demo";

fn path(made: &Value) -> String {
    format!("/v1/connections/{}", made["id"].as_str().unwrap())
}

async fn state(control: &Control, path: &str) -> String {
    control.get(KEY, path).await.json()["state"].as_str().unwrap().to_owned()
}

async fn events(control: &Control) -> Vec<String> {
    let events = control.get(KEY, "/v1/events").await.json();
    events["data"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_name_server_that_fails_proves_nothing_and_takes_nothing_away() {
    on_sqlite(Worker::Off, |control| async move {
        let app = control.application().await;
        let made = control.connect(&app, "shop.customer.com").await;
        let path = path(&made);
        let challenge = made["ownership_challenge"]["name"].as_str().unwrap();
        control.dns().servfail(challenge).await;
        let refused = control.send(KEY, "POST", &format!("{path}/verify"), "").await;
        assert_eq!((refused.status, refused.code().as_str()), (409, "ownership_not_found"), "{refused:?}");
        assert_eq!(refused.json()["error"]["details"]["reason_code"], "dns_unreachable");
        assert_eq!(state(&control, &path).await, "pending_ownership");

        control.dns().clear(challenge).await;
        control.publish(&made).await;
        assert_eq!(control.send(KEY, "POST", &format!("{path}/verify"), "").await.status, 200);
        control.send(KEY, "POST", &format!("{path}/records:check"), "").await;
        control.report("shop.customer.com").await;
        assert_eq!(state(&control, &path).await, "live");

        control.dns().servfail("shop.customer.com").await;
        control.dns().servfail(challenge).await;
        for _ in 0..5 {
            let looked = control.send(KEY, "POST", &format!("{path}/records:check"), "").await.json();
            assert_eq!((&looked["state"], &looked["reason_code"]), (&"live".into(), &"dns_unreachable".into()));
        }
        let connection = control.get(KEY, &path).await.json();
        assert_eq!(connection["fix"]["record"]["type"], "CNAME", "{connection}");
        assert!(connection["message"].as_str().unwrap().contains("servfail"), "{connection}");
        assert_eq!(events(&control).await.len(), 3, "nothing is told of it");
        assert_eq!(control.curl("/internal/ask?domain=shop.customer.com", &[]).await.status, 200);
        control
    });
}

/// Two resolvers that know different things, as while a change spreads.
#[test]
fn what_only_some_servers_show_is_neither_there_nor_gone() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let late = Pebble::start(&Loopback::take(), PebbleOptions::default()).await;
        late.dns().set_default(None).await;
        let control = Control::start_beside(None, Worker::Off, Some(late.dns())).await;
        let app = control.application().await;
        let made = control.connect(&app, "shop.customer.com").await;
        let path = path(&made);
        let challenge = |key: &str| made["ownership_challenge"][key].as_str().unwrap();

        control.publish(&made).await;
        let half = control.send(KEY, "POST", &format!("{path}/verify"), "").await;
        assert_eq!((half.status, half.code().as_str()), (409, "ownership_not_found"), "{half:?}");
        assert_eq!(half.json()["error"]["details"]["reason_code"], "challenge_partly_visible");
        assert_eq!(state(&control, &path).await, "verifying");
        assert_eq!(control.curl("/internal/ask?domain=shop.customer.com", &[]).await.status, 403);

        late.dns().set_txt(challenge("name"), challenge("value")).await;
        assert_eq!(control.send(KEY, "POST", &format!("{path}/verify"), "").await.status, 200);
        let half = control.send(KEY, "POST", &format!("{path}/records:check"), "").await.json();
        assert_eq!((&half["state"], &half["reason_code"]), (&"propagating".into(), &"partly_visible".into()), "{half}");
        assert_eq!(half["records"][0]["propagated"], false);

        late.dns().set_cname("shop.customer.com", TARGET).await;
        let target = made["desired_records"][0]["value"].as_str().unwrap();
        assert_eq!(target, TARGET);
        control.send(KEY, "POST", &format!("{path}/records:check"), "").await;
        control.report("shop.customer.com").await;
        assert_eq!(state(&control, &path).await, "live");

        // The other way round: one server has lost it. However often that is seen, the name stays.
        late.dns().clear("shop.customer.com").await;
        for _ in 0..5 {
            let looked = control.send(KEY, "POST", &format!("{path}/records:check"), "").await.json();
            assert_eq!((&looked["state"], &looked["reason_code"]), (&"live".into(), &"partly_visible".into()));
        }
        let claim = control.core.inquire(made["id"].as_str().unwrap()).await.unwrap().unwrap().connection.claim;
        assert_eq!((claim.absent_streak, claim.drift_since), (0, None), "it does not count towards a drift");
        control.end().await;
    });
}
