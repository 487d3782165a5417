//! The parts, started in the order in which they need each other.

use std::{net::Ipv4Addr, path::Path, time::Duration};

use anyhow::{Context, bail};
use demo::TENANTS;
use test_support::{EdgeOptions, EdgeProcess, Loopback, Pebble, PebbleOptions};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::ports::Ports;

/// The state of a run, beside the sources.
const FOLDER: &str = ".dev";
/// How often the children are looked at.
const PATROL: Duration = Duration::from_millis(200);

/// Everything that runs. Dropped: stopped and awaited, the edge first.
pub(crate) struct Stack {
    summary: String,
    edge: EdgeProcess,
    pebble: Pebble,
    saas: JoinHandle<std::io::Result<()>>,
}

impl Stack {
    pub(crate) async fn start(ports: &Ports) -> anyhow::Result<Self> {
        empty(Path::new(FOLDER))?;
        // Absolute, so that the configuration means the same wherever it is read from.
        let folder = &Path::new(FOLDER).canonicalize()?;
        println!("dev: starting the demo SaaS");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.demo)).await?;
        let saas = tokio::spawn(demo::serve(listener));
        println!("dev: starting Pebble and its DNS");
        let pebble = start_pebble(ports).await;
        let root = folder.join("acme-root.pem");
        write(&root, pebble.root_pem())?;
        write(&folder.join("ca.pem"), pebble.issuer_root_pem())?;
        println!("dev: starting the edge");
        let edge = EdgeProcess::start(edge_options(ports, folder, &pebble.directory_url(), &root)).await;
        Ok(Self { summary: summary(ports), edge, pebble, saas })
    }

    /// The URLs and what to type.
    pub(crate) fn summary(&self) -> &str {
        &self.summary
    }

    /// Ends, with an error, when any part ends.
    pub(crate) async fn watch(&mut self) -> anyhow::Result<()> {
        let mut patrol = tokio::time::interval(PATROL);
        loop {
            tokio::select! {
                ended = &mut self.saas => {
                    ended.context("the demo SaaS panicked")?.context("the demo SaaS broke")?;
                    bail!("the demo SaaS ended");
                }
                _ = patrol.tick() => self.inspect()?,
            }
        }
    }

    fn inspect(&self) -> anyhow::Result<()> {
        if let Some(status) = self.edge.exited() {
            bail!("the edge ended ({status}); its log is {FOLDER}/edge.log");
        }
        if let Some(status) = self.pebble.exited() {
            bail!("Pebble or its DNS server ended ({status}):\n{}", self.pebble.log());
        }
        Ok(())
    }
}

/// On an address of its own, so that it takes no port of 127.0.0.1; it validates on the edge's ports there.
async fn start_pebble(ports: &Ports) -> Pebble {
    let options = PebbleOptions {
        http_port: ports.http,
        tls_port: ports.https,
        default_address: Some(Ipv4Addr::LOCALHOST),
        ..PebbleOptions::default()
    };
    Pebble::start(&Loopback::take(), options).await
}

fn edge_options(ports: &Ports, folder: &Path, directory: &str, root: &Path) -> EdgeOptions {
    EdgeOptions::on_localhost()
        .folder(folder)
        .ports(ports.http, ports.https, ports.admin)
        .ask_url(&format!("http://127.0.0.1:{}/ask", ports.demo))
        .default_origin_url(&format!("http://127.0.0.1:{}", ports.demo))
        .acme(directory, root)
        .set("[log]\nlevel = \"info\"")
}

fn empty(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("cannot empty {FOLDER}"))?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {FOLDER}"))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn summary(ports: &Ports) -> String {
    let Ports { https, http, admin, demo } = ports;
    let names: Vec<&str> = TENANTS.iter().map(|tenant| tenant.hostname).collect();
    let names = names.join(" ");
    let curl = |name: &str| {
        format!("curl --cacert {FOLDER}/ca.pem --resolve {name}:{https}:127.0.0.1 https://{name}:{https}/")
    };
    let (known, refused) = (curl("shop.customer.test"), curl("stranger.test"));
    format!(
        "dev: ready. Ctrl-C stops everything; configuration and log of the edge: {FOLDER}/edge.toml {FOLDER}/edge.log

edge       https://127.0.0.1:{https}   http://127.0.0.1:{http}
admin      http://127.0.0.1:{admin}/metrics
demo SaaS  http://127.0.0.1:{demo}
tenants    {names}

A first visit (question, order, certificate, answer); the second one is served from memory:
  {known}
A name that the gate refuses (TLS alert unrecognized_name):
  {refused}"
    )
}
