//! [`Dns`]: the records that Pebble sees, kept by its own test DNS server; [`DnsServer`]: that server alone.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::Deref,
    path::Path,
};

use serde_json::{Value, json};

use tempfile::TempDir;

use crate::{
    Loopback,
    cache::cached,
    client::http,
    daemon::{self, Daemon},
};

/// Where it answers.
pub(crate) const PORT: u16 = 8053;
const MANAGEMENT_PORT: u16 = 8055;

/// The management interface of `pebble-challtestsrv`.
///
/// Names without a record have the default A record and no AAAA. It never answers NXDOMAIN and never stays silent.
#[derive(Debug, Clone)]
pub struct Dns {
    address: SocketAddr,
    management: SocketAddr,
}

/// A DNS server that is not Pebble's. Names without a record have no address.
#[derive(Debug)]
pub struct DnsServer {
    dns: Dns,
    _daemon: Daemon,
    // Last: it holds the log that the other shows when a test fails.
    _directory: TempDir,
}

impl DnsServer {
    /// Starts it on `host` and waits until it answers.
    pub async fn start(host: &Loopback) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let daemon = spawn(host, None, directory.path());
        let dns = listening(host, &daemon).await;
        Self { dns, _daemon: daemon, _directory: directory }
    }
}

impl Deref for DnsServer {
    type Target = Dns;

    fn deref(&self) -> &Dns {
        &self.dns
    }
}

/// Starts the server; names without a record have this address.
pub(crate) fn spawn(host: &Loopback, default: Option<Ipv4Addr>, directory: &Path) -> Daemon {
    let mut command = daemon::command(cached("pebble/pebble-challtestsrv"));
    command
        .args(["-dns01", &host.at(PORT).to_string()])
        .args(["-management", &host.at(MANAGEMENT_PORT).to_string()])
        .args(["-defaultIPv4", &default.map(|ip| ip.to_string()).unwrap_or_default()])
        .args(["-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", ""]);
    Daemon::spawn("pebble-challtestsrv", &mut command, &directory.join("dns.log"))
}

/// Waits until it answers.
pub(crate) async fn listening(host: &Loopback, daemon: &Daemon) -> Dns {
    daemon.listening(host.at(MANAGEMENT_PORT)).await;
    daemon.listening(host.at(PORT)).await;
    Dns::at(host.at(PORT), host.at(MANAGEMENT_PORT))
}

impl Dns {
    /// A server that runs already.
    pub fn at(address: SocketAddr, management: SocketAddr) -> Self {
        Self { address, management }
    }

    /// Where its records are changed.
    pub fn management(&self) -> SocketAddr {
        self.management
    }

    /// Whether it answers at all.
    pub async fn is_up(&self) -> bool {
        http::post(&format!("http://{}/dns-request-history", self.management), "{}").await.is_ok()
    }

    /// Where it answers, over UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A records of a name, instead of the default.
    pub async fn set_a(&self, name: &str, addresses: &[Ipv4Addr]) {
        self.post("add-a", &json!({"host": name, "addresses": addresses})).await;
    }

    /// AAAA records of a name.
    pub async fn set_aaaa(&self, name: &str, addresses: &[Ipv6Addr]) {
        self.post("add-aaaa", &json!({"host": name, "addresses": addresses})).await;
    }

    /// The CNAME of a name.
    pub async fn set_cname(&self, name: &str, target: &str) {
        self.post("set-cname", &json!({"host": name, "target": target})).await;
    }

    /// A TXT record more; give the whole owner name (`_acme-challenge.…`).
    pub async fn set_txt(&self, name: &str, value: &str) {
        self.post("set-txt", &json!({"host": absolute(name), "value": value})).await;
    }

    /// A CAA record more.
    pub async fn set_caa(&self, name: &str, tag: &str, value: &str) {
        let policies = json!([{"tag": tag, "value": value}]);
        self.post("add-caa", &json!({"host": name, "policies": policies})).await;
    }

    /// Every question about the name is answered with SERVFAIL.
    pub async fn servfail(&self, name: &str) {
        self.post("set-servfail", &json!({"host": name})).await;
    }

    /// Forgets all records of the name; the defaults hold again.
    pub async fn clear(&self, name: &str) {
        for kind in ["clear-a", "clear-aaaa", "clear-cname", "clear-caa", "clear-servfail"] {
            self.post(kind, &json!({"host": name})).await;
        }
        self.post("clear-txt", &json!({"host": absolute(name)})).await;
    }

    /// The default A record; `None` for none.
    pub async fn set_default(&self, address: Option<Ipv4Addr>) {
        let ip = address.map(|ip| ip.to_string()).unwrap_or_default();
        self.post("set-default-ipv4", &json!({"ip": ip})).await;
    }

    /// The types of the questions asked about a name so far (1 is A, 28 AAAA, 257 CAA).
    pub async fn questions(&self, name: &str) -> Vec<u64> {
        let events = self.post("dns-request-history", &json!({"host": name})).await;
        let events: Vec<Value> = serde_json::from_slice(&events).unwrap_or_default();
        events.iter().filter_map(|event| event["Question"]["Qtype"].as_u64()).collect()
    }

    async fn post(&self, path: &str, body: &Value) -> bytes::Bytes {
        let url = format!("http://{}/{path}", self.management);
        let response = http::post(&url, body.to_string()).await.expect("the DNS server must answer");
        assert!(response.status().is_success(), "the DNS server refuses {path} {body}: {}", response.status());
        response.into_body()
    }
}

/// TXT records are kept under the name with its final dot.
fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}
