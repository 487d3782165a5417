//! [`EdgeOptions`]: a configuration that fits the harness, as text.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use crate::{AcmeProxy, ControlProcess, FakeGate, Loopback, Origin, Pebble, toml_text::merge};

/// What an idle machine needs a hundredth of; room for the crowds that tests send from one address; and tests look for
/// lines that a flood would leave out.
const PATIENT: &str = r#"
[ask]
timeout = "30s"
[limits]
hello_timeout = "60s"
handshake_timeout = "60s"
certificate_wait = "60s"
connect_timeout = "30s"
watchdog = "10m"
log_burst = 1000000
connections_per_address = 1000000
handshakes_per_address = 1000000
handshake_rate = 1000000
handshake_rate_per_address = 1000000
"#;

/// How an [`EdgeProcess`](super::EdgeProcess) is configured. What is not given is left to the edge's defaults.
#[derive(Debug, Clone)]
pub struct EdgeOptions {
    // Keeps the address while the options live.
    _host: Option<Loopback>,
    pub(super) address: Ipv4Addr,
    pub(super) env: Vec<(String, String)>,
    pub(super) folder: Option<PathBuf>,
    pub(super) storage: Option<PathBuf>,
    pub(super) http_port: u16,
    pub(super) https_port: u16,
    pub(super) admin_port: u16,
    settings: Table,
}

impl EdgeOptions {
    /// Listens on this address: HTTP on 8000 and HTTPS on 8443, where [`Pebble`] validates, the admin on 2020. Waits
    /// are long, so that a loaded machine changes no outcome; a test that is about a wait sets its own.
    pub fn on(host: &Loopback) -> Self {
        let base = Self { _host: Some(host.clone()), ..Self::on_localhost().address(host.ip()) };
        base.set(PATIENT)
    }

    /// Listens on 127.0.0.1, with the same ports: for people, not for tests.
    pub fn on_localhost() -> Self {
        let base = Self {
            _host: None,
            address: Ipv4Addr::LOCALHOST,
            env: Vec::new(),
            folder: None,
            storage: None,
            http_port: 8000,
            https_port: 8443,
            admin_port: 2020,
            settings: Table::new(),
        };
        // Origins of tests live on loopback, which the edge refuses by default.
        base.set("[proxy]\nallow_private_origins = true")
    }

    /// Listens on this address.
    #[must_use]
    pub fn address(self, address: Ipv4Addr) -> Self {
        Self { address, ..self }
    }

    /// Asks this gate.
    #[must_use]
    pub fn gate(self, gate: &FakeGate) -> Self {
        self.ask_url(&gate.url())
    }

    /// Asks at this URL.
    #[must_use]
    pub fn ask_url(mut self, url: &str) -> Self {
        self.put("ask", "url", url.into());
        self
    }

    /// Follows this control plane, and asks it about other names.
    #[must_use]
    pub fn control(mut self, control: &ControlProcess) -> Self {
        self.put("control", "url", control.url().into());
        self.put("control", "token_file", control.token_file().display().to_string().into());
        self
    }

    /// Orders from Pebble directly.
    #[must_use]
    pub fn pebble(self, pebble: &Pebble) -> Self {
        self.acme(&pebble.directory_url(), &pebble.root_pem_path()).preflight(pebble.name_server())
    }

    /// Orders from Pebble through the proxy.
    #[must_use]
    pub fn acme_proxy(self, proxy: &AcmeProxy) -> Self {
        self.acme(&proxy.directory_url(), &proxy.root_pem_path()).preflight(proxy.name_server())
    }

    /// Looks at names before it orders for them: at the name server and the ports that the CA looks at.
    fn preflight(self, name_server: SocketAddr) -> Self {
        let Self { http_port, https_port, .. } = self;
        self.set(&format!(
            "[acme.preflight]\nchecks = \"full\"\nresolvers = [\"{name_server}\"]\nauthority_port = {}\n\
             http_port = {http_port}\nhttps_port = {https_port}\ntimeout = \"30s\"",
            name_server.port()
        ))
    }

    /// Orders from this directory, whose listener shows a certificate of the CA in the file.
    #[must_use]
    pub fn acme(mut self, directory: &str, ca_root: &Path) -> Self {
        self.put("acme", "directory", Value::Array(vec![directory.into()]));
        self.put("acme", "contact", Value::Array(vec!["mailto:ops@example.test".into()]));
        self.put("acme", "ca_root", ca_root.display().to_string().into());
        self
    }

    /// The origin of names for which the gate gives none.
    #[must_use]
    pub fn default_origin(self, origin: &Origin) -> Self {
        self.default_origin_url(&origin.url())
    }

    /// The same, by URL.
    #[must_use]
    pub fn default_origin_url(mut self, url: &str) -> Self {
        self.put("proxy", "default_origin", url.into());
        self
    }

    /// Believes the certificate of this origin's TLS listener.
    #[must_use]
    pub fn trust_origin(mut self, origin: &Origin) -> Self {
        self.put("proxy", "origin_ca_root", origin.root_pem_path().display().to_string().into());
        self
    }

    /// Keeps certificates in this folder instead of one of its own.
    #[must_use]
    pub fn storage(mut self, path: impl Into<PathBuf>) -> Self {
        self.storage = Some(path.into());
        self
    }

    /// Puts configuration, log and storage into this folder and leaves them there.
    #[must_use]
    pub fn folder(mut self, path: impl Into<PathBuf>) -> Self {
        self.folder = Some(path.into());
        self
    }

    /// Listens on other ports.
    #[must_use]
    pub fn ports(mut self, http: u16, https: u16, admin: u16) -> Self {
        (self.http_port, self.https_port, self.admin_port) = (http, https, admin);
        self
    }

    /// Lays configuration text over what is there; the same key twice: the later one wins.
    ///
    /// # Panics
    /// When the text is not TOML.
    #[must_use]
    pub fn set(mut self, text: &str) -> Self {
        let over: Table = text.parse().unwrap_or_else(|error| panic!("not TOML: {error}\n{text}"));
        merge(&mut self.settings, over);
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    /// The whole file. Settings of [`set`](Self::set) win over what the harness would write.
    pub(super) fn to_toml(&self, storage: &Path) -> String {
        let ip = self.address;
        let mut all: Table = toml::toml! {
            [log]
            access = "json"
            level = "debug"
        };
        let listen = Table::from_iter([
            ("http".to_owned(), Value::Array(vec![format!("{ip}:{}", self.http_port).into()])),
            ("https".to_owned(), Value::Array(vec![format!("{ip}:{}", self.https_port).into()])),
            ("admin".to_owned(), format!("{ip}:{}", self.admin_port).into()),
        ]);
        all.insert("listen".to_owned(), Value::Table(listen));
        let path = Table::from_iter([("path".to_owned(), storage.display().to_string().into())]);
        all.insert("storage".to_owned(), Value::Table(path));
        merge(&mut all, self.settings.clone());
        toml::to_string(&all).unwrap()
    }

    fn put(&mut self, table: &str, key: &str, value: Value) {
        let one = Table::from_iter([(key.to_owned(), value)]);
        merge(&mut self.settings, Table::from_iter([(table.to_owned(), Value::Table(one))]));
    }
}
