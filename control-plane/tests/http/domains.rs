//! `domains:check`: what is found of a domain before anybody connects it.

use serde_json::{Value, json};
use test_support::{Bind, Key};

use crate::harness::{Answer, Control, on_both};

const KEY: &str = "sk_test_demo";

/// A name server's key.
const SECRET: &str = "aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ=";

fn key(name: &str) -> Key {
    Key { name: name.to_owned(), secret: SECRET.to_owned() }
}

async fn check(control: &Control, key: &str, body: &Value) -> Answer {
    control.send(key, "POST", "/v1/domains:check", &body.to_string()).await
}

#[test]
fn a_domain_is_told_with_what_stands_there_and_what_is_in_the_way() {
    on_both(|control| async move {
        let dns = control.dns();
        dns.set_a("shop.customer.com", &["192.0.2.77".parse().unwrap()]).await;
        dns.set_caa("customer.com", "issue", ";").await;
        dns.set_a("mail.customer.com", &["192.0.2.25".parse().unwrap()]).await;
        let found = check(&control, KEY, &json!({"domain": "Shop.Customer.COM."})).await;
        assert_eq!(found.status, 200, "{found:?}");
        let found = found.json();
        assert_eq!(found["domain"], "shop.customer.com");
        assert_eq!((&found["kind"], &found["apex"]), (&json!("subdomain"), &json!("customer.com")));
        assert_eq!((&found["setup_type"], &found["setup_types"]), (&json!("manual"), &json!(["manual"])));
        assert_eq!(found["domain_connect"]["reason"], "not_configured");
        assert_eq!(found["capabilities"], json!({"wildcard": false}));
        assert_eq!(found["current"]["a"], json!({"status": "present", "values": ["192.0.2.77"], "reason": null}));
        assert_eq!(found["current"]["aaaa"]["status"], "absent");
        assert_eq!(found["current"]["caa"]["values"], json!(["issue \";\""]));
        let codes: Vec<_> = found["findings"].as_array().unwrap().iter().map(|one| one["code"].clone()).collect();
        assert!(codes.contains(&json!("caa_forbids")), "{found}");
        let listed = control.get(KEY, "/v1/connections").await.json();
        assert_eq!(listed["data"], json!([]), "nothing is kept");
        control
    });
}

#[tokio::test]
async fn what_could_not_be_told_is_never_said_to_be_absent() {
    let control = Control::start_set(&[]).await;
    control.dns().servfail("shop.customer.com").await;
    let found = check(&control, KEY, &json!({"domain": "shop.customer.com"})).await.json();
    for kind in ["a", "aaaa", "cname", "mx"] {
        let sight = &found["current"][kind];
        assert_eq!((&sight["status"], &sight["reason"]), (&json!("indeterminate"), &json!("servfail")), "{found}");
    }
    assert_eq!(found["apex_flattening"], Value::Null, "nobody knows the provider");
    control.end().await;
}

