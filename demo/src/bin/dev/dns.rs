//! `dev dns`: what a customer does at their DNS provider, done at the local DNS server.

#![expect(clippy::print_stdout, reason = "this command talks to a person at a terminal")]

use std::io::Read as _;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use names::Hostname;
use test_support::Dns;

use crate::{
    api::{Api, Challenge, Connection, Desired, Page},
    folder::Addresses,
};

/// Publishes the records that the control plane wants to see for a hostname: the ownership TXT and the desired records.
#[derive(Args)]
pub(crate) struct DnsCommand {
    /// The hostname of a connection; `-` reads the connection, as the API answers it, from standard input.
    hostname: String,
    /// Takes the records away instead.
    #[arg(long)]
    remove: bool,
}

impl DnsCommand {
    pub(crate) async fn run(self) -> Result<()> {
        let addresses = Addresses::load()?;
        let connection = match self.hostname.as_str() {
            "-" => from_stdin()?,
            hostname => newest(Api::at(addresses.control), &hostname.parse().context("no hostname")?).await?,
        };
        let dns = Dns::at(addresses.dns, addresses.dns_management);
        ensure!(dns.is_up().await, "the local DNS server does not answer: is `make dev` running?");
        if self.remove {
            remove(&connection, &dns).await;
            println!("the local DNS has no record of {} now", connection.hostname);
            return Ok(());
        }
        publish(&connection, &dns).await?.iter().for_each(|line| println!("{line}"));
        Ok(())
    }
}

fn from_stdin() -> Result<Connection> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    serde_json::from_str(&text).context("standard input is not a connection as the API answers it")
}

/// The newest connection of this name that stands.
async fn newest(api: Api, hostname: &Hostname) -> Result<Connection> {
    let page: Page<Connection> = api.get(&format!("/v1/connections?limit=100&hostname={hostname}")).await?;
    let found = page.data.into_iter().find(Connection::stands);
    found.with_context(|| format!("there is no connection for {hostname} yet: create one (step 3)"))
}

/// Publishes everything; what was there before is replaced. Answers one line for each record.
pub(crate) async fn publish(connection: &Connection, dns: &Dns) -> Result<Vec<String>> {
    remove(connection, dns).await;
    let mut lines = Vec::new();
    if let Some(Challenge { name, value }) = &connection.ownership_challenge {
        dns.set_txt(name, value).await;
        lines.push(format!("{name}  TXT  {value}"));
    }
    for Desired { host, kind, value } in &connection.desired_records {
        let no_address = || format!("{host}: {value} is no address");
        match kind.as_str() {
            "A" => dns.set_a(host, &[value.parse().with_context(no_address)?]).await,
            "AAAA" => dns.set_aaaa(host, &[value.parse().with_context(no_address)?]).await,
            "CNAME" => dns.set_cname(host, value).await,
            "TXT" => dns.set_txt(host, value).await,
            // Mail servers and the like are the customer's own business, and nothing here asks for them.
            _ => continue,
        }
        lines.push(format!("{host}  {kind}  {value}"));
    }
    Ok(lines)
}

async fn remove(connection: &Connection, dns: &Dns) {
    let challenge = connection.ownership_challenge.iter().map(|challenge| &challenge.name);
    for name in challenge.chain(connection.desired_records.iter().map(|record| &record.host)) {
        dns.clear(name).await;
    }
}
