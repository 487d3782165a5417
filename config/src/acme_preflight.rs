//! `[acme.preflight]`: what is looked at before an order is placed.

use std::time::Duration;

use crate::{
    choice::choose,
    mistake::Problem,
    resolver::{PORT, ResolverAddress, parse_resolver, public_resolvers},
    section::{Empty, Section, Walk},
};

/// How a name is looked at before an order that would be proven on this edge's ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmePreflight {
    /// How much is looked at.
    pub checks: PreflightChecks,
    /// Whom to ask; never empty.
    pub resolvers: Vec<ResolverAddress>,
    /// Port of the zones' own servers.
    pub authority_port: u16,
    /// Port at which authorities look for HTTP-01.
    pub http_port: u16,
    /// Port at which they look for TLS-ALPN-01.
    pub https_port: u16,
    /// Looks at once.
    pub in_flight: usize,
    /// How long one may take.
    pub timeout: Duration,
}

/// How much is looked at before an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreflightChecks {
    /// Addresses and CAA records.
    Dns,
    /// The same, and whether a request to the name's addresses comes back to this edge.
    Full,
    /// Nothing.
    Off,
}

const HTTP: u16 = 80;
const HTTPS: u16 = 443;
const IN_FLIGHT: usize = 64;
const TIMEOUT: Duration = Duration::from_secs(3);

impl AcmePreflight {
    /// `checks` when nothing is said.
    pub(crate) fn read(walk: &mut Walk, checks: PreflightChecks) -> Self {
        let mut section = walk.section("acme.preflight");
        let checks = section.text("checks", parse_checks).ok().flatten().map_or(checks, |(checks, _)| checks);
        let hint = "name a resolver, or remove the key for the public ones";
        let resolvers = section.list("resolvers", Empty::Refused(hint), parse_resolver);
        let listed = |list: Vec<(ResolverAddress, _)>| list.into_iter().map(|(resolver, _)| resolver).collect();
        Self {
            checks,
            resolvers: resolvers.map_or_else(public_resolvers, listed),
            authority_port: port(&mut section, "authority_port", PORT),
            http_port: port(&mut section, "http_port", HTTP),
            https_port: port(&mut section, "https_port", HTTPS),
            in_flight: section.quantity("in_flight", (1, 10_000), IN_FLIGHT),
            timeout: section.quantity("timeout", (Duration::from_millis(100), Duration::from_mins(1)), TIMEOUT),
        }
    }
}

fn port(section: &mut Section<'_>, key: &'static str, default: u16) -> u16 {
    let port = section.quantity::<usize>(key, (1, usize::from(u16::MAX)), usize::from(default));
    u16::try_from(port).unwrap_or(default)
}

fn parse_checks(text: &str) -> Result<PreflightChecks, Problem> {
    choose(text, &[("dns", PreflightChecks::Dns), ("full", PreflightChecks::Full), ("off", PreflightChecks::Off)])
}
