//! What is there when the stack is ready: the demo's customers as connections that are proven and point here, and an
//! endpoint for the demo's webhooks. All of it goes through the API, as a SaaS would do it.

use anyhow::{Context as _, Result, ensure};
use demo::{Saas, TENANTS};
use serde_json::{Value, json};
use test_support::Dns;

use crate::{
    api::{Api, Application, Checked, Connection, Endpoint, Page},
    dns::publish,
};

/// An empty database gets everything; one that was used before keeps what it has.
pub(crate) async fn seed(api: Api, dns: &Dns, saas: &Saas, origin: &str) -> Result<()> {
    let application = application(api, origin).await?;
    webhooks(api, saas, &format!("{origin}/webhooks")).await?;
    let standing = publish_again(api, dns).await?;
    for tenant in TENANTS.iter().filter(|tenant| !standing.iter().any(|name| name == tenant.hostname)) {
        connect(api, dns, &application, tenant.hostname).await.with_context(|| tenant.hostname.to_owned())?;
    }
    Ok(())
}

/// The demo application; its requests go to this run's demo SaaS, wherever an earlier one was.
async fn application(api: Api, origin: &str) -> Result<String> {
    let all: Page<Application> = api.get("/v1/applications?limit=100").await?;
    // The newest come first, and the seeded one was the first of all.
    let demo = all.data.into_iter().next_back().context("the demo application is not there")?;
    if demo.default_origin.as_deref() != Some(origin) {
        let patch = json!({"default_origin": origin});
        let _: Application = api.call("PATCH", &format!("/v1/applications/{}", demo.id), Some(&patch)).await?;
    }
    Ok(demo.id)
}

/// A new endpoint, since the secret of an old one is not told again.
async fn webhooks(api: Api, saas: &Saas, url: &str) -> Result<()> {
    let old: Page<Endpoint> = api.get("/v1/webhook-endpoints?limit=100").await?;
    for endpoint in old.data.iter().filter(|endpoint| endpoint.url == url) {
        let _: Value = api.call("DELETE", &format!("/v1/webhook-endpoints/{}", endpoint.id), None).await?;
    }
    let made: Endpoint = api.post("/v1/webhook-endpoints", Some(&json!({"url": url}))).await?;
    saas.trust(&made.signing_secret.context("a new endpoint has a secret")?);
    Ok(())
}

/// The DNS server forgets everything when it ends; a database may not have. Answers the names that stand.
async fn publish_again(api: Api, dns: &Dns) -> Result<Vec<String>> {
    let page: Page<Connection> = api.get("/v1/connections?limit=100").await?;
    let mut names = Vec::new();
    for connection in page.data.into_iter().filter(Connection::stands) {
        if connection.verified_at.is_some() {
            publish(&connection, dns).await?;
        }
        names.push(connection.hostname);
    }
    Ok(names)
}

/// Creates a connection, publishes what it wants, and lets it be checked at once.
async fn connect(api: Api, dns: &Dns, application: &str, hostname: &str) -> Result<()> {
    let wish = json!({"application_id": application, "hostname": hostname});
    let made: Connection = api.post("/v1/connections", Some(&wish)).await?;
    publish(&made, dns).await?;
    let path = format!("/v1/connections/{}", made.id);
    let _: Connection = api.post(&format!("{path}/verify"), None).await?;
    let checked: Checked = api.post(&format!("{path}/records:check"), None).await?;
    let is_right = matches!(checked.state.as_str(), "issuing_cert" | "live");
    ensure!(is_right, "{}: {}", checked.state, checked.message.unwrap_or_default());
    Ok(())
}
