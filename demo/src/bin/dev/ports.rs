//! Where everything listens, and what to say when something else is there.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{anyhow, ensure};
use clap::Parser;

/// Starts the whole product on loopback: ACME CA, DNS, demo SaaS, edge.
#[derive(Parser)]
pub(crate) struct Ports {
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
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let ports = [
            ("HTTPS", "NAMEGATE_DEV_HTTPS", self.https),
            ("HTTP", "NAMEGATE_DEV_HTTP", self.http),
            ("admin", "NAMEGATE_DEV_ADMIN", self.admin),
            ("demo", "NAMEGATE_DEV_DEMO", self.demo),
        ];
        let taken: Vec<String> = ports.iter().filter_map(|port| problem(*port)).collect();
        ensure!(taken.is_empty(), anyhow!(taken.join("\n     ")));
        Ok(())
    }
}

fn problem((what, variable, port): (&str, &str, u16)) -> Option<String> {
    let error = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).err()?;
    let other = port.checked_add(1000).unwrap_or(port / 2);
    Some(format!("{what} port 127.0.0.1:{port}: {error}. Another one: {variable}={other} make dev"))
}
