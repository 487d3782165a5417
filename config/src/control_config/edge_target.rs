//! `[edge]`: where customers point their names, and what edges show.

use std::{net::IpAddr, path::PathBuf};

use names::Hostname;

use crate::{
    disk,
    mistake::Problem,
    section::{Disk, Empty, Walk},
};

/// The edges as customers and the control plane see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeTarget {
    /// The target of customers' CNAME records.
    pub cname: Hostname,
    /// For names that cannot have a CNAME; empty where no address is fixed.
    pub addresses: Vec<IpAddr>,
    /// Names of ours that nobody may claim, nor anything below them.
    pub reserved: Vec<Hostname>,
    /// File with the token that edges show; without one they are refused the feed, the snapshot and reports.
    pub token_file: Option<PathBuf>,
    /// Whether edges report certificates.
    pub reports: bool,
}

impl EdgeTarget {
    /// `None` when the CNAME target is missing or wrong; the walk then has the mistake.
    pub(crate) fn read(walk: &mut Walk) -> Option<Self> {
        let mut section = walk.section("edge");
        let cname = section.text("cname", parse_name);
        let addresses = section.list("addresses", Empty::Allowed, parse_ip).unwrap_or_default();
        let reserved = section.list("reserved", Empty::Allowed, parse_name).unwrap_or_default();
        let token_file = section.path("token_file").ok().flatten();
        let reports = section.boolean("reports", true);
        if let (Some((path, at)), Disk::Look) = (&token_file, section.disk())
            && let Err(problem) = disk::check_token(path)
        {
            section.mistake(at, problem);
        }
        if cname == Ok(None) {
            let hint = "set it to the name that customers point theirs at, such as \"edge.saas.example\"";
            section.missing("cname", hint.to_owned());
        }
        let (cname, _) = cname.ok().flatten()?;
        Some(Self {
            cname,
            addresses: addresses.into_iter().map(|(ip, _)| ip).collect(),
            reserved: reserved.into_iter().map(|(name, _)| name).collect(),
            token_file: token_file.map(|(path, _)| path),
            reports,
        })
    }
}

pub(super) fn parse_name(text: &str) -> Result<Hostname, Problem> {
    Hostname::parse(text).map_err(|error| {
        let hint = "write a whole name with a dot in it, such as \"edge.saas.example\"";
        Problem::new("bad_name", format!("`{text}` is not a hostname: {error}"), hint)
    })
}

fn parse_ip(text: &str) -> Result<IpAddr, Problem> {
    text.parse().map_err(|_| {
        let hint = "write IPv4 or IPv6 addresses without a port";
        Problem::new("bad_address", format!("`{text}` is not an IP address"), hint)
    })
}
