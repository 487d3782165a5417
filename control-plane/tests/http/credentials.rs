//! Credentials of DNS providers, and what is done with them: a real BIND stands for the customer's provider.

use serde_json::{Value, json};
use test_support::{Bind, Key};

use crate::harness::{Control, TARGET, Worker, on_both, on_sqlite};

const KEY: &str = "sk_test_demo";
const ZONE: &str = "customer.com";
const HOST: &str = "shop.customer.com";
const SECRET: &str = "Y2FuYXJ5LW9mLXRoZS10c2lnLWtleS0wMTIzNDU2Nzg=";
const OTHER: &str = "dHlyYW50LW9mLXRoZS10c2lnLWtleS0wMTIzNDU2Nzg=";

async fn bind() -> Bind {
    let key = |name: &str, secret: &str| Key { name: name.into(), secret: secret.into() };
    Bind::start(ZONE, &key("namegate.key", SECRET), &key("reader", OTHER)).await
}

/// The body that stores a credential of this server.
fn credential(bind: &Bind, secret: &str) -> String {
    let token = json!({ "server": bind.address().to_string(), "key_name": "namegate.key", "secret": secret });
    json!({ "provider": "rfc2136", "token": token.to_string() }).to_string()
}

async fn store(control: &Control, app: &str, body: &str) -> String {
    let made = control.send(KEY, "POST", &format!("/v1/applications/{app}/credentials"), body).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert!(!made.text.contains(SECRET), "{made:?}");
    made.json()["id"].as_str().unwrap().to_owned()
}

async fn post(control: &Control, path: &str, body: &Value) -> Value {
    let answer = control.send(KEY, "POST", path, &body.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!answer.text.contains(SECRET) && !answer.text.contains(OTHER), "{answer:?}");
    answer.json()
}

fn lines(bind: &Bind) -> Vec<String> {
    let mut all: Vec<_> = bind.records().into_iter().map(|l| format!("{} {} {}", l.name, l.kind, l.data)).collect();
    all.sort();
    all
}

#[test]
fn a_credential_is_stored_tried_listed_and_taken_away_and_never_shown() {
    on_both(|control| async move {
        let bind = bind().await;
        let app = control.application().await;
        let path = format!("/v1/applications/{app}/credentials");
        let right = store(&control, &app, &credential(&bind, SECRET)).await;
        let wrong = store(&control, &app, &credential(&bind, OTHER)).await;
        let list = control.get(KEY, &path).await;
        assert_eq!(list.json()["data"].as_array().unwrap().len(), 2);
        assert_eq!(list.json()["data"][1]["provider"], "rfc2136");
        assert!(!list.text.contains(SECRET) && !list.text.contains("namegate.key"), "{list:?}");

        let tried = post(&control, &format!("{path}/{right}/test"), &json!({ "hostname": HOST })).await;
        assert_eq!((&tried["ok"], &tried["zone"]), (&json!(true), &json!(ZONE)), "{tried}");
        let tried = post(&control, &format!("{path}/{right}/test"), &json!({ "hostname": "a.other.com" })).await;
        assert_eq!((&tried["ok"], &tried["code"]), (&json!(false), &json!("zone_not_found")), "{tried}");
        let tried = post(&control, &format!("{path}/{wrong}/test"), &json!({ "hostname": HOST })).await;
        assert_eq!((&tried["ok"], &tried["code"]), (&json!(false), &json!("auth")), "{tried}");

        assert_eq!(control.send(KEY, "DELETE", &format!("{path}/{right}"), "").await.status, 204);
        assert_eq!(control.send(KEY, "DELETE", &format!("{path}/{right}"), "").await.status, 404);
        assert_eq!(control.get(KEY, &path).await.json()["data"].as_array().unwrap().len(), 1);
        control
    });
}

#[test]
fn a_credential_that_cannot_be_one_is_refused_and_not_repeated() {
    on_sqlite(Worker::Off, |control| async move {
        let app = control.application().await;
        let path = format!("/v1/applications/{app}/credentials");
        for (provider, token, pointer) in [
            ("porkbun", "canary-only-one-half", "/token"),
            ("gcpdns", "{\"canary\":1}", "/token"),
            ("no-such-provider", "canary", "/provider"),
        ] {
            let body = json!({ "provider": provider, "token": token }).to_string();
            let answer = control.send(KEY, "POST", &path, &body).await;
            assert_eq!((answer.status, answer.code().as_str()), (400, "invalid"), "{answer:?}");
            assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{answer:?}");
            assert!(!answer.text.contains("canary"), "{answer:?}");
        }
        assert_eq!(control.get(KEY, &path).await.json()["data"], json!([]));
        control
    });
}