#[tokio::test]
async fn a_name_in_unicode_is_one_name_from_the_check_to_the_records() {
    let control = Control::start_set(&[]).await;
    let app = control.application().await;
    let found = check(&control, KEY, &json!({"domain": "Bücher.Käufer.example", "application_id": app})).await;
    assert_eq!(found.json()["domain"], "xn--bcher-kva.xn--kufer-gra.example", "{found:?}");
    let made = control.connect(&app, "bücher.käufer.example").await;
    assert_eq!(made["hostname"], "xn--bcher-kva.xn--kufer-gra.example");
    assert_eq!(made["desired_records"][0]["host"], "xn--bcher-kva.xn--kufer-gra.example");
    let challenge = "_customdomain-challenge.xn--bcher-kva.xn--kufer-gra.example";
    assert_eq!(made["ownership_challenge"]["name"], challenge);
    let again = json!({"application_id": app, "hostname": "xn--bcher-kva.xn--kufer-gra.example"});
    let again = control.send(KEY, "POST", "/v1/connections", &again.to_string()).await;
    assert_eq!((again.status, again.code().as_str()), (409, "HostnameConflict"), "{again:?}");
    let path = format!("/v1/connections/{}", made["id"].as_str().unwrap());
    let told = control.get(KEY, &format!("{path}/instructions")).await.json();
    assert_eq!(told["records"][0]["host"], "_customdomain-challenge.xn--bcher-kva", "{told}");
    let bind = Bind::start("xn--kufer-gra.example", &key("writer"), &key("reader")).await;
    let token = json!({"server": bind.address().to_string(), "key_name": "writer", "secret": SECRET}).to_string();
    let credential = json!({"provider": "rfc2136", "token": token}).to_string();
    let stored = control.send(KEY, "POST", &format!("/v1/applications/{app}/credentials"), &credential).await;
    assert_eq!(stored.status, 201, "{stored:?}");
    let dry = control.send(KEY, "POST", &format!("{path}/records:apply"), r#"{"dry_run":true}"#).await.json();
    assert_eq!(dry["zone"], "xn--kufer-gra.example", "{dry}");
    let hosts: Vec<_> = dry["changes"].as_array().unwrap().iter().map(|change| &change["host"]).collect();
    assert_eq!(hosts, [challenge, "xn--bcher-kva.xn--kufer-gra.example"], "{dry}");
    control.end().await;
}

#[tokio::test]
async fn whose_servers_the_zone_is_at_decides_how_it_can_be_set_up() {
    let bind = Bind::start("customer.com", &key("writer"), &key("reader")).await;
    bind.update(
        "update add customer.com. 60 NS ada.ns.cloudflare.com.\nupdate add customer.com. 60 NS bob.ns.cloudflare.com.\n\
         update delete customer.com. NS ns.elsewhere.example.\nupdate add mx.customer.com. 60 A 192.0.2.25\n\
         update add customer.com. 60 MX 10 mx.customer.com.",
    );
    let control = Control::start_set(&[("NAMEGATE_CONTROL__DNS__RESOLVERS", &bind.address().to_string())]).await;
    let app = control.application().await;
    let found = check(&control, KEY, &json!({"domain": "customer.com", "application_id": app})).await.json();
    assert_eq!(found["zone"]["name"], "customer.com");
    let servers = json!(["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"]);
    let mut named = found["zone"]["name_servers"]["values"].as_array().unwrap().clone();
    named.sort_by_key(ToString::to_string);
    assert_eq!(Value::Array(named), servers);
    assert_eq!(found["provider"], json!({"key": "cloudflare", "name": "Cloudflare"}));
    assert_eq!((&found["apex_flattening"], &found["www_redirect_recommended"]), (&json!(true), &json!(false)));
    assert_eq!(found["current"]["mx"]["values"], json!(["10 mx.customer.com"]));
    assert_eq!(found["setup_types"], json!(["manual"]));
    let credential = r#"{"provider":"cloudflare","token":"a-token-of-tests"}"#;
    let stored = control.send(KEY, "POST", &format!("/v1/applications/{app}/credentials"), credential).await;
    assert_eq!(stored.status, 201, "{stored:?}");
    let found = check(&control, KEY, &json!({"domain": "www.customer.com", "application_id": app})).await.json();
    assert_eq!((&found["setup_type"], &found["setup_types"]), (&json!("automatic"), &json!(["automatic", "manual"])));
    let other = control.application().await;
    let found = check(&control, KEY, &json!({"domain": "customer.com", "application_id": other})).await.json();
    assert_eq!(found["setup_type"], "manual", "another application's credential is none");
    control.end().await;
}

#[tokio::test]
async fn a_domain_that_nobody_registered_is_at_nobodys_servers() {
    let bind = Bind::start("com", &key("writer"), &key("reader")).await;
    let control = Control::start_set(&[("NAMEGATE_CONTROL__DNS__RESOLVERS", &bind.address().to_string())]).await;
    let found = check(&control, KEY, &json!({"domain": "shop.customer.com"})).await.json();
    let servers = json!({"status": "absent", "values": [], "reason": null});
    assert_eq!(found["zone"], json!({"name": "customer.com", "name_servers": servers}), "{found}");
    assert_eq!(found["provider"], Value::Null);
    control.end().await;
}

#[tokio::test]
async fn a_widget_checks_its_own_domain_and_nobody_checks_too_often() {
    let limits =
        [("NAMEGATE_CONTROL__LIMITS__CONNECTION_CHECKS", "2"), ("NAMEGATE_CONTROL__LIMITS__APPLICATION_CHECKS", "3")];
    let control = Control::start_set(&limits).await;
    let app = control.application().await;
    let token = json!({"application_id": app, "domain": "shop.customer.com"}).to_string();
    let token = control.send(KEY, "POST", "/v1/tokens", &token).await.json()["auth_token"].as_str().unwrap().to_owned();
    let status = async |key: &str, body: &Value| check(&control, key, body).await.status;
    assert_eq!(status(&token, &json!({"domain": "other.customer.com"})).await, 403);
    let (_, theirs) = control.stranger().await;
    assert_eq!(status(&token, &json!({"domain": "shop.customer.com", "application_id": theirs})).await, 404);
    assert_eq!(status(&token, &json!({"domain": "shop.customer.com"})).await, 200);
    assert_eq!(status(KEY, &json!({"domain": "a.customer.com", "application_id": app})).await, 200);
    let refused = check(&control, &token, &json!({"domain": "shop.customer.com"})).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (429, "rate_limited"),
        "one domain, whatever its names: {refused:?}"
    );
    assert!(refused.headers.contains("retry-after: "), "{refused:?}");
    assert_eq!(status(KEY, &json!({"domain": "other.com", "application_id": app})).await, 200);
    assert_eq!(status(KEY, &json!({"domain": "more.com", "application_id": app})).await, 429, "and one application");
    control.end().await;
}

#[tokio::test]
async fn what_is_no_domain_is_refused_with_its_rule() {
    let control = Control::start_set(&[]).await;
    for (domain, rule) in [
        ("", "empty"),
        ("localhost", "single_label"),
        ("192.0.2.1", "ip_address"),
        ("*.customer.com", "wildcard"),
        ("a_b.customer.com", "underscore"),
        ("-a.customer.com", "bad_label"),
    ] {
        let refused = check(&control, KEY, &json!({ "domain": domain })).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "invalid"), "{domain}: {refused:?}");
        let details = &refused.json()["error"]["details"];
        assert_eq!((&details["pointer"], &details["rule"]), (&json!("/domain"), &json!(rule)), "{refused:?}");
    }
    for domain in ["co.uk", crate::harness::TARGET] {
        let refused = check(&control, KEY, &json!({ "domain": domain })).await;
        assert_eq!(refused.json()["error"]["details"]["pointer"], "/domain", "{refused:?}");
    }
    assert_eq!(check(&control, "sk_test_unknown", &json!({"domain": "customer.com"})).await.status, 401);
    control.end().await;
}
