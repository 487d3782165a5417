//! The preflight, from real DNS to what the edges are told.

use serde_json::{Value, json};

use crate::harness::{Control, TARGET, Worker, on_both, on_sqlite};

const KEY: &str = "sk_test_demo";
const NAME: &str = "shop.customer.com";

async fn ask(control: &Control) -> u16 {
    control.curl(&format!("/internal/ask?domain={NAME}"), &[]).await.status
}

async fn act(control: &Control, made: &Value, verb: &str) -> Value {
    let path = format!("/v1/connections/{}/{verb}", made["id"].as_str().unwrap());
    let answer = control.send(KEY, "POST", &path, "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn connection(control: &Control, made: &Value) -> Value {
    control.get(KEY, &format!("/v1/connections/{}", made["id"].as_str().unwrap())).await.json()
}

/// A connection whose records are right but for what `spoil` adds; verified.
async fn verified(control: &Control, spoil: impl AsyncFn(&Control)) -> Value {
    let app = control.application().await;
    let made = control.connect(&app, NAME).await;
    control.publish(&made).await;
    spoil(control).await;
    let verified = act(control, &made, "verify").await;
    assert_eq!(verified["ownership_challenge"], made["ownership_challenge"]);
    assert_ne!(verified["verified_at"], Value::Null, "ownership is shown, whatever else is wrong");
    made
}

#[test]
fn a_caa_record_that_forbids_us_keeps_the_gate_closed_until_it_is_changed() {
    on_both(|control| async move {
        let made = verified(&control, async |control| control.dns().set_caa("customer.com", "issue", ";").await).await;
        assert_eq!(ask(&control).await, 403);
        let told = connection(&control, &made).await;
        assert_eq!(told["reason_code"], "caa_forbids", "{told}");
        let fix =
            json!({"record": {"host": "customer.com", "type": "CAA"}, "expected": null, "seen": ["0 issue \";\""]});
        assert_eq!(told["fix"], fix);
        assert!(told["user_message"].as_str().unwrap().contains("Delete the CAA records of customer.com"), "{told}");
        let checked = act(&control, &made, "records:check").await;
        assert_eq!((&checked["state"], &checked["reason_code"]), (&json!("propagating"), &json!("caa_forbids")));
        assert_eq!(checked["records"][0]["propagated"], true, "the records themselves are right: {checked}");
        assert_eq!(ask(&control).await, 403);

        control.dns().clear("customer.com").await;
        let open = act(&control, &made, "verify").await;
        assert_eq!(ask(&control).await, 200, "{open}");
        let checked = act(&control, &made, "records:check").await;
        assert_eq!(
            (&checked["state"], &checked["reason_code"]),
            (&json!("issuing_cert"), &json!("certificate_pending"))
        );
        control
    });
}

#[test]
fn a_stray_address_and_a_service_in_front_keep_the_gate_closed_too() {
    on_sqlite(Worker::Off, |control| async move {
        let made = verified(&control, async |control| {
            // Flattened: our address, and one of IPv6 that was forgotten.
            control.dns().clear(NAME).await;
            control.dns().set_a(NAME, &[control.edge_address()]).await;
            control.dns().set_aaaa(NAME, &["2001:db8::bad".parse().unwrap()]).await;
        })
        .await;
        assert_eq!(ask(&control).await, 403);
        let told = connection(&control, &made).await;
        assert_eq!(told["reason_code"], "aaaa_elsewhere", "{told}");
        assert_eq!(told["fix"]["record"], json!({"host": NAME, "type": "AAAA"}));
        assert_eq!(told["fix"]["seen"], json!(["2001:db8::bad"]));

        control.dns().clear(NAME).await;
        control.dns().set_a(NAME, &["104.21.1.2".parse().unwrap()]).await;
        let checked = act(&control, &made, "records:check").await;
        assert_eq!(checked["reason_code"], "cdn_in_front", "{checked}");
        assert_eq!(ask(&control).await, 403);
        assert!(connection(&control, &made).await["user_message"].as_str().unwrap().contains("Cloudflare"));

        control.dns().clear(NAME).await;
        control.dns().set_cname(NAME, TARGET).await;
        assert_eq!(act(&control, &made, "records:check").await["state"], "issuing_cert");
        assert_eq!(ask(&control).await, 200);
        control
    });
}

#[test]
fn a_name_that_does_not_lead_here_yet_is_open_for_the_moment_when_it_does() {
    on_sqlite(Worker::Off, |control| async move {
        let made = verified(&control, async |control| {
            control.dns().clear(NAME).await;
            control.dns().set_a(NAME, &["192.0.2.99".parse().unwrap()]).await;
        })
        .await;
        assert_eq!(ask(&control).await, 200);
        let checked = act(&control, &made, "records:check").await;
        assert_eq!((&checked["state"], &checked["reason_code"]), (&json!("propagating"), &json!("a_elsewhere")));
        assert_eq!(ask(&control).await, 200);
        control
    });
}

#[test]
fn a_live_name_is_told_of_a_caa_record_and_stays_open() {
    on_sqlite(Worker::Off, |control| async move {
        let made = verified(&control, async |_| {}).await;
        act(&control, &made, "records:check").await;
        control.report(NAME).await;
        control.dns().set_caa("customer.com", "issue", ";").await;
        for _ in 0..4 {
            let checked = act(&control, &made, "records:check").await;
            assert_eq!((&checked["state"], &checked["reason_code"]), (&json!("live"), &json!("caa_forbids")));
        }
        assert_eq!(ask(&control).await, 200);
        // Name servers that fail say nothing about it, one way or the other.
        control.dns().servfail(NAME).await;
        assert_eq!(act(&control, &made, "records:check").await["state"], "live");
        control.dns().clear(NAME).await;
        control.dns().clear("customer.com").await;
        control.dns().set_cname(NAME, TARGET).await;
        assert_eq!(act(&control, &made, "records:check").await["reason_code"], Value::Null);
        control
    });
}