#[test]
fn without_a_key_to_seal_it_under_no_credential_is_taken() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        // Development alone starts without one; production is refused before it listens.
        let control = Control::start_adjusted(None, Worker::Off, None, &[], |settings| settings.key_file = None).await;
        let app = control.application().await;
        let path = format!("/v1/applications/{app}/credentials");
        let body = json!({ "provider": "cloudflare", "token": "canary-of-no-use" }).to_string();
        let answer = control.send(KEY, "POST", &path, &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "no_key_file"), "{answer:?}");
        assert!(!answer.text.contains("canary"), "{answer:?}");
        assert_eq!(control.connect(&app, HOST).await["setup_type"], "manual");
        control.end().await;
    });
}

#[test]
fn records_are_shown_then_written_and_nothing_else_is_touched() {
    on_both(|control| async move {
        let bind = bind().await;
        bind.update(&format!(
            "update add {ZONE}. 3600 MX 10 mail.elsewhere.example.\nupdate add {ZONE}. 3600 TXT \"v=spf1 -all\"\n\
             update add {HOST}. 3600 A 203.0.113.7\n"
        ));
        let app = control.application().await;
        // Another customer's credential stands beside it.
        store(&control, &app, &credential(&bind, OTHER)).await;
        store(&control, &app, &credential(&bind, SECRET)).await;
        // The former site is not ours to remove, so the first write of the new connection has left all as it was.
        let connection = control.connect(&app, HOST).await;
        assert_eq!(connection["reason_code"], "dns_write_refused", "{connection}");
        let path = format!("/v1/connections/{}/records:apply", connection["id"].as_str().unwrap());
        let before = lines(&bind);

        let shown = post(&control, &path, &json!({ "dry_run": true })).await;
        assert_eq!(
            (&shown["applied"], &shown["provider"], &shown["zone"]),
            (&json!(false), &json!("rfc2136"), &json!(ZONE))
        );
        let challenge = &connection["ownership_challenge"];
        assert_eq!(shown["changes"][0]["add"], json!([challenge["value"]]), "{shown}");
        assert_eq!(shown["changes"][1]["remove"], json!(["203.0.113.7"]), "{shown}");
        assert_eq!(shown["changes"][2]["add"], json!([TARGET]), "{shown}");
        // Without the mark of what was shown, the customer's former site stays.
        for body in [json!({}), json!({ "confirm": "0123" })] {
            assert_eq!(post(&control, &path, &body).await["applied"], json!(false));
        }
        assert_eq!(lines(&bind), before);

        let done = post(&control, &path, &json!({ "confirm": shown["confirm"] })).await;
        assert_eq!(done["applied"], json!(true), "{done}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (name, value) = (text(&challenge["name"]), text(&challenge["value"]));
        let wanted = [format!("{HOST} CNAME {TARGET}."), format!("{name} TXT \"{value}\"")];
        let kept = before.iter().filter(|line| !line.starts_with(HOST)).cloned();
        let mut expected: Vec<_> = kept.chain(wanted).collect();
        expected.sort();
        assert_eq!(lines(&bind), expected);
        let again = post(&control, &path, &json!({})).await;
        assert_eq!((&again["applied"], &again["changes"]), (&json!(true), &json!([])));

        bind.update(&format!("update delete {HOST}. CNAME\nupdate add {HOST}. 60 MX 5 mail.elsewhere.example.\n"));
        let before = lines(&bind);
        let refused = post(&control, &path, &json!({})).await;
        assert_eq!(refused["applied"], json!(false));
        assert!(refused["conflicts"][0].as_str().unwrap().contains("MX"), "{refused}");
        assert_eq!(lines(&bind), before);
        control
    });
}

#[test]
fn a_connection_without_a_credential_has_nothing_to_write_with() {
    on_sqlite(Worker::Off, |control| async move {
        let app = control.application().await;
        let connection = control.connect(&app, HOST).await;
        let path = format!("/v1/connections/{}/records:apply", connection["id"].as_str().unwrap());
        let answer = control.send(KEY, "POST", &path, "{}").await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{answer:?}");
        control
    });
}

#[test]
fn the_providers_are_listed_with_what_each_supports() {
    on_sqlite(Worker::Off, |control| async move {
        let all = control.get(KEY, "/v1/providers").await.json();
        let all = all["data"].as_array().unwrap();
        let of = |key: &str| all.iter().find(|provider| provider["key"] == key).unwrap();
        assert_eq!(all.iter().filter(|p| p["methods"].as_array().unwrap().contains(&json!("automatic"))).count(), 19);
        assert_eq!(of("porkbun")["credential"]["format"], "apikey:secretapikey");
        assert!(of("godaddy")["credential"]["gate"].as_str().unwrap().contains("ten domains"));
        assert_eq!((&of("squarespace")["credential"], &of("squarespace")["form"]["apex"]), (&Value::Null, &json!("@")));
        let form = &of("dnsmadeeasy")["form"];
        assert_eq!((&form["alias"], &form["dotted"]), (&json!("ANAME"), &json!(true)), "{form}");
        assert!(of("cloudflare")["form"]["notes"][0].as_str().unwrap().contains("proxy"));
        control
    });
}
