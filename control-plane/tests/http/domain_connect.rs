//! Domain Connect, from the question to a live name: a provider over TLS that runs the protocol's reference implementation,
//! the test's DNS, and a browser that is curl.

use control_plane::{
    domains::template_of,
    settings::{Mode, Settings},
    surfaces::connect_domain::CHALLENGE,
};
use dns::domain_connect::SigningKey;
use serde_json::{Value, json};
use test_support::{DnsServer, Loopback, Manner, TemplateProvider, wait};

use crate::harness::{Answer, Control, TARGET};

const KEY: &str = "sk_test_demo";
const ZONE: &str = "customer.com";
const APP: &str = "https://app.acme.test";
const PUBLIC: &str = "https://connect.namegate.test";

struct Scene {
    control: Control,
    provider: TemplateProvider,
    dns: DnsServer,
    application: String,
    _directory: tempfile::TempDir,
}

impl Scene {
    /// A service that providers know, and a provider that has the customer's zone and knows the templates.
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let host = Loopback::take();
        let dns = DnsServer::start(&host).await;
        let provider = TemplateProvider::start(&host, &dns).await;
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let pem = SigningKey::generate().unwrap();
        for record in SigningKey::from_pem(&pem).unwrap().records() {
            dns.set_txt("_dck1.namegate.test", &record).await;
        }
        let settings = [
            ("NAMEGATE_CONTROL__DNS__RESOLVERS", dns.address().to_string()),
            ("NAMEGATE_CONTROL__DOMAIN_CONNECT__PROVIDER_ID", "namegate.test".to_owned()),
            ("NAMEGATE_CONTROL__DOMAIN_CONNECT__KEY_FILE", file("key.pem", &pem)),
            ("NAMEGATE_CONTROL__DOMAIN_CONNECT__PUBLIC_URL", PUBLIC.to_owned()),
            ("NAMEGATE_CONTROL__DOMAIN_CONNECT__CA_ROOT", file("root.pem", provider.root_pem())),
        ];
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let control = Control::start_working(&settings).await;
        dns.set_a(TARGET, &[control.edge_address()]).await;
        let edge = [("NAMEGATE_CONTROL__EDGE__CNAME", TARGET)];
        let env = settings.iter().chain(&edge).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let known = Settings::load(None, env, Mode::Development).unwrap().domain_connect.unwrap();
        provider.learn(template_of(&known, CHALLENGE, None));
        provider.learn(template_of(&known, CHALLENGE, Some(&[control.edge_address().into()])));
        provider.take(ZONE).await;
        let body = json!({"name": "App", "allowed_origins": [APP]}).to_string();
        let application = control.send(KEY, "POST", "/v1/applications", &body).await.json();
        let application = application["id"].as_str().unwrap().to_owned();
        Self { control, provider, dns, application, _directory: directory }
    }

    async fn connect(&self, hostname: &str) -> String {
        self.control.connect(&self.application, hostname).await["id"].as_str().unwrap().to_owned()
    }

    async fn check(&self, domain: &str) -> Value {
        let body = json!({"domain": domain, "application_id": self.application}).to_string();
        let checked = self.control.send(KEY, "POST", "/v1/domains:check", &body).await;
        assert_eq!(checked.status, 200, "{checked:?}");
        checked.json()
    }

    async fn start(&self, connection: &str, return_url: Option<&str>) -> Answer {
        let body = json!({ "return_url": return_url }).to_string();
        self.control.send(KEY, "POST", &format!("/v1/connections/{connection}/domain-connect"), &body).await
    }

    /// The customer follows the address and says yes or no; where the provider sends the browser then.
    async fn consent(&self, url: &str) -> String {
        let answer = self.provider.visit(url).await;
        assert_eq!(answer.status(), 302, "{answer:?}");
        let location = answer.headers()["location"].to_str().unwrap();
        location.strip_prefix(PUBLIC).unwrap_or_else(|| panic!("{location}")).to_owned()
    }

    async fn url(&self, connection: &str, return_url: Option<&str>) -> String {
        let started = self.start(connection, return_url).await;
        assert_eq!(started.status, 200, "{started:?}");
        started.json()["url"].as_str().unwrap().to_owned()
    }

    async fn browse(&self, path: &str) -> Answer {
        self.control.curl(path, &[]).await
    }

    async fn connection(&self, id: &str) -> Value {
        self.control.get(KEY, &format!("/v1/connections/{id}")).await.json()
    }

    async fn until(&self, id: &str, state: &str) {
        wait::until(&format!("the connection is {state}"), async || {
            (self.connection(id).await["state"] == state).then_some(())
        })
        .await;
    }

    async fn end(self) {
        self.control.end().await;
    }
}

