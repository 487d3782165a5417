//! `[acme]`: who issues certificates, and as whom we ask.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
};

use url::Url;

use crate::{
    acme_dns::AcmeDns,
    acme_limits::AcmeLimits,
    acme_preflight::{AcmePreflight, PreflightChecks},
    choice::choose,
    disk,
    mistake::{At, Problem},
    section::{Disk, Empty, Section, Walk},
    web::parse_https_url,
};

/// The certificate authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// Which kind of issuer.
    pub issuer: IssuerKind,
    /// ACME directories in the order of preference; never empty when the issuer is [`IssuerKind::Acme`].
    pub directory: Vec<Url>,
    /// `mailto:` URLs for the accounts.
    pub contact: Vec<String>,
    /// PEM file of the roots to trust *instead of* the system's when talking to the directories.
    pub ca_root: Option<PathBuf>,
    /// External account binding, for authorities that want one.
    pub eab: Option<Eab>,
    /// Certificate profile to ask for, such as `shortlived`.
    pub profile: Option<String>,
    /// Proof by DNS-01.
    pub dns: Option<AcmeDns>,
    /// What is looked at before an order.
    pub preflight: AcmePreflight,
    /// What the directories granted.
    pub limits: AcmeLimits,
}

/// Who signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuerKind {
    /// An ACME authority.
    Acme,
    /// A private authority of this edge, for development and private names.
    Internal,
}

/// An external account binding (RFC 8555 section 7.3.4). The key stays in its file until it is used.
#[derive(Clone, PartialEq, Eq)]
pub struct Eab {
    /// The key identifier that the authority gave.
    pub key_id: String,
    hmac_file: PathBuf,
}

/// Where certificates come from when nothing else is said.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

impl Acme {
    /// `None` when no directory is known; the walk then has the mistake.
    pub(crate) fn read(walk: &mut Walk) -> Option<Self> {
        let mut section = walk.section("acme");
        let issuer = section.text("issuer", parse_issuer).ok().flatten().map_or(IssuerKind::Acme, |(kind, _)| kind);
        let directory = read_directory(&mut section, issuer);
        let contact = section.list("contact", Empty::Allowed, parse_contact).unwrap_or_default();
        let ca_root = section.path("ca_root").ok().flatten().map(|root| disk::check_roots(&mut section, root));
        let eab = read_eab(&mut section);
        let profile = section.text("profile", parse_token).ok().flatten().map(|(profile, _)| profile);
        let contact = contact.into_iter().map(|(contact, _)| contact).collect();
        drop(section);
        let dns = AcmeDns::read(walk);
        // A private authority sees names and addresses that the world does not.
        let checks = if ca_root.is_some() { PreflightChecks::Off } else { PreflightChecks::Full };
        let preflight = AcmePreflight::read(walk, checks);
        let limits = AcmeLimits::read(walk);
        Some(Self { issuer, directory: directory?, contact, ca_root, eab, profile, dns, preflight, limits })
    }
}

impl Eab {
    /// Reads the HMAC key from its file, where it stands in base64url.
    ///
    /// # Errors
    /// [`EabError`](crate::EabError) when the file cannot be read or is not base64url.
    pub fn read_hmac_key(&self) -> Result<Vec<u8>, disk::EabError> {
        disk::read_hmac_key(&self.hmac_file)
    }
}

impl fmt::Debug for Eab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An operator may have put the key itself where its file belongs.
        f.debug_struct("Eab").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

fn read_directory(section: &mut Section<'_>, issuer: IssuerKind) -> Option<Vec<Url>> {
    let empty = match issuer {
        IssuerKind::Acme => Empty::Refused("name a directory, or remove the key to use Let's Encrypt"),
        IssuerKind::Internal => Empty::Allowed,
    };
    let Some(written) = section.list("directory", empty, parse_https_url) else {
        return Url::parse(LETS_ENCRYPT).ok().map(|url| vec![url]);
    };
    let mut seen = BTreeSet::new();
    for (url, at) in &written {
        if !seen.insert(url) {
            section.mistake(at, Problem::new("duplicate", "is listed twice", "remove one of the two"));
        }
    }
    Some(written.into_iter().map(|(url, _)| url).collect())
}

fn read_eab(section: &mut Section<'_>) -> Option<Eab> {
    let key_id = section.text("eab_key_id", parse_token);
    let hmac_file = section.path("eab_hmac_file");
    match (key_id.ok()?, hmac_file.ok()?) {
        (Some((key_id, _)), Some((hmac_file, at))) => {
            check_hmac_file(section, &hmac_file, &at);
            Some(Eab { key_id, hmac_file })
        }
        (Some((_, at)), None) => incomplete(section, &at, "eab_hmac_file"),
        (None, Some((_, at))) => incomplete(section, &at, "eab_key_id"),
        (None, None) => None,
    }
}

fn check_hmac_file(section: &mut Section<'_>, file: &Path, at: &At) {
    if section.disk() == Disk::Untouched {
        return;
    }
    if let Err(error) = disk::read_hmac_key(file) {
        section.mistake(at, error.problem());
    }
}

fn incomplete(section: &mut Section<'_>, at: &At, other: &str) -> Option<Eab> {
    let hint = format!("set {other} as well, or remove both");
    section.mistake(at, Problem::new("incomplete", format!("is set without {other}"), hint));
    None
}

fn parse_issuer(text: &str) -> Result<IssuerKind, Problem> {
    choose(text, &[("acme", IssuerKind::Acme), ("internal", IssuerKind::Internal)])
}

fn parse_contact(text: &str) -> Result<String, Problem> {
    let problem = |hint: String| Problem::new("bad_contact", format!("`{text}` is not one mailto: address"), hint);
    let Some(address) = text.strip_prefix("mailto:") else {
        return Err(match is_mail_address(text) {
            true => problem(format!("write \"mailto:{text}\"")),
            false => problem("write \"mailto:name@host\"".to_owned()),
        });
    };
    match is_mail_address(address) {
        true => Ok(text.to_owned()),
        false => Err(problem("write \"mailto:name@host\", one address in each string".to_owned())),
    }
}

/// As strict as RFC 8555 section 7.3: one address, no header fields; whether it takes mail is the authority's to say.
fn is_mail_address(text: &str) -> bool {
    let Some((name, host)) = text.split_once('@') else { return false };
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | '?' | '@' | ':' | '/');
    !name.is_empty() && !host.is_empty() && !name.contains(is_odd) && !host.contains(is_odd)
}

fn parse_token(text: &str) -> Result<String, Problem> {
    match text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        true => Err(Problem::new("bad_value", "is empty or holds white space", "write it as the authority gave it")),
        false => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_one_mailto_address() {
        assert!(parse_contact("mailto:ops@saas.example").is_ok());
        for text in ["", "ops@saas.example", "mailto:", "mailto:ops", "mailto:a@b,c@d", "mailto:a@b?subject=x", "tel:1"]
        {
            assert_eq!(parse_contact(text).unwrap_err().code, "bad_contact", "{text}");
        }
        assert_eq!(parse_contact("ops@saas.example").unwrap_err().hint, "write \"mailto:ops@saas.example\"");
    }

    #[test]
    fn a_key_written_in_place_of_its_file_is_not_shown() {
        let eab = Eab { key_id: "kid-1".to_owned(), hmac_file: "c2VjcmV0".into() };
        assert_eq!(format!("{eab:?}"), "Eab { key_id: \"kid-1\", .. }");
    }
}
