//! Domain Connect against a provider that behaves, and against some that do not.

#![expect(clippy::unwrap_used, reason = "clippy knows only functions marked as tests; their fixtures are tests too")]

use std::{sync::Arc, time::Duration};

use dns::{
    Authority, Metrics, OwnerName, Resolvers, ResolversConfig, Server,
    domain_connect::{
        Apply, Client, ClientMetrics, Reach, Service, Settings, SigningKey, TemplateText, Why, apply_url, template,
    },
};
use prometheus::Registry;
use serde_json::{Value, json};
use test_support::{DnsServer, Loopback, Manner, TemplateProvider, wait};
use url::Url;

const ZONE: &str = "customer.com";

struct Scene {
    provider: TemplateProvider,
    dns: DnsServer,
    registry: Registry,
    _host: Loopback,
}

impl Scene {
    async fn new() -> Self {
        let host = Loopback::take();
        let dns = DnsServer::start(&host).await;
        let provider = TemplateProvider::start(&host, &dns).await;
        Self { provider, dns, registry: Registry::new(), _host: host }
    }

    /// A client that remembers nothing yet.
    fn client(&self, reach: Reach) -> Client {
        let mut config = ResolversConfig::new(vec![Server::new(self.dns.address())]);
        config.authority = Authority::Skip;
        let resolvers = Resolvers::new(config, Metrics::new(&Registry::new()).unwrap()).unwrap();
        let metrics =
            ClientMetrics::new(&self.registry).unwrap_or_else(|_| ClientMetrics::new(&Registry::new()).unwrap());
        Client::new(resolvers, reach, Some(self.provider.root_pem()), metrics).unwrap()
    }

    async fn settings(&self) -> Result<Arc<Settings>, Why> {
        self.client(Reach::Inside).settings(&owner(ZONE)).await
    }
}

fn owner(name: &str) -> OwnerName {
    name.parse().unwrap()
}

fn service(id: &str) -> Service {
    Service { provider_id: "saas.test".to_owned(), service_id: id.to_owned() }
}

fn text() -> TemplateText<'static> {
    TemplateText {
        provider_name: "SaaS",
        service_name: "Hostname",
        logo_url: None,
        key_domain: "saas.test",
        redirect_domain: "connect.saas.test",
        challenge_label: "_challenge",
        challenge_prefix: "verify-",
    }
}

#[tokio::test]
async fn a_zone_leads_to_its_providers_settings_and_a_second_look_costs_no_request() {
    let scene = Scene::new().await;
    scene.provider.take(ZONE).await;
    let client = scene.client(Reach::Inside);
    let settings = client.settings(&owner(ZONE)).await.unwrap();
    assert_eq!(settings.provider_name, "The Provider");
    assert_eq!((settings.width, settings.height), (800, 600));
    assert_eq!(client.supports(&settings, &service("hostname")).await, Err(Why::NoTemplate));
    scene.provider.learn(template(&service("apex"), &text(), Some(&["192.0.2.1".parse().unwrap()])));
    assert_eq!(client.supports(&settings, &service("apex")).await, Ok(()));
    let asked = scene.provider.requests().len();
    assert_eq!(client.settings(&owner(ZONE)).await.unwrap(), settings);
    assert_eq!(client.supports(&settings, &service("apex")).await, Ok(()));
    assert_eq!(scene.provider.requests().len(), asked);
}

#[tokio::test]
async fn a_zone_without_the_record_or_at_another_provider_is_a_plain_no() {
    let scene = Scene::new().await;
    assert_eq!(scene.settings().await.err(), Some(Why::NoRecord));
    assert_eq!(scene.provider.connections(), 0);
    scene.dns.set_txt(&format!("_domainconnect.{ZONE}"), &scene.provider.place()).await;
    assert_eq!(scene.settings().await.err(), Some(Why::NoZone), "the record stayed when the zone moved");
    scene.dns.servfail(&format!("_domainconnect.{ZONE}")).await;
    let why = scene.settings().await.unwrap_err();
    assert!(matches!(why, Why::Dns(_)) && !why.is_no(), "{why:?}");
}

#[tokio::test]
async fn a_record_that_leads_inside_is_not_followed_on_the_internet() {
    let scene = Scene::new().await;
    let at = format!("_domainconnect.{ZONE}");
    let public = async || scene.client(Reach::Public).settings(&owner(ZONE)).await.unwrap_err();
    scene.dns.set_txt(&at, scene.provider.name()).await;
    assert_eq!(public().await, Why::Private, "its name leads to loopback");
    for bad in [scene.provider.place(), "127.0.0.1".to_owned(), "[::1]".to_owned(), "2130706433".to_owned()] {
        scene.dns.clear(&at).await;
        scene.dns.set_txt(&at, &bad).await;
        assert_eq!(public().await, Why::BadPlace, "{bad}");
    }
    scene.dns.clear(&at).await;
    for number in 0..=100 {
        scene.dns.set_txt(&at, &format!("{number}.{}", scene.provider.name())).await;
    }
    assert!(matches!(public().await, Why::Dns(_)), "more records than anybody has");
    assert_eq!(scene.provider.connections(), 0, "not even a connection");
}

