//! Where everything listens, and what to say when something else is there.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{anyhow, ensure};
use clap::Args;

/// An address and a port each.
#[derive(Args)]
pub(crate) struct Ports {
    /// The loopback address of everything but the CA and the DNS, which take one of their own.
    #[arg(long, env = "NAMEGATE_DEV_ADDRESS", default_value_t = Ipv4Addr::LOCALHOST)]
    pub(crate) address: Ipv4Addr,
    /// The control plane's port.
    #[arg(long = "control-port", env = "NAMEGATE_DEV_CONTROL", default_value_t = 8080)]
    pub(crate) control: u16,
    /// The edge's HTTPS port.
    #[arg(long = "https-port", env = "NAMEGATE_DEV_HTTPS", default_value_t = 8443)]
    pub(crate) https: u16,
    /// The edge's HTTP port.
    #[arg(long = "http-port", env = "NAMEGATE_DEV_HTTP", default_value_t = 8000)]
    pub(crate) http: u16,
    /// The edge's admin port.
    #[arg(long = "admin-port", env = "NAMEGATE_DEV_ADMIN", default_value_t = 2020)]
    pub(crate) admin: u16,
    /// The demo SaaS's port.
    #[arg(long = "demo-port", env = "NAMEGATE_DEV_DEMO", default_value_t = 3000)]
    pub(crate) demo: u16,
}

impl Ports {
    /// Says of all ports that are taken which they are and how to choose others.
    pub(crate) fn check(&self, edge_only: bool) -> anyhow::Result<()> {
        let ports = [
            ("HTTPS", "NAMEGATE_DEV_HTTPS", self.https),
            ("HTTP", "NAMEGATE_DEV_HTTP", self.http),
            ("admin", "NAMEGATE_DEV_ADMIN", self.admin),
            ("demo", "NAMEGATE_DEV_DEMO", self.demo),
        ];
        let control = (!edge_only).then_some(("control plane", "NAMEGATE_DEV_CONTROL", self.control));
        let taken: Vec<String> = ports.into_iter().chain(control).filter_map(|port| self.problem(port)).collect();
        ensure!(taken.is_empty(), anyhow!(taken.join("\n     ")));
        Ok(())
    }

    /// A port on the address.
    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::from((self.address, port))
    }

    /// A URL of a port as a person would type it.
    pub(crate) fn url(&self, port: u16) -> String {
        match self.address {
            Ipv4Addr::LOCALHOST => format!("http://localhost:{port}"),
            address => format!("http://{address}:{port}"),
        }
    }

    fn problem(&self, (what, variable, port): (&str, &str, u16)) -> Option<String> {
        let address = self.at(port);
        let error = TcpListener::bind(address).err()?;
        let other = port.checked_add(1000).unwrap_or(port / 2);
        Some(format!("{what} port {address}: {error}. Another one: {variable}={other} make dev"))
    }
}
