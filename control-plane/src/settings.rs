//! What an operator sets: a TOML file, `NAMEGATE_CONTROL__TABLE__KEY` over it, `DATABASE_URL` and `NAMEGATE_KEY_FILE`
//! over that. Every mistake is told at once; a value that may be a secret is never repeated.

mod source;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use crate::{
    core::{CoreSettings, EdgeTarget, Plan, PlanLimits},
    tokens,
};
use source::Source;

/// Whether strangers are near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Private targets, a built-in secret and `sk_test_demo` are welcome.
    Development,
    /// They are refused.
    Production,
}

/// Everything that `run` needs.
#[derive(Clone)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Which database.
    pub database_url: String,
    /// Connections to it.
    pub database_connections: u32,
    /// Whether `run` brings the schema up to date.
    pub migrate: bool,
    /// The keys that secrets are sealed under.
    pub key_file: Option<PathBuf>,
    /// What edges authenticate with.
    pub edge_token_file: Option<PathBuf>,
    /// What widget tokens are signed with.
    pub token_secret: String,
    /// Resolvers, as `address` or `address:port`.
    pub resolvers: Vec<dns::Server>,
    /// Whether and how a zone's own servers are asked.
    pub authority: dns::Authority,
    /// The issuer names that our CA answers to in CAA records.
    pub caa: Vec<String>,
    /// Whether this process works off jobs.
    pub worker: bool,
    /// Where the demo application's requests go.
    pub demo_origin: Option<String>,
    /// What is logged.
    pub log_level: String,
    /// The core's rules.
    pub core: CoreSettings,
}

/// All mistakes of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub(crate) Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Mistakes {}

impl Settings {
    /// Reads a file, if one is given, and the environment.
    ///
    /// # Errors
    /// [`Mistakes`].
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        mode: Mode,
    ) -> Result<Self, Mistakes> {
        let mut source = Source::read(file, env);
        let dev = mode == Mode::Development;
        let settings = Self {
            listen: source.parse("listen.http", SocketAddr::from(([127, 0, 0, 1], 8080))),
            database_url: source.secret("database.url").unwrap_or_else(|| "sqlite://namegate-control.db".to_owned()),
            database_connections: source.parse("database.connections", 16),
            migrate: source.parse("database.migrate", true),
            key_file: source.text("keys.file").map(PathBuf::from),
            edge_token_file: source.text("edge.token_file").map(PathBuf::from),
            token_secret: token_secret(&mut source, dev),
            resolvers: resolvers(&mut source),
            authority: authority(&mut source),
            caa: source.list("acme.caa"),
            worker: source.parse("worker.enabled", true),
            demo_origin: source.text("dev.origin"),
            log_level: source.text("log.level").unwrap_or_else(|| "info".to_owned()),
            core: core(&mut source, dev),
        };
        let mistakes = source.finish();
        if mistakes.is_empty() { Ok(settings) } else { Err(Mistakes(mistakes)) }
    }
}

fn token_secret(source: &mut Source, dev: bool) -> String {
    match source.secret("tokens.secret") {
        Some(secret) if secret.len() >= tokens::MIN_SECRET && secret != tokens::DEFAULT_SECRET => secret,
        Some(_) if !dev => {
            source.mistake("tokens.secret", "is the default or shorter than 32 characters");
            String::new()
        }
        None if !dev => {
            source.mistake("tokens.secret", "is required outside development: 32 random characters or more");
            String::new()
        }
        secret => secret.unwrap_or_else(|| tokens::DEFAULT_SECRET.to_owned()),
    }
}

fn resolvers(source: &mut Source) -> Vec<dns::Server> {
    let mut texts = source.list("dns.resolvers");
    if texts.is_empty() {
        texts = dns::ResolversConfig::PUBLIC.map(str::to_owned).to_vec();
    }
    let mut servers = Vec::new();
    for text in texts {
        match text.parse() {
            Ok(server) => servers.push(server),
            Err(error) => source.mistake("dns.resolvers", &format!("holds `{text}`: {error}")),
        }
    }
    servers
}

fn authority(source: &mut Source) -> dns::Authority {
    let port = source.parse("dns.authority_port", 53);
    let private = source.parse("dns.allow_private", false);
    match source.parse("dns.ask_authority", true) {
        true => dns::Authority::Ask { port, private },
        false => dns::Authority::Skip,
    }
}

fn core(source: &mut Source, dev: bool) -> CoreSettings {
    let default = CoreSettings::default();
    let limit = |most: i64| PlanLimits { connect: (most > 0).then_some(most) };
    CoreSettings {
        edge: edge(source),
        reserved: source.list("edge.reserved").iter().map(|name| name.to_ascii_lowercase()).collect(),
        certificates_reported: source.parse("edge.reports", true),
        default_plan: source.parse("plans.default", Plan::Enterprise),
        free: limit(source.parse("plans.free", 10)),
        pro: limit(source.parse("plans.pro", 100)),
        growth: limit(source.parse("plans.growth", 1000)),
        upgrade_url: source.text("plans.upgrade_url"),
        dev,
        ..default
    }
}

fn edge(source: &mut Source) -> EdgeTarget {
    let cname = source.text("edge.cname").unwrap_or_default().to_ascii_lowercase();
    if cname.is_empty() {
        source.mistake("edge.cname", "is required: the name that customers point theirs at");
    }
    let mut edge = EdgeTarget { cname, ..EdgeTarget::default() };
    for text in source.list("edge.addresses") {
        match text.parse() {
            Ok(IpAddr::V4(ip)) => edge.ipv4.push(ip),
            Ok(IpAddr::V6(ip)) => edge.ipv6.push(ip),
            Err(_) => source.mistake("edge.addresses", &format!("holds `{text}`, which is no address")),
        }
    }
    edge
}
