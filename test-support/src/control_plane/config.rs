//! [`ControlOptions`]: a configuration that fits the harness, as text.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use crate::{Dns, Loopback, toml_text::merge};

const PORT: u16 = 8080;

/// How a [`ControlProcess`](super::ControlProcess) is configured. What is not given is left to its defaults.
#[derive(Debug, Clone)]
pub struct ControlOptions {
    pub(super) listen: SocketAddr,
    pub(super) folder: Option<PathBuf>,
    database: Option<String>,
    settings: Table,
    // Keeps the address while the options live.
    _host: Option<Loopback>,
}

impl ControlOptions {
    /// What customers point their names at.
    pub const TARGET: &'static str = "edge.namegate.test";

    /// Listens on port 8080 of this address, where the edge is too, on a database of its own.
    pub fn on(host: &Loopback) -> Self {
        Self { _host: Some(host.clone()), ..Self::at(host.at(PORT)).edge_address(host.ip()) }
    }

    /// Listens here, and tells customers to point at 127.0.0.1.
    pub fn at(listen: SocketAddr) -> Self {
        let base = Self { listen, folder: None, database: None, settings: Table::new(), _host: None };
        base.edge_address(Ipv4Addr::LOCALHOST)
    }

    /// The address of the edge.
    #[must_use]
    pub fn edge_address(self, address: Ipv4Addr) -> Self {
        self.set(&format!("[edge]\naddresses = [\"{address}\"]"))
    }

    /// Believes this DNS server alone.
    #[must_use]
    pub fn dns(self, dns: &Dns) -> Self {
        self.set(&format!("[dns]\nresolvers = [\"{}\"]\nask_authority = false", dns.address()))
    }

    /// Where requests of the demo application go.
    #[must_use]
    pub fn origin(self, url: &str) -> Self {
        self.set(&format!("[dev]\norigin = {url:?}"))
    }

    /// Keeps its rows there instead of in a file of its own.
    #[must_use]
    pub fn database(mut self, url: &str) -> Self {
        self.database = Some(url.to_owned());
        self
    }

    /// Puts configuration, log, keys and database into this folder and leaves them there.
    #[must_use]
    pub fn folder(mut self, path: impl Into<PathBuf>) -> Self {
        self.folder = Some(path.into());
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

    /// The whole file. Settings of [`set`](Self::set) win over what the harness would write.
    pub(super) fn to_toml(&self, folder: &Path) -> String {
        let sqlite = || format!("sqlite://{}", folder.join("control.db").display());
        let one = |key: &str, value: String| Value::Table(Table::from_iter([(key.to_owned(), Value::String(value))]));
        let mut edge = Table::new();
        edge.insert("cname".to_owned(), Self::TARGET.into());
        edge.insert("token_file".to_owned(), token_file(folder).display().to_string().into());
        let mut all = Table::from_iter([
            ("listen".to_owned(), one("http", self.listen.to_string())),
            ("database".to_owned(), one("url", self.database.clone().unwrap_or_else(sqlite))),
            ("keys".to_owned(), one("file", key_file(folder).display().to_string())),
            ("edge".to_owned(), Value::Table(edge)),
        ]);
        merge(&mut all, self.settings.clone());
        toml::to_string(&all).unwrap()
    }
}

pub(super) fn token_file(folder: &Path) -> PathBuf {
    folder.join("edge-token")
}

pub(super) fn key_file(folder: &Path) -> PathBuf {
    folder.join("control-keys")
}
