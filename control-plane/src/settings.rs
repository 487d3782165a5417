//! What `config` has read and checked, in the words of this crate.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use config::{ControlConfig, Mistakes, PlanName, ResolverAddress, Secret, SecretError, load_control};
use names::Lookalikes;

use crate::{
    core::{CoreSettings, EdgeTarget, Plan, PlanLimits},
    writer::WriterLimits,
};

pub use config::Mode;

/// Everything that `run` needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Which database.
    pub database_url: Secret,
    /// Connections to it.
    pub database_connections: u32,
    /// Whether `run` brings the schema up to date.
    pub migrate: bool,
    /// The keys that secrets are sealed under.
    pub key_file: Option<PathBuf>,
    /// What edges authenticate with.
    pub edge_token_file: Option<PathBuf>,
    /// What widget tokens are signed with.
    pub token_secret: Secret,
    /// Whom to ask about customers' records.
    pub resolvers: Vec<dns::Server>,
    /// Whether and how a zone's own servers are asked.
    pub authority: dns::Authority,
    /// The issuer names that our CA answers to in CAA records.
    pub caa: Vec<String>,
    /// As whom this service is known at DNS providers that take templates.
    pub domain_connect: Option<config::DomainConnect>,
    /// How often clients may have looked at the DNS.
    pub pace: config::Pace,
    /// Whether this process works off jobs.
    pub worker: bool,
    /// How long a webhook is tried before it is given up.
    pub webhook_retry_for: Duration,
    /// Where the demo application's requests go.
    pub demo_origin: Option<String>,
    /// A server that stands for all DNS providers, in development.
    pub providers_at: Option<url::Url>,
    /// The bounds of writing at DNS providers.
    pub writer: WriterLimits,
    /// What is logged.
    pub log_level: String,
    /// The core's rules.
    pub core: CoreSettings,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// What is wrong with them, all of it.
    #[error(transparent)]
    Mistakes(#[from] Mistakes),
    /// A file of a secret was there when it was checked and is not any more.
    #[error("a secret cannot be had")]
    Secret(#[from] SecretError),
}

impl Settings {
    /// Reads a file, if one is given, and the environment.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        mode: Mode,
    ) -> Result<Self, SettingsError> {
        let config = load_control(file, env, mode)?;
        Ok(Self {
            listen: config.listen,
            database_url: config.database.url.read()?,
            database_connections: config.database.connections,
            migrate: config.database.migrate,
            token_secret: config.token_secret.read()?,
            resolvers: config.dns.resolvers.iter().copied().map(server).collect(),
            authority: authority(&config.dns),
            worker: config.worker,
            pace: config.pace,
            webhook_retry_for: config.webhooks.retry_for,
            core: core(&config, mode),
            key_file: config.key_file,
            edge_token_file: config.edge.token_file,
            caa: config.caa,
            domain_connect: config.domain_connect,
            demo_origin: config.demo_origin,
            providers_at: config.dns_providers,
            writer: WriterLimits::default(),
            log_level: config.log_level,
        })
    }
}

fn server(resolver: ResolverAddress) -> dns::Server {
    let transport = if resolver.tcp { dns::Transport::Tcp } else { dns::Transport::Udp };
    dns::Server { address: resolver.address, transport }
}

fn authority(dns: &config::Dns) -> dns::Authority {
    match dns.ask_authority {
        true => dns::Authority::Ask { port: dns.authority_port, private: dns.allow_private },
        false => dns::Authority::Skip,
    }
}

fn core(config: &ControlConfig, mode: Mode) -> CoreSettings {
    let limit = |most: Option<u32>| PlanLimits { connect: most.map(i64::from) };
    CoreSettings {
        edge: edge(&config.edge),
        reserved: config.edge.reserved.iter().map(ToString::to_string).collect(),
        public_authority: config.public_authority,
        lookalikes: Lookalikes::new(config.brands.iter().cloned()),
        certificates_reported: config.edge.reports,
        policies: crate::surfaces::policies(),
        default_plan: plan(config.plans.default),
        free: limit(config.plans.free),
        pro: limit(config.plans.pro),
        growth: limit(config.plans.growth),
        upgrade_url: config.plans.upgrade_url.clone(),
        disable_after: config.webhooks.disable_after,
        dev: mode == Mode::Development,
        ..CoreSettings::default()
    }
}

fn edge(configured: &config::EdgeTarget) -> EdgeTarget {
    let mut edge = EdgeTarget { cname: configured.cname.to_string(), ..EdgeTarget::default() };
    for address in &configured.addresses {
        match address {
            IpAddr::V4(ip) => edge.ipv4.push(*ip),
            IpAddr::V6(ip) => edge.ipv6.push(*ip),
        }
    }
    edge
}

fn plan(name: PlanName) -> Plan {
    match name {
        PlanName::Enterprise => Plan::Enterprise,
        PlanName::Free => Plan::Free,
        PlanName::Growth => Plan::Growth,
        PlanName::Pro => Plan::Pro,
    }
}
