//! [`Pebble`]: Let's Encrypt's own test CA, with its DNS server.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    Ca, Dns, Loopback,
    cache::cached,
    client::http,
    daemon::{self, Daemon},
    dns, wait,
};

const ACME_PORT: u16 = 14000;
const MANAGEMENT_PORT: u16 = 15000;

/// How a [`Pebble`] behaves. The default is strict, without sleeps, and calls as many good nonces bad as Pebble does by
/// itself.
#[derive(Debug, Clone)]
pub struct PebbleOptions {
    /// Per cent of good nonces that are called bad.
    pub nonce_reject_percent: u8,
    /// Per cent of orders for which an authorization that is already valid is used again. Zero: every order is
    /// validated anew, so tests see each validation.
    pub authz_reuse_percent: u8,
    /// How long certificates live; 90 days when not given.
    pub validity: Option<Duration>,
    /// Port of HTTP-01 validation.
    pub http_port: u16,
    /// Port of TLS-ALPN-01 validation.
    pub tls_port: u16,
    /// Validation takes up to this long, at random; `None`: no sleep at all.
    pub va_sleep: Option<Duration>,
    /// The `Retry-After` of pending authorizations and of orders, in seconds; zero sends none.
    pub retry_after: u32,
    /// Names that the CA refuses with `rejectedIdentifier`.
    pub blocklist: Vec<String>,
    /// The account key ids and MAC keys (base64url) for external account binding; required when not empty.
    pub external_accounts: Vec<(String, String)>,
    /// Address of names without a record of their own; the address that Pebble runs on when not given.
    pub default_address: Option<Ipv4Addr>,
    /// Whom Pebble asks instead of its own DNS server.
    pub name_server: Option<SocketAddr>,
}

impl Default for PebbleOptions {
    fn default() -> Self {
        Self {
            nonce_reject_percent: 5,
            authz_reuse_percent: 0,
            validity: None,
            http_port: 8000,
            tls_port: 8443,
            va_sleep: None,
            retry_after: 0,
            blocklist: Vec::new(),
            external_accounts: Vec::new(),
            default_address: None,
            name_server: None,
        }
    }
}

/// A running Pebble. It forgets everything when it ends, and its issuing root is another one at each start.
#[derive(Debug)]
pub struct Pebble {
    dns: Dns,
    name_server: Option<SocketAddr>,
    acme: SocketAddr,
    issuer_root: String,
    listener_root: String,
    pebble: Daemon,
    dns_server: Daemon,
    // Last: it holds the logs that the others show when a test fails.
    directory: TempDir,
}

impl Pebble {
    /// Starts it on `host` and waits until it serves its directory.
    pub async fn start(host: &Loopback, options: PebbleOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener_root = write_files(directory.path(), host, &options);
        let dns_server = dns::spawn(host, Some(options.default_address.unwrap_or_else(|| host.ip())), directory.path());
        let pebble = start_pebble(host, &options, directory.path());
        let dns = dns::listening(host, &dns_server).await;
        pebble.listening(host.at(ACME_PORT)).await;
        let issuer_root = fetch_root(&format!("https://{}/roots/0", host.at(MANAGEMENT_PORT)), &listener_root).await;
        let (acme, name_server) = (host.at(ACME_PORT), options.name_server);
        Self { dns, name_server, acme, issuer_root, listener_root, pebble, dns_server, directory }
    }

    /// The ACME directory.
    pub fn directory_url(&self) -> String {
        format!("https://{}/dir", self.acme)
    }

    /// Where the ACME listener is.
    pub fn address(&self) -> SocketAddr {
        self.acme
    }

    /// A file with the CA of the ACME listener (`acme.ca_root` of the edge).
    pub fn root_pem_path(&self) -> PathBuf {
        self.directory.path().join("listener-root.pem")
    }

    /// The CA of the ACME listener.
    pub fn root_pem(&self) -> &str {
        &self.listener_root
    }

    /// The root of the certificates that are issued: what visitors must trust.
    pub fn issuer_root_pem(&self) -> &str {
        &self.issuer_root
    }

    /// A file with [`issuer_root_pem`](Self::issuer_root_pem).
    pub fn issuer_root_pem_path(&self) -> PathBuf {
        let path = self.directory.path().join("issuer-root.pem");
        std::fs::write(&path, &self.issuer_root).unwrap();
        path
    }

    /// The records that Pebble sees.
    pub fn dns(&self) -> &Dns {
        &self.dns
    }

    /// Whom Pebble asks about names.
    pub fn name_server(&self) -> SocketAddr {
        self.name_server.unwrap_or_else(|| self.dns.address())
    }

    /// What Pebble has written.
    pub fn log(&self) -> String {
        self.pebble.log()
    }

    /// How Pebble or its DNS server ended, if one has.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.pebble.exited().or_else(|| self.dns_server.exited())
    }
}

/// Writes the configuration and the listener's certificate; returns the listener's root.
fn write_files(directory: &Path, host: &Loopback, options: &PebbleOptions) -> String {
    let ca = Ca::new("Namegate test listener root");
    let identity = ca.issue(&["localhost", "127.0.0.1", &host.ip().to_string()]);
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let accounts: serde_json::Map<_, _> =
        options.external_accounts.iter().map(|(id, key)| (id.clone(), key.clone().into())).collect();
    let config = json!({"pebble": {
        "listenAddress": host.at(ACME_PORT),
        "managementListenAddress": host.at(MANAGEMENT_PORT),
        "certificate": write("listener.pem", &identity.chain_pem),
        "privateKey": write("listener.key", &identity.key_pem),
        "httpPort": options.http_port,
        "tlsPort": options.tls_port,
        "externalAccountBindingRequired": !accounts.is_empty(),
        "externalAccountMACKeys": accounts,
        "domainBlocklist": options.blocklist,
        "retryAfter": {"authz": options.retry_after, "order": options.retry_after},
        "certificateValidityPeriod": options.validity.unwrap_or(Duration::from_hours(90 * 24)).as_secs(),
    }});
    write("pebble.json", &config.to_string());
    write("listener-root.pem", &ca.root_pem());
    ca.root_pem()
}

fn start_pebble(host: &Loopback, options: &PebbleOptions, directory: &Path) -> Daemon {
    let mut command = daemon::command(cached("pebble/pebble"));
    command
        .arg("-config")
        .arg(directory.join("pebble.json"))
        .args(["-strict", "-dnsserver", &options.name_server.unwrap_or_else(|| host.at(dns::PORT)).to_string()])
        .env("PEBBLE_WFE_NONCEREJECT", options.nonce_reject_percent.to_string())
        .env("PEBBLE_AUTHZREUSE", options.authz_reuse_percent.to_string());
    match options.va_sleep {
        None => command.env("PEBBLE_VA_NOSLEEP", "1"),
        Some(sleep) => command.env("PEBBLE_VA_SLEEPTIME", sleep.as_secs().max(1).to_string()),
    };
    Daemon::spawn("pebble", &mut command, &directory.join("pebble.log"))
}

async fn fetch_root(url: &str, listener_root: &str) -> String {
    let root = wait::until("Pebble shows its issuing root", async || {
        let response = http::get_trusting(url, listener_root).await.ok()?;
        response.status().is_success().then(|| response.into_body())
    });
    String::from_utf8(root.await.to_vec()).unwrap()
}