#[tokio::test]
async fn settings_that_lead_inside_are_not_followed_on_the_internet() {
    let scene = Scene::new().await;
    let client = scene.client(Reach::Public);
    let inside = |api: &str| Settings {
        provider_id: "p".to_owned(),
        provider_name: "P".to_owned(),
        page: "https://page.provider.test/".parse().unwrap(),
        api: api.parse().unwrap(),
        control_panel: None,
        width: 1,
        height: 1,
    };
    let api = format!("https://{}/", scene.provider.name());
    assert_eq!(client.supports(&inside(&api), &service("hostname")).await, Err(Why::Private));
    assert_eq!(scene.provider.connections(), 0);
}

#[tokio::test]
async fn answers_that_redirect_never_end_or_are_no_settings_are_refused() {
    let scene = Scene::new().await;
    scene.provider.take(ZONE).await;
    let other = |key: &str, value: Value| {
        let mut settings = scene.provider.settings();
        settings[key] = value;
        Manner::Settings(settings.to_string())
    };
    let cases = [
        (Manner::Redirecting("https://elsewhere.test/".to_owned()), Why::Redirected),
        (Manner::Endless, Why::TooLarge),
        (Manner::Status(500), Why::Status),
        (Manner::Settings("<html>".to_owned()), Why::BadSettings),
        (other("urlSyncUX", json!("javascript:alert(document.domain)")), Why::BadSettings),
        (other("urlSyncUX", json!(null)), Why::NoPage),
        (other("urlAPI", json!("https://169.254.169.254/")), Why::BadSettings),
    ];
    for (manner, why) in cases {
        scene.provider.be(manner.clone());
        assert_eq!(scene.settings().await.err(), Some(why), "{manner:?}");
    }
    assert!(scene.provider.requests().iter().all(|request| request.starts_with("GET /base/v2/customer.com/settings")));
}

#[tokio::test]
async fn a_provider_that_does_not_answer_in_time_is_no_no() {
    let scene = Scene::new().await;
    scene.provider.take(ZONE).await;
    scene.provider.be(Manner::Hanging);
    let hurried = scene.client(Reach::Inside).patient_for(Duration::from_millis(300));
    let why = hurried.settings(&owner(ZONE)).await.unwrap_err();
    assert_eq!(why, Why::TimedOut);
    assert!(!why.is_no());
}

#[tokio::test]
async fn the_reference_implementation_takes_our_signature_and_writes_our_records() {
    let scene = Scene::new().await;
    scene.provider.take(ZONE).await;
    scene.provider.learn(template(&service("hostname"), &text(), None));
    scene.provider.learn(template(&service("hostname-apex"), &text(), Some(&["192.0.2.7".parse().unwrap()])));
    let key = SigningKey::from_pem(&SigningKey::generate().unwrap()).unwrap();
    for record in key.records() {
        scene.dns.set_txt("_dck1.saas.test", &record).await;
    }
    let settings = scene.settings().await.unwrap();
    let back: Url = "https://connect.saas.test/back".parse().unwrap();
    let visit = async |service: &Service, host: &str, spoil: fn(String) -> String| {
        let variables = [("target", "edge.saas.test".to_owned()), ("token", "T0ken".to_owned())];
        let (zone, state, key_host) = (ZONE, "st4te", "_dck1");
        let apply = Apply { service, zone, host, variables: &variables, redirect_uri: &back, state, key_host };
        let url = spoil(apply_url(&settings, &apply, &key).unwrap().to_string());
        scene.provider.visit(&url).await
    };
    let forged = visit(&service("hostname"), "shop", |url| url.replace("edge.saas.test", "evil.test")).await;
    assert_eq!(forged.status(), 403, "{forged:?}");
    assert!(String::from_utf8_lossy(forged.body()).contains("Signature not valid"), "{forged:?}");
    for (id, host) in [("hostname", "shop"), ("hostname-apex", "")] {
        let answer = visit(&service(id), host, |url| url).await;
        assert_eq!(answer.status(), 302, "{answer:?}");
        assert_eq!(answer.headers()["location"], "https://connect.saas.test/back?state=st4te");
    }
    let resolvers = ResolversConfig::new(vec![Server::new(scene.dns.address())]);
    let resolvers = Resolvers::new(resolvers, Metrics::new(&Registry::new()).unwrap()).unwrap();
    let texts = async |name: &str| resolvers.txt(&owner(name)).await.present().cloned().unwrap_or_default();
    assert_eq!(texts("_challenge.shop.customer.com").await, ["verify-T0ken"]);
    assert_eq!(texts("_challenge.customer.com").await, ["verify-T0ken"]);
    assert_eq!(resolvers.cname(&owner("shop.customer.com")).await.present(), Some(&owner("edge.saas.test")));
    let top = wait::until("the top of the zone leads to us", async || {
        resolvers.addresses(&owner(ZONE)).await.present().map(|found| found.addresses.clone())
    });
    assert_eq!(top.await, ["192.0.2.7".parse::<std::net::IpAddr>().unwrap()]);
}
