//! [`ControlConfig`] and the ways to get one.

mod database;
mod dns;
mod domain_connect;
mod edge_target;
mod keys;
mod pace;
mod plans;
mod tokens;
mod webhooks;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use names::Hostname;
use url::Url;

use crate::{
    format,
    listen::parse_address,
    log::parse_level,
    mistake::{Mistake, Mistakes, Problem},
    section::{Disk, Empty, Walk},
    web::{parse_origin, parse_url},
};

pub use database::Database;
pub use dns::Dns;
pub use domain_connect::DomainConnect;
pub use edge_target::EdgeTarget;
pub use pace::Pace;
pub use plans::{PlanName, Plans};
pub use tokens::{DEVELOPMENT_TOKEN_SECRET, MIN_TOKEN_SECRET};
pub use webhooks::Webhooks;

use crate::secret::SecretSource;
use edge_target::parse_name;

/// Whether strangers are near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Built-in secrets will do.
    Development,
    /// Every secret must be the operator's own.
    Production,
}

/// The configuration of one control plane, validated as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where it keeps everything.
    pub database: Database,
    /// The keys that secrets are sealed under. Always set in production.
    pub key_file: Option<PathBuf>,
    /// What widget tokens are signed with.
    pub token_secret: SecretSource,
    /// Where customers point their names, and what edges show.
    pub edge: EdgeTarget,
    /// The issuer names that the edges' certificate authority answers to in CAA records; empty for no CAA check.
    pub caa: Vec<String>,
    /// Whether that authority is one that browsers trust, with the rules of those.
    pub public_authority: bool,
    /// Whom it asks about customers' records.
    pub dns: Dns,
    /// As whom it is known at DNS providers that take templates; `None` where it is not.
    pub domain_connect: Option<DomainConnect>,
    /// Whether this process works off jobs.
    pub worker: bool,
    /// How long receivers of webhooks are put up with.
    pub webhooks: Webhooks,
    /// What accounts may use.
    pub plans: Plans,
    /// Domains whose names nobody else's should look like.
    pub brands: Vec<Hostname>,
    /// How often clients may have looked at the DNS.
    pub pace: Pace,
    /// Where requests of the seeded demo go.
    pub demo_origin: Option<String>,
    /// A server that stands for all DNS providers. Never set in production: it is sent their credentials.
    pub dns_providers: Option<Url>,
    /// A level, or levels by module.
    pub log_level: String,
}

/// Reads a file, if one is named, and its overrides, and checks the files that they name.
///
/// # Errors
/// [`Mistakes`]: every one that can be told without starting.
pub fn load_control(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (String, String)>,
    mode: Mode,
) -> Result<ControlConfig, Mistakes> {
    let walk = match file {
        Some(file) => Walk::of_file(&format::CONTROL, file, env)?,
        None => Walk::new(&format::CONTROL, "", "", env, Disk::Look),
    };
    read(walk, mode)
}

/// Reads a text and its overrides without looking at the disk. `file_name` is for messages and relative paths.
///
/// # Errors
/// [`Mistakes`]: every one that the text and the overrides have.
pub fn parse_control(
    file_name: &str,
    text: &str,
    env: impl IntoIterator<Item = (String, String)>,
    mode: Mode,
) -> Result<ControlConfig, Mistakes> {
    read(Walk::new(&format::CONTROL, file_name, text, env, Disk::Untouched), mode)
}

/// The overrides of the control plane in the environment of this process.
pub fn control_environment() -> impl Iterator<Item = (String, String)> {
    format::CONTROL.environment()
}

/// Every key that the control plane knows, as table and key, in the order of the reference file.
pub fn control_keys() -> Vec<(&'static str, &'static str)> {
    let mut walk = Walk::new(&format::CONTROL, "", "", [], Disk::Untouched);
    let _config_of_nothing = parts(&mut walk, Mode::Development);
    walk.known
}

fn read(mut walk: Walk, mode: Mode) -> Result<ControlConfig, Mistakes> {
    let config = parts(&mut walk, mode);
    let mistakes: Vec<Mistake> = walk.finish();
    match config {
        Some(config) if mistakes.is_empty() => Ok(config),
        _ => Err(Mistakes::new(mistakes)),
    }
}

/// Loopback: whoever wants strangers to reach it says so.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Every table is read before any of them may end the walk, so that no mistake hides another.
fn parts(walk: &mut Walk, mode: Mode) -> Option<ControlConfig> {
    let listen = walk.section("listen").text("http", parse_address).ok().flatten();
    let database = Database::read(walk);
    let key_file = keys::read(walk, mode);
    let token_secret = tokens::read(walk, mode);
    let edge = EdgeTarget::read(walk);
    let caa = walk.section("acme").list("caa", Empty::Allowed, parse_issuer).unwrap_or_default();
    let public_authority = walk.section("acme").boolean("public", true);
    let dns = Dns::read(walk);
    let domain_connect = DomainConnect::read(walk, mode);
    let worker = walk.section("worker").boolean("enabled", true);
    let webhooks = Webhooks::read(walk);
    let plans = Plans::read(walk);
    let brands = walk.section("review").list("brands", Empty::Allowed, parse_name).unwrap_or_default();
    let pace = Pace::read(walk);
    let demo_origin = walk.section("dev").text("origin", parse_origin).ok().flatten();
    let dns_providers = dev_providers(walk, mode);
    let log_level = walk.section("log").text("level", parse_level).ok().flatten();
    Some(ControlConfig {
        listen: listen.map_or(LISTEN, |(address, _)| address),
        database: database?,
        key_file,
        token_secret: token_secret?,
        edge: edge?,
        caa: caa.into_iter().map(|(issuer, _)| issuer).collect(),
        public_authority,
        dns,
        domain_connect,
        worker,
        webhooks,
        plans,
        brands: brands.into_iter().map(|(domain, _)| domain).collect(),
        pace,
        demo_origin: demo_origin.map(|(origin, _)| origin),
        dns_providers,
        log_level: log_level.map_or_else(|| "info".to_owned(), |(level, _)| level),
    })
}

fn dev_providers(walk: &mut Walk, mode: Mode) -> Option<Url> {
    let mut section = walk.section("dev");
    let (url, at) = section.text("dns_providers", parse_url).ok().flatten()?;
    if mode == Mode::Production {
        let hint = "remove it; customers' credentials would be sent there";
        section.mistake(&at, Problem::new("development_only", "is for development", hint));
        return None;
    }
    Some(url)
}

/// The issuer part of a CAA record (RFC 8659 section 4.2): a domain name.
fn parse_issuer(text: &str) -> Result<String, Problem> {
    let is_name = text.contains('.') && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    match is_name {
        true => Ok(text.to_ascii_lowercase()),
        false => {
            let hint = "write the domain that the authority's CAA documentation names, such as \"letsencrypt.org\"";
            Err(Problem::new("bad_name", format!("`{text}` is not an issuer's domain name"), hint))
        }
    }
}
