//! `[acme.dns]`: proof by records in the DNS (DNS-01), and the names that are kept in certificates whether visited or not.

use std::{fmt, time::Duration};

use names::{Hostname, Subject};

use crate::{
    choice::choose,
    mistake::{At, Problem},
    resolver::{PORT, ResolverAddress, parse_resolver, public_resolvers},
    secret::{Secret, SecretError, SecretSource, check_file},
    section::{Empty, Section, Walk},
};

/// Where records of challenges are written, and for which names.
#[derive(Clone, PartialEq, Eq)]
pub struct AcmeDns {
    /// One of [`AcmeDns::PROVIDERS`].
    pub provider: &'static str,
    token: SecretSource,
    /// The zone's identifier, for providers whose credential does not tell it.
    pub zone_id: Option<String>,
    /// Names at or below these are proven by records, and those whose `_acme-challenge` leads there. Never empty.
    pub zones: Vec<Hostname>,
    /// Kept in certificates from the start on.
    pub names: Vec<Subject>,
    /// Whom to ask where records stand; never empty.
    pub resolvers: Vec<ResolverAddress>,
    /// Port of the zones' own servers.
    pub authority_port: u16,
    /// How long the zone's servers may take to show a record.
    pub propagation_timeout: Duration,
    /// How long is waited after they do.
    pub propagation_wait: Duration,
}

/// Names in one file; what a fleet keeps is a handful.
const MAX_NAMES: usize = 1000;
const TIMEOUT: Duration = Duration::from_secs(120);
const WAIT: Duration = Duration::from_secs(2);
const MINUTE: Duration = Duration::from_secs(60);

impl AcmeDns {
    /// The providers that records can be written at, by their keys.
    pub const PROVIDERS: [&'static str; 19] = [
        "azuredns",
        "cloudflare",
        "desec",
        "digitalocean",
        "dnsimple",
        "gandi",
        "gcpdns",
        "godaddy",
        "hetzner",
        "ionos",
        "linode",
        "namecheap",
        "namecom",
        "netlify",
        "porkbun",
        "rfc2136",
        "route53",
        "vercel",
        "vultr",
    ];

    /// `None` when the table is not used, or has a mistake that the walk knows.
    pub(crate) fn read(walk: &mut Walk) -> Option<Self> {
        let mut section = walk.section("acme.dns");
        let provider = section.text("provider", parse_provider);
        let token_file = section.path("token_file");
        let zone_id = section.text("zone_id", parse_id);
        let hint = "name the zones that records are written in, or remove the table";
        let zones = section.list("zones", Empty::Refused(hint), parse_zone);
        let names = section.list("names", Empty::Allowed, parse_name);
        let hint = "name a resolver, or remove the key for the public ones";
        let resolvers = section.list("resolvers", Empty::Refused(hint), parse_resolver);
        let port = section.quantity::<usize>("authority_port", (1, usize::from(u16::MAX)), usize::from(PORT));
        let timeout = section.quantity("propagation_timeout", (Duration::from_secs(5), 4 * MINUTE), TIMEOUT);
        let wait = section.quantity("propagation_wait", (Duration::ZERO, MINUTE), WAIT);
        if let Some((_, at)) = names.as_ref().and_then(|names| names.get(MAX_NAMES)) {
            let hint = "visited names need not be listed";
            section.mistake(at, Problem::new("too_many", format!("more than {MAX_NAMES} names are listed"), hint));
        }
        let (provider, token_file, zone_id) = (provider.ok()?, token_file.ok()?, zone_id.ok()?);
        let Some((provider, at)) = provider else {
            let file = token_file.as_ref().map(|(_, at)| at);
            let id = zone_id.as_ref().map(|(_, at)| at);
            let used = [file, id, first(zones.as_deref()), first(names.as_deref())];
            if let Some(at) = used.into_iter().flatten().next() {
                let hint = "set provider, token_file and zones as well, or remove the table";
                section.mistake(at, Problem::new("incomplete", "is set without provider", hint));
            }
            return None;
        };
        let token_file = found(&mut section, &at, "token_file", token_file);
        let zones = found(&mut section, &at, "zones", zones);
        let (token_file, file_at) = token_file?;
        let token = SecretSource::File(token_file);
        check_file(&mut section, &token, &file_at, check_token);
        let listed = |list: Vec<(ResolverAddress, At)>| list.into_iter().map(|(resolver, _)| resolver).collect();
        Some(Self {
            provider,
            token,
            zone_id: zone_id.map(|(id, _)| id),
            zones: zones?.into_iter().map(|(zone, _)| zone).collect(),
            names: names.unwrap_or_default().into_iter().map(|(name, _)| name).collect(),
            resolvers: resolvers.map_or_else(public_resolvers, listed),
            authority_port: u16::try_from(port).unwrap_or(PORT),
            propagation_timeout: timeout,
            propagation_wait: wait,
        })
    }

    /// Reads the credential from its file.
    ///
    /// # Errors
    /// [`SecretError`] when the file cannot be read or is not text.
    pub fn read_token(&self) -> Result<Secret, SecretError> {
        self.token.read()
    }
}

impl fmt::Debug for AcmeDns {
    /// A credential written in place of its file is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcmeDns")
            .field("provider", &self.provider)
            .field("zones", &self.zones)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// What the provider cannot do without.
fn found<T>(section: &mut Section<'_>, provider: &At, key: &str, found: Option<T>) -> Option<T> {
    if found.is_none() {
        let hint = format!("set {key} as well, or remove the table");
        section.mistake(provider, Problem::new("incomplete", format!("is set without {key}"), hint));
    }
    found
}

/// Where the first item of a list stands.
fn first<T>(list: Option<&[(T, At)]>) -> Option<&At> {
    list?.first().map(|(_, at)| at)
}

fn check_token(text: &str) -> Result<(), Problem> {
    let hint = "put the credential into the file, in the form that docs/dns-providers.md shows";
    match text.is_empty() {
        true => Err(Problem::new("empty", "the file is empty", hint)),
        false => Ok(()),
    }
}

fn parse_provider(text: &str) -> Result<&'static str, Problem> {
    choose(text, &AcmeDns::PROVIDERS.map(|key| (key, key)))
}

fn parse_id(text: &str) -> Result<String, Problem> {
    match text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        true => Err(Problem::new("bad_value", "is empty or holds white space", "write it as the provider shows it")),
        false => Ok(text.to_owned()),
    }
}

fn parse_zone(text: &str) -> Result<Hostname, Problem> {
    let hint = "write a domain name such as \"acme.example.com\"";
    text.parse().map_err(|error| Problem::new("bad_name", format!("`{text}` is no domain: {error}"), hint))
}

fn parse_name(text: &str) -> Result<Subject, Problem> {
    let hint = "write a hostname or a wildcard such as \"*.apps.example.com\"";
    text.parse().map_err(|error| Problem::new("bad_name", format!("`{text}` cannot be certified: {error}"), hint))
}
