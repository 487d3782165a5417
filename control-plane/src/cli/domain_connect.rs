//! `domain-connect`: what DNS providers need of us.

use anyhow::Context as _;
use clap::Subcommand;
use control_plane::{
    domains::{signing_key, template_of},
    settings::Settings,
    surfaces::connect_domain::CHALLENGE,
};

use super::output::{Format, Row, say};

#[derive(Debug, Subcommand)]
pub(crate) enum DomainConnect {
    /// Print a new signing key, to be kept in domain_connect.key_file.
    GenerateKey,
    /// Show the TXT records that publish the public key.
    Key,
    /// Print the template that is given to DNS providers.
    Template {
        /// The one for the top of a zone, with the edges' addresses
        #[arg(long)]
        apex: bool,
    },
}

impl DomainConnect {
    pub(crate) fn run(&self, settings: &Settings, format: Format) -> anyhow::Result<()> {
        let known = settings.domain_connect.as_ref().context("domain_connect.provider_id is not set")?;
        match self {
            // Needs no settings: done before they are read.
            Self::GenerateKey => {}
            Self::Key => {
                let name = format!("{}.{}", known.key_host, known.key_domain);
                let records = signing_key(known)?.records();
                let rows = records.iter().map(|value| {
                    Row::new().with("name", name.as_str()).with("type", "TXT").with("value", value.as_str())
                });
                format.print(&rows.collect::<Vec<_>>());
            }
            Self::Template { apex } => {
                let edge = &settings.core.edge;
                let v4 = edge.ipv4.iter().copied().map(Into::into);
                let addresses: Vec<_> = v4.chain(edge.ipv6.iter().copied().map(Into::into)).collect();
                let template = template_of(known, CHALLENGE, apex.then_some(addresses.as_slice()));
                say(serde_json::to_string_pretty(&template)?);
            }
        }
        Ok(())
    }
}
