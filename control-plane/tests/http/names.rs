//! Which names can be connected, and which of them a person should look at.

use serde_json::{Value, json};

use crate::harness::{Answer, Control, Worker};

const KEY: &str = "sk_test_demo";
const BRANDS: (&str, &str) = ("NAMEGATE_CONTROL__REVIEW__BRANDS", "paypal.com");

/// A control plane as strangers meet it, with the key and the application of one of them.
async fn in_production(settings: &[(&str, &str)]) -> (Control, String, String) {
    let control =
        Control::start_adjusted(None, Worker::Off, None, settings, |settings| settings.core.dev = false).await;
    let (key, app) = control.stranger().await;
    (control, key, app)
}

async fn create(control: &Control, key: &str, app: &str, hostname: &str) -> Answer {
    let body = json!({"application_id": app, "hostname": hostname}).to_string();
    control.send(key, "POST", "/v1/connections", &body).await
}

/// The shapes that Boulder refuses (policy/pa_test.go), in the words of this API, and those that nobody may own.
fn refused() -> Vec<(String, &'static str)> {
    let long_label = format!("www.{}.com", "abcdefghijklmnopqrstuvwxyz".repeat(3));
    let long_name = format!("www.{}.com", [&"0123456789abcdef".repeat(3); 6].map(String::as_str).join("."));
    let cases = [
        ("", "empty"),
        (".", "empty"),
        ("zomb!.com", "bad_label"),
        ("emailaddress@myseriously.present.com", "bad_label"),
        ("user:pass@myseriously.present.com", "bad_label"),
        ("127.0.0.1", "ip_address"),
        ("fe80::1:1", "ip_address"),
        ("[2001:db8:85a3:8d3:1319:8a2e:370:7348]", "ip_address"),
        ("[2001:db8:85a3:8d3:1319:8a2e:370:7348]:443", "ip_address"),
        ("2001:db8::/32", "bad_label"),
        ("0x7f.1", "ip_address"),
        ("www.zombo.163", "ip_address"),
        (long_label.as_str(), "too_long"),
        (long_name.as_str(), "too_long"),
        ("www.-ombo.com", "bad_label"),
        ("www.zomb-.com", "bad_label"),
        ("xn--.net", "idna"),
        ("xn--m.com", "idna"),
        ("xn--109-3veba6djs1bfxlfmx6c9g.xn--f1awi.xn--p1ai", "idna"),
        ("*", "wildcard"),
        ("*.*", "wildcard"),
        ("zombo*com", "wildcard"),
        ("*.com", "wildcard"),
        ("*.zombo.com", "wildcard"),
        ("www.*.com", "wildcard"),
        ("..", "bad_label"),
        ("a..", "bad_label"),
        ("..a", "bad_label"),
        (".....", "bad_label"),
        ("www.zombo_com.com", "underscore"),
        ("_acme-challenge.zombo.com", "underscore"),
        ("www.zom\u{202e}bo.com", "idna"),
        ("0", "ip_address"),
        ("zombocom", "single_label"),
        ("localhost", "single_label"),
        ("com", "single_label"),
        ("рф", "single_label"),
        ("co.uk", "public_suffix"),
        ("foo.ck", "public_suffix"),
        ("github.io", "public_suffix"),
        ("edge.namegate.test", "reserved"),
        ("shop.saas.com", "reserved"),
        ("bq--abwhky3f6fxq.jakacomo.com", "reserved_label"),
        ("bq---abwhky3f6fxq.jakacomo.com", "reserved_label"),
        ("h---test.hk2yz.org", "reserved_label"),
        ("www.AB--C.com", "reserved_label"),
        ("a.b.c.d.e.f.g.h.i.j.com", "too_many_labels"),
        ("example.acting", "not_public"),
        ("example.internal", "not_public"),
        ("printer.local", "not_public"),
        ("facebookcorewwwi.onion", "not_public"),
        ("router.home.arpa", "not_public"),
        ("shop.customer.test", "not_public"),
        ("shop.customer.example", "not_public"),
        ("app.localhost", "not_public"),
    ];
    cases.map(|(text, rule)| (text.to_owned(), rule)).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_cannot_be_connected_is_refused_with_its_place_and_a_stable_rule() {
    let (control, key, app) = in_production(&[("NAMEGATE_CONTROL__EDGE__RESERVED", "saas.com")]).await;
    for (hostname, rule) in refused() {
        let body = json!({"application_id": app, "domain": hostname}).to_string();
        let checked = control.send(&key, "POST", "/v1/domains:check", &body).await;
        for (answer, pointer) in [(create(&control, &key, &app, &hostname).await, "/hostname"), (checked, "/domain")] {
            assert_eq!((answer.status, answer.code().as_str()), (400, "invalid"), "{hostname:?}: {answer:?}");
            let problem = answer.json();
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{hostname:?}");
            assert_eq!(problem["error"]["details"], json!({"pointer": pointer, "rule": rule}), "{hostname:?}");
        }
        let asked = control.curl("/internal/ask", &["-G", "--data-urlencode", &format!("domain={hostname}")]).await;
        assert!([400, 403].contains(&asked.status), "{hostname:?}: {asked:?}");
    }
    assert_eq!(control.get(&key, "/v1/connections").await.json()["data"], json!([]));
    for hostname in [
        "lowvalue.website1.org",
        "website4.sucks",
        "unrelated.com",
        "8675309.com",
        "www.web-site2.com",
        "a--b.web---site.com",
        "www.mönich.com",
        "someone.github.io",
        "a.b.c.d.e.f.g.h.i.com",
    ] {
        assert_eq!(create(&control, &key, &app, hostname).await.status, 201, "{hostname}");
    }
    control.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_public_authorities_refuse_can_be_connected_where_there_is_none() {
    let own = ("NAMEGATE_CONTROL__ACME__PUBLIC", "false");
    let (control, key, app) = in_production(&[own]).await;
    for hostname in ["db.corp.internal", "ab--c.corp.internal", "a.b.c.d.e.f.g.h.i.j.corp.internal", "printer.local"] {
        assert_eq!(create(&control, &key, &app, hostname).await.status, 201, "{hostname}");
    }
    control.end().await;
    let control = Control::start_set(&[]).await;
    let app = control.application().await;
    for (hostname, status) in [("shop.customer.test", 201), ("shop.localhost", 201), ("ab--c.customer.test", 400)] {
        assert_eq!(create(&control, KEY, &app, hostname).await.status, status, "{hostname} in development");
    }
    control.end().await;
}

/// How many new connections were counted, by reason.
async fn counted(control: &Control) -> [u64; 3] {
    let metrics = control.curl("/metrics", &[]).await.text;
    ["brand", "confusable", "mixed_script"].map(|reason| {
        let sample = format!("namegate_control_connections_to_review_total{{reason=\"{reason}\"}} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&sample));
        value.unwrap_or_else(|| panic!("no {reason} in {metrics}")).parse().unwrap()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_name_looks_like_anothers_says_so_and_is_served_all_the_same() {
    let control = Control::start_set(&[BRANDS]).await;
    let app = control.application().await;
    assert_eq!(counted(&control).await, [0, 0, 0]);
    for (hostname, review) in [
        ("shop.customer.com", json!([])),
        ("www.paypal.com", json!([])),
        ("paypal.login.customer.com", json!(["brand"])),
        ("xn--80ak6aa92e.com", json!(["confusable"])),
        ("кофе-cafe.customer.com", json!(["mixed_script"])),
        ("pаypal.customer.com", json!(["brand", "confusable", "mixed_script"])),
    ] {
        let made = control.connect(&app, hostname).await;
        assert_eq!(made["review"], review, "{hostname}");
        let path = format!("/v1/connections/{}", made["id"].as_str().unwrap());
        assert_eq!(control.get(KEY, &path).await.json()["review"], review, "{hostname}");
    }
    assert_eq!(counted(&control).await, [2, 2, 2]);
    let listed = control.get(KEY, "/v1/connections").await.json();
    let reviewed: Vec<&Value> = listed["data"].as_array().unwrap().iter().map(|one| &one["review"]).collect();
    assert_eq!(reviewed.iter().filter(|review| ***review != json!([])).count(), 4, "{listed}");

    let made = control.connect(&app, "secure-paypal.customer.com").await;
    control.publish(&made).await;
    let path = format!("/v1/connections/{}", made["id"].as_str().unwrap());
    let verified = control.send(KEY, "POST", &format!("{path}/verify"), "").await.json();
    assert_eq!((&verified["state"], &verified["review"]), (&json!("verified"), &json!(["brand"])), "{verified}");
    assert_eq!(control.curl("/internal/ask?domain=secure-paypal.customer.com", &[]).await.status, 200);
    control.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_about_a_name_to_look_at_say_why_and_others_say_nothing_of_it() {
    let control = Control::start_set(&[BRANDS]).await;
    let app = control.application().await;
    for hostname in ["shop.customer.com", "paypal-login.customer.com"] {
        let made = control.connect(&app, hostname).await;
        control.publish(&made).await;
        let path = format!("/v1/connections/{}", made["id"].as_str().unwrap());
        control.send(KEY, "POST", &format!("{path}/verify"), "").await;
        control.send(KEY, "POST", &format!("{path}/records:check"), "").await;
        control.report(hostname).await;
        control.send(KEY, "DELETE", &path, "").await;
    }
    let events = control.get(KEY, "/v1/events").await.json();
    let of = |hostname: &str| -> Vec<(String, Value)> {
        let all = events["data"].as_array().unwrap().iter().filter(|event| event["hostname"] == hostname);
        all.map(|event| (event["type"].as_str().unwrap().to_owned(), event["data"].clone())).collect()
    };
    let kinds = ["domain.verified", "ssl.issued", "domain.flow.completed", "domain.archived"];
    let all = |data: Value| kinds.map(|kind| (kind.to_owned(), data.clone())).to_vec();
    assert_eq!(of("shop.customer.com"), all(json!({"hostname": "shop.customer.com"})));
    let told = json!({"hostname": "paypal-login.customer.com", "review": ["brand"]});
    assert_eq!(of("paypal-login.customer.com"), all(told));
    control.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_connection_is_not_counted_and_what_makes_one_is_counted_once() {
    let control = Control::start_set(&[BRANDS]).await;
    let app = control.application().await;
    let body = json!({"application_id": app, "hostname": "paypal.customer.com"}).to_string();
    let auth = format!("Authorization: Bearer {KEY}");
    for replayed in [false, true] {
        let args = ["-X", "POST", "-H", &auth, "-H", "Idempotency-Key: once", "-d", &body];
        let made = control.curl("/v1/connections", &args).await;
        assert_eq!((made.status, made.headers.contains("idempotent-replayed")), (201, replayed), "{made:?}");
        assert_eq!(made.json()["review"], json!(["brand"]));
        assert_eq!(counted(&control).await, [1, 0, 0]);
    }
    let twice = control.send(KEY, "POST", "/v1/connections", &body).await;
    assert_eq!(twice.status, 409);
    let dry = json!({"application_id": app, "hostname": "paypal-b.customer.com", "dry_run": true}).to_string();
    control.send(KEY, "POST", "/v1/connections", &dry).await;
    assert_eq!(control.get(KEY, "/v1/connections").await.json()["data"].as_array().unwrap().len(), 1);
    assert_eq!(counted(&control).await, [1, 0, 0]);
    control.end().await;
}
