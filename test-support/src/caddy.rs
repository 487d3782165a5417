//! [`Caddy`]: another proxy that asks before it gets a certificate.

use std::{net::SocketAddr, path::PathBuf};

use tempfile::TempDir;

use crate::{
    Loopback,
    cache::cached,
    daemon::{self, Daemon},
    wait,
};

const HTTPS_PORT: u16 = 8443;

/// A running Caddy that serves every name over HTTPS, with certificates of its own internal CA, got on demand, after
/// asking.
#[derive(Debug)]
pub struct Caddy {
    address: SocketAddr,
    _daemon: Daemon,
    // Last: it holds the log that the daemon shows when a test fails.
    directory: TempDir,
}

impl Caddy {
    /// What it answers with 200.
    pub const BODY: &'static str = "served by Caddy";

    /// Starts it on `host`, asking `ask`, and waits until it listens and has made its CA.
    pub async fn start(host: &Loopback, ask: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("Caddyfile");
        let (folder, ip, body) = (directory.path().display(), host.ip(), Self::BODY);
        let text = format!(
            "{{\n admin off\n skip_install_trust\n auto_https disable_redirects\n https_port {HTTPS_PORT}\n \
             storage file_system {folder}/data\n on_demand_tls {{\n  ask {ask}\n }}\n}}\n\
             https:// {{\n bind {ip}\n tls internal {{\n  on_demand\n }}\n respond \"{body}\"\n}}\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut command = daemon::command(cached("caddy/caddy"));
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&config);
        // It writes a copy of its configuration there.
        command.env("XDG_CONFIG_HOME", directory.path()).env("XDG_DATA_HOME", directory.path());
        let daemon = Daemon::spawn("caddy", &mut command, &directory.path().join("caddy.log"));
        let address = host.at(HTTPS_PORT);
        daemon.listening(address).await;
        let caddy = Self { address, _daemon: daemon, directory };
        wait::until("Caddy has made its CA", async || caddy.root().exists().then_some(())).await;
        caddy
    }

    /// Where it serves HTTPS.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A file with the root of its certificates.
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("data/pki/authorities/local/root.crt")
    }
}