fn location(answer: &Answer) -> &str {
    assert_eq!(answer.status, 303, "{answer:?}");
    answer.headers.lines().find_map(|line| line.strip_prefix("location: ")).unwrap()
}

/// A page of ours, which shows nothing that a stranger sent.
fn is_page(answer: &Answer, status: u16, word: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.headers.contains("content-type: text/html") && answer.text.contains(word), "{answer:?}");
    assert!(answer.headers.contains("content-security-policy: default-src 'none'"), "{answer:?}");
    for stranger in ["script", "changed their mind", "user_cancel", "evil"] {
        assert!(!answer.text.contains(stranger), "{answer:?}");
    }
}

#[tokio::test]
async fn a_customer_who_says_yes_at_the_provider_has_a_live_name_without_typing_a_record() {
    let scene = Scene::new().await;
    let checked = scene.check("shop.customer.com").await;
    assert_eq!(checked["setup_types"], json!(["domain_connect", "manual"]));
    assert_eq!(checked["domain_connect"], json!({"available": true, "provider_name": "The Provider", "reason": null}));
    let id = scene.connect("shop.customer.com").await;
    let told = scene.control.get(KEY, &format!("/v1/connections/{id}/instructions")).await.json();
    assert_eq!(told["domain_connect"]["available"], true, "{told}");
    assert!(told["control_panel"].as_str().unwrap().ends_with("/panel?domain=customer.com"), "{told}");
    let started = scene.start(&id, Some("https://app.acme.test/done?tab=2")).await.json();
    assert_eq!(started["provider"], json!({"id": "provider.test", "name": "The Provider"}));
    assert_eq!(started["window"], json!({"width": 800, "height": 600}));
    let back = scene.consent(started["url"].as_str().unwrap()).await;
    assert!(back.starts_with("/v1/domain-connect/callback?state="), "{back}");
    let landed = scene.browse(&back).await;
    let expected = format!("https://app.acme.test/done?tab=2&connection_id={id}&domain_connect=done");
    assert_eq!(location(&landed), expected);
    scene.until(&id, "issuing_cert").await;
    scene.control.report("shop.customer.com").await;
    scene.until(&id, "live").await;
    let attempts = scene.connection(&id).await["attempts"].clone();
    let came = |attempt: &&Value| attempt["kind"] == "domain_connect" && attempt["outcome"] == "ok";
    assert_eq!(attempts.as_array().unwrap().iter().filter(came).count(), 1, "{attempts}");
    scene.end().await;
}

#[tokio::test]
async fn the_top_of_a_zone_has_a_template_of_its_own() {
    let scene = Scene::new().await;
    let id = scene.connect(ZONE).await;
    let back = scene.consent(&scene.url(&id, None).await).await;
    is_page(&scene.browse(&back).await, 200, "Thank you");
    scene.until(&id, "issuing_cert").await;
    scene.end().await;
}

#[tokio::test]
async fn what_a_browser_brings_back_counts_once_and_proves_nothing() {
    let scene = Scene::new().await;
    let id = scene.connect("shop.customer.com").await;
    let url = scene.url(&id, None).await;
    // Nobody went to the provider: the browser comes back with the right state, and no record was written.
    let state = url.split('&').find_map(|pair| pair.strip_prefix("state=")).unwrap();
    let back = format!("/v1/domain-connect/callback?state={state}");
    assert_eq!(scene.control.curl(&back, &["-I"]).await.status, 200, "a program that looks first uses nothing up");
    is_page(&scene.browse(&back).await, 200, "Thank you");
    is_page(&scene.browse(&back).await, 400, "not valid any more");
    for bad in ["?state=", "?state=evil", "", "?error=access_denied", "?state=a&state=b", "?state=%00"] {
        is_page(&scene.browse(&format!("/v1/domain-connect/callback{bad}")).await, 400, "not valid any more");
    }
    let connection = scene.connection(&id).await;
    assert_eq!(connection["state"], "pending_ownership");
    assert_eq!(connection["verified_at"], Value::Null);
    scene.end().await;
}

