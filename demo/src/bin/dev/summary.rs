//! What is printed when everything runs: the addresses, and what to type.

use std::net::SocketAddr;

use demo::TENANTS;
use test_support::ControlProcess;

use crate::{folder, ports::Ports};

/// The steps of docs/quickstart.md, as they stand there.
const NAME: &str = "app.customer.com";

/// The whole product.
pub(crate) fn whole(ports: &Ports, dns: SocketAddr) -> String {
    let Ports { address, https, http, admin, demo, control } = ports;
    let (key, folder, control) = (ControlProcess::DEMO_KEY, folder::NAME, ports.url(*control));
    let database = match std::env::var("DATABASE_URL") {
        Ok(url) if !url.is_empty() => "DATABASE_URL".to_owned(),
        _ => format!("{folder}/control.db"),
    };
    let demo = ports.url(*demo);
    let auth = |key: &str| format!("-H \"Authorization: Bearer {key}\"");
    let (admin_auth, own_auth) = (auth(key), auth("<YOUR_KEY>"));
    let (visit, refused, connected) =
        (curl(ports, "shop.customer.test"), curl(ports, "stranger.test"), curl(ports, NAME));
    format!(
        "dev: ready. Ctrl-C stops everything. Configurations and logs: {folder}/*.toml {folder}/*.log

control plane  {control}   reference {control}/docs   key {key}   rows in {database}
edge           https://{address}:{https}   http://{address}:{http}   http://{address}:{admin}/metrics
demo SaaS      {demo}   its webhooks {demo}/webhooks
local DNS      {dns}   scripts/dev-dns <hostname> publishes what a connection wants
customers      {customers}

A customer of the demo (the certificate was ordered when the customer's DNS was seen to point here):
  {visit}
A name that nobody has connected (TLS alert unrecognized_name):
  {refused}

Connect a hostname (docs/quickstart.md). Each answer has what comes for <APP_ID>, <YOUR_KEY> and <ID>:
  # 1. Create an application
  curl -X POST {control}/v1/applications {admin_auth} -d '{{\"name\":\"Acme Sites\",\"allowed_origins\":[\"https://app.acme.example\"]}}'
  # 2. Create an API key
  curl -X POST {control}/v1/applications/<APP_ID>/keys {admin_auth} -d '{{\"name\":\"server-prod\",\"scopes\":[\"connections:read\",\"connections:write\"]}}'
  # 3. Start a connection
  curl -X POST {control}/v1/connections {own_auth} -d '{{\"application_id\":\"<APP_ID>\",\"hostname\":\"{NAME}\"}}'
  # 4. Publish DNS, as the customer
  scripts/dev-dns {NAME}
  # 5. Verify ownership
  curl -X POST {control}/v1/connections/<ID>/verify {own_auth}
  # 6. Watch it go live
  curl -X POST {control}/v1/connections/<ID>/records:check {own_auth}
  # Visit it
  {connected}
",
        customers = customers(),
    )
}

/// The edge with the demo's own ask endpoint.
pub(crate) fn edge_only(ports: &Ports) -> String {
    let Ports { address, https, http, admin, demo, .. } = ports;
    let (folder, demo) = (folder::NAME, ports.url(*demo));
    let (visit, refused) = (curl(ports, "shop.customer.test"), curl(ports, "stranger.test"));
    format!(
        "dev: ready. Ctrl-C stops everything; configuration and log of the edge: {folder}/edge.toml {folder}/edge.log

edge       https://{address}:{https}   http://{address}:{http}   http://{address}:{admin}/metrics
demo SaaS  {demo}   asked at {demo}/ask?domain=
customers  {customers}

A first visit (question, order, certificate, answer); the second one is served from memory:
  {visit}
A name that the gate refuses (TLS alert unrecognized_name):
  {refused}
",
        customers = customers(),
    )
}

fn customers() -> String {
    TENANTS.map(|tenant| tenant.hostname).join(" ")
}

fn curl(ports: &Ports, name: &str) -> String {
    let Ports { address, https, .. } = ports;
    format!("curl --cacert {}/ca.pem --resolve {name}:{https}:{address} https://{name}:{https}/", folder::NAME)
}
