//! The parts, started in the order in which they need each other.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use demo::{Saas, Webhook};
use test_support::{ControlOptions, ControlProcess, EdgeOptions, EdgeProcess, Loopback, Pebble, PebbleOptions, wait};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};

use crate::{
    api::Api,
    folder::{self, Addresses},
    ports::Ports,
    seed, summary,
};

/// How often the children are looked at.
const PATROL: Duration = Duration::from_millis(200);
/// Webhooks that wait to be printed.
const UNPRINTED: usize = 64;
/// How much of a log is shown when its program has ended.
const LAST_LINES: usize = 8;

/// Everything that runs. Dropped: stopped and awaited, the edge first.
pub(crate) struct Stack {
    summary: String,
    edge: EdgeProcess,
    control: Option<ControlProcess>,
    pebble: Pebble,
    saas: JoinHandle<std::io::Result<()>>,
    webhooks: mpsc::Receiver<Webhook>,
}

impl Stack {
    pub(crate) async fn start(ports: &Ports, edge_only: bool) -> Result<Self> {
        let folder = &folder::prepare()?;
        println!("dev: starting the demo SaaS");
        let listener = TcpListener::bind(ports.at(ports.demo)).await?;
        let (told, webhooks) = mpsc::channel(UNPRINTED);
        let saas = Saas::new(ports.at(ports.demo), Some(told));
        let serving = tokio::spawn(saas.clone().serve(listener));
        println!("dev: starting Pebble and its DNS");
        let pebble = start_pebble(ports, edge_only).await;
        folder::write(&folder.join("acme-root.pem"), pebble.root_pem())?;
        folder::write(&folder.join("ca.pem"), pebble.issuer_root_pem())?;
        let control = match edge_only {
            true => None,
            false => Some(start_control(ports, folder, &pebble).await?),
        };
        // Before the edge, which orders certificates at once for names that point here, and remembers those that failed.
        if let Some(control) = &control {
            println!("dev: connecting the demo's customers");
            seed::seed(Api::at(control.address()), pebble.dns(), &saas, &origin(ports))
                .await
                .context("the demo cannot be seeded")?;
        }
        println!("dev: starting the edge");
        let edge = EdgeProcess::start(edge_options(ports, folder, &pebble, control.as_ref())).await;
        let summary = match &control {
            Some(_) => summary::whole(ports, pebble.dns().address()),
            None => summary::edge_only(ports),
        };
        Ok(Self { summary, edge, control, pebble, saas: serving, webhooks })
    }

    /// The URLs and what to type.
    pub(crate) fn summary(&self) -> &str {
        &self.summary
    }

    /// Ends, with an error, when any part ends. Says which webhooks the demo gets.
    pub(crate) async fn watch(&mut self) -> Result<()> {
        let mut patrol = tokio::time::interval(PATROL);
        loop {
            tokio::select! {
                ended = &mut self.saas => {
                    ended.context("the demo SaaS panicked")?.context("the demo SaaS broke")?;
                    bail!("the demo SaaS ended");
                }
                Some(webhook) = self.webhooks.recv() => println!("webhook {:24} {}", webhook.kind, webhook.hostname),
                _ = patrol.tick() => self.inspect()?,
            }
        }
    }

    fn inspect(&self) -> Result<()> {
        if let Some(status) = self.edge.exited() {
            bail!("the edge ended ({status}); its log ends:\n{}", end_of(&self.edge.log()));
        }
        if let Some(status) = self.control.as_ref().and_then(ControlProcess::exited) {
            let log = self.control.as_ref().map(ControlProcess::log).unwrap_or_default();
            bail!("the control plane ended ({status}); its log ends:\n{}", end_of(&log));
        }
        if let Some(status) = self.pebble.exited() {
            bail!("Pebble or its DNS server ended ({status}):\n{}", self.pebble.log());
        }
        Ok(())
    }
}

/// On an address of its own, so that it takes no port of 127.0.0.1; it validates on the edge's ports there.
///
/// Without a control plane every name leads to the edge. With one, a name leads where its customer's records say.
async fn start_pebble(ports: &Ports, edge_only: bool) -> Pebble {
    let options = PebbleOptions {
        http_port: ports.http,
        tls_port: ports.https,
        default_address: Some(ports.address),
        ..PebbleOptions::default()
    };
    let pebble = Pebble::start(&Loopback::take(), options).await;
    if !edge_only {
        pebble.dns().set_default(None).await;
        pebble.dns().set_a(ControlOptions::TARGET, &[ports.address]).await;
    }
    pebble
}

async fn start_control(ports: &Ports, folder: &Path, pebble: &Pebble) -> Result<ControlProcess> {
    println!("dev: starting the control plane");
    let address = ports.at(ports.control);
    let options = control_options(ports, address, folder, pebble);
    let mut control = ControlProcess::prepare(options);
    control.launch();
    let ended = wait::until("the control plane is ready", async || match control.exited() {
        Some(status) => Some(Some(status)),
        None => control.try_send("GET", "/readyz", None).await.ok().filter(|(status, _)| *status == 200).map(|_| None),
    });
    if let Some(status) = ended.await {
        bail!("the control plane ended ({status}); its log ends:\n{}", end_of(&control.log()));
    }
    let dns = pebble.dns();
    Addresses { control: address, dns: dns.address(), dns_management: dns.management() }.save(folder)?;
    Ok(control)
}

fn control_options(ports: &Ports, address: SocketAddr, folder: &Path, pebble: &Pebble) -> ControlOptions {
    let options = ControlOptions::at(address)
        .edge_address(ports.address)
        .dns(pebble.dns())
        .origin(&origin(ports))
        .folder(folder)
        .set("[log]\nlevel = \"info\"");
    match std::env::var("DATABASE_URL") {
        Ok(url) if !url.is_empty() => options.database(&url),
        _ => options,
    }
}

fn edge_options(ports: &Ports, folder: &Path, pebble: &Pebble, control: Option<&ControlProcess>) -> EdgeOptions {
    let options = EdgeOptions::on_localhost()
        .address(ports.address)
        .folder(folder)
        .ports(ports.http, ports.https, ports.admin)
        .default_origin_url(&origin(ports))
        .acme(&pebble.directory_url(), &folder.join("acme-root.pem"))
        .set("[log]\nlevel = \"info\"");
    match control {
        Some(control) => options.control(control),
        None => options.ask_url(&format!("{}/ask", origin(ports))),
    }
}

fn origin(ports: &Ports) -> String {
    format!("http://{}", ports.at(ports.demo))
}

fn end_of(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(LAST_LINES)).copied().collect::<Vec<_>>().join("\n")
}