#[tokio::test]
async fn a_customer_who_says_no_is_told_so_and_nothing_is_written() {
    let scene = Scene::new().await;
    scene.provider.be(Manner::Denying);
    let id = scene.connect("shop.customer.com").await;
    let back = scene.consent(&scene.url(&id, None).await).await;
    is_page(&scene.browse(&back).await, 200, "Nothing was changed");
    let back = scene.consent(&scene.url(&id, Some("https://app.acme.test/")).await).await;
    let expected = format!("https://app.acme.test/?connection_id={id}&domain_connect=failed&error=access_denied");
    assert_eq!(location(&scene.browse(&back).await), expected);
    let url = scene.url(&id, None).await;
    let state = url.split('&').find_map(|pair| pair.strip_prefix("state=")).unwrap();
    let odd = format!("/v1/domain-connect/callback?state={state}&error=%3Cscript%3E&error_description=evil");
    is_page(&scene.browse(&odd).await, 200, "That did not work");
    let connection = scene.connection(&id).await;
    let codes: Vec<_> =
        connection["attempts"].as_array().unwrap().iter().filter(|one| one["kind"] == "domain_connect").collect();
    let codes: Vec<_> = codes.iter().map(|one| one["reason_code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["unknown_error", "access_denied", "access_denied"]);
    assert_eq!(connection["state"], "pending_ownership");
    scene.end().await;
}

#[tokio::test]
async fn a_browser_is_sent_to_pages_of_the_application_alone() {
    let scene = Scene::new().await;
    let id = scene.connect("shop.customer.com").await;
    for evil in [
        "https://evil.test/",
        "https://app.acme.test.evil.test/",
        "https://app.acme.test@evil.test/",
        "https://evil@app.acme.test/",
        "http://app.acme.test/",
        "https://app.acme.test:8443/",
        "//evil.test/",
        "/settings",
        "javascript:alert(1)",
        "",
    ] {
        let refused = scene.start(&id, Some(evil)).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "invalid"), "{evil}: {refused:?}");
        assert_eq!(refused.json()["errors"][0]["pointer"], "/return_url");
    }
    // Allowed when the customer left, and not any more when they come back.
    let back = scene.consent(&scene.url(&id, Some("https://app.acme.test/")).await).await;
    let path = format!("/v1/applications/{}", scene.application);
    let changed = scene.control.send(KEY, "PATCH", &path, r#"{"allowed_origins":["https://new.acme.test"]}"#).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    is_page(&scene.browse(&back).await, 200, "Thank you");
    scene.end().await;
}

#[tokio::test]
async fn where_it_is_not_offered_the_reason_is_told_and_no_provider_is_guessed() {
    let scene = Scene::new().await;
    let unavailable = |answer: &Answer, reason: &str| {
        assert_eq!((answer.status, answer.code().as_str()), (409, "domain_connect_unavailable"), "{answer:?}");
        assert_eq!(answer.json()["error"]["details"]["reason"], reason, "{answer:?}");
    };
    let elsewhere = scene.connect("shop.elsewhere.com").await;
    unavailable(&scene.start(&elsewhere, None).await, "no_record");
    let checked = scene.check("shop.elsewhere.com").await;
    assert_eq!(checked["setup_type"], "manual");
    assert_eq!(checked["domain_connect"]["available"], false);
    // The zone's word is a stranger's: an address inside is no provider.
    scene.dns.set_txt("_domainconnect.inside.com", "169.254.169.254").await;
    let inside = scene.connect("shop.inside.com").await;
    unavailable(&scene.start(&inside, None).await, "bad_record");
    // Records that the template does not write.
    let body = json!({
        "application_id": scene.application, "hostname": "own.customer.com",
        "dns_records": [{"host": "own.customer.com", "type": "A", "value": "192.0.2.1"}],
    });
    let own = scene.control.send(KEY, "POST", "/v1/connections", &body.to_string()).await.json();
    unavailable(&scene.start(own["id"].as_str().unwrap(), None).await, "other_records");
    let template = json!({"record_template": [
        {"host": "{hostname}", "type": "CNAME", "value": "{edge_target}"},
        {"host": "{hostname}", "type": "MX", "value": "mx.acme.test", "priority": 10},
    ]});
    let path = format!("/v1/applications/{}", scene.application);
    let changed = scene.control.send(KEY, "PATCH", &path, &template.to_string()).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(scene.check("shop.customer.com").await["domain_connect"]["reason"], "other_records");
    let (stranger, _) = scene.control.stranger().await;
    let path = format!("/v1/connections/{elsewhere}/domain-connect");
    assert_eq!(scene.control.send(&stranger, "POST", &path, "{}").await.status, 404);
    scene.control.send(KEY, "DELETE", &format!("/v1/connections/{elsewhere}"), "").await;
    assert_eq!(scene.start(&elsewhere, None).await.code(), "wrong_state");
    scene.end().await;
}

#[tokio::test]
async fn a_provider_that_cannot_be_asked_is_no_no() {
    let scene = Scene::new().await;
    scene.provider.be(Manner::Status(503));
    let checked = scene.check("shop.customer.com").await;
    assert_eq!(checked["domain_connect"], json!({"available": null, "provider_name": null, "reason": "status"}));
    let id = scene.connect("shop.customer.com").await;
    let refused = scene.start(&id, None).await;
    assert_eq!(refused.json()["error"]["details"], json!({"reason": "status", "final": false}), "{refused:?}");
    scene.end().await;
}
