//! `[domain_connect]`: as whom we are known at DNS providers that take templates.

use std::path::PathBuf;

use names::Hostname;

use super::{Mode, edge_target::parse_name};
use crate::{
    disk,
    mistake::Problem,
    section::{Disk, Section, Walk},
    web::{parse_https_url, parse_origin},
};

/// Longest id or name.
const MAX_TEXT: usize = 100;

/// As whom we are known at DNS providers that take templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainConnect {
    /// Our id there: a domain of ours.
    pub provider_id: Hostname,
    /// Our name for people.
    pub provider_name: String,
    /// The service's name for people.
    pub service_name: String,
    /// The template for names below the top of a zone.
    pub service_id: String,
    /// The template for the top itself.
    pub apex_service_id: String,
    /// A picture of the service.
    pub logo_url: Option<String>,
    /// File with the key that signs.
    pub key_file: PathBuf,
    /// The label of the public key's records.
    pub key_host: String,
    /// The domain that they stand in.
    pub key_domain: Hostname,
    /// Where browsers reach this API: scheme, host and port.
    pub public_url: String,
    /// Roots to trust at providers instead of the machine's.
    pub ca_root: Option<PathBuf>,
}

impl DomainConnect {
    /// `None` when it is off, or something is wrong with it; the walk then has the mistake.
    pub(crate) fn read(walk: &mut Walk, mode: Mode) -> Option<Self> {
        let mut section = walk.section("domain_connect");
        let provider_id = section.text("provider_id", parse_name).ok().flatten();
        let provider_name = text(&mut section, "provider_name", parse_shown);
        let service_name = text(&mut section, "service_name", parse_shown);
        let service_id = text(&mut section, "service_id", parse_id).unwrap_or_else(|| "hostname".to_owned());
        let apex = text(&mut section, "apex_service_id", parse_id).unwrap_or_else(|| "hostname-apex".to_owned());
        let logo_url = text(&mut section, "logo_url", |text| parse_https_url(text).map(String::from));
        let key_file = section.path("key_file");
        let key_host = text(&mut section, "key_host", parse_label).unwrap_or_else(|| "_dck1".to_owned());
        let key_domain = section.text("key_domain", parse_name).ok().flatten();
        let public_url = section.text("public_url", |text| parse_public(text, mode));
        let ca_root = section.path("ca_root").ok().flatten().map(|root| disk::check_roots(&mut section, root));
        if let (Ok(Some((path, at))), Disk::Look) = (&key_file, section.disk())
            && let Err(problem) = disk::check_private_key(path)
        {
            section.mistake(at, problem);
        }
        let (provider_id, _) = provider_id?;
        if key_file == Ok(None) {
            let hint = "name a file that holds what `namegate-control domain-connect generate-key` prints";
            section.missing("key_file", hint.to_owned());
        }
        if public_url == Ok(None) {
            let hint = "set it to where browsers reach this API, such as \"https://connect.saas.example\"";
            section.missing("public_url", hint.to_owned());
        }
        Some(Self {
            provider_name: provider_name.unwrap_or_else(|| provider_id.to_string()),
            service_name: service_name.unwrap_or_else(|| "Your own hostname".to_owned()),
            service_id,
            apex_service_id: apex,
            logo_url,
            key_file: key_file.ok().flatten()?.0,
            key_host,
            key_domain: key_domain.map_or_else(|| provider_id.clone(), |(domain, _)| domain),
            public_url: public_url.ok().flatten()?.0,
            ca_root,
            provider_id,
        })
    }
}

fn text<T>(section: &mut Section<'_>, key: &'static str, check: impl FnOnce(&str) -> Result<T, Problem>) -> Option<T> {
    section.text(key, check).ok().flatten().map(|(found, _)| found)
}

fn parse_shown(text: &str) -> Result<String, Problem> {
    let is_line = !text.trim().is_empty() && text.chars().count() <= MAX_TEXT && !text.contains(char::is_control);
    match is_line {
        true => Ok(text.trim().to_owned()),
        false => {
            Err(Problem::new("bad_name", "is not a name", format!("write between 1 and {MAX_TEXT} visible characters")))
        }
    }
}

/// Ids stand in paths and file names.
fn parse_id(text: &str) -> Result<String, Problem> {
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match !text.is_empty() && text.len() <= MAX_TEXT && text.bytes().all(is_id) {
        true => Ok(text.to_owned()),
        false => {
            Err(Problem::new("bad_name", "is not the id of a template", "write letters, digits, `-` and `_` only"))
        }
    }
}

fn parse_label(text: &str) -> Result<String, Problem> {
    let is_label = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match !text.is_empty() && text.len() <= MAX_TEXT && text.bytes().all(is_label) && !text.starts_with('.') {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(Problem::new(
            "bad_name",
            "is not a label",
            "write the first part of a record's name, such as \"_dck1\"",
        )),
    }
}

fn parse_public(text: &str, mode: Mode) -> Result<String, Problem> {
    let origin = parse_origin(text)?;
    match mode == Mode::Development || origin.starts_with("https://") {
        true => Ok(origin),
        false => {
            Err(Problem::new("insecure", "must be an https URL", "write https://; customers' browsers come back there"))
        }
    }
}
