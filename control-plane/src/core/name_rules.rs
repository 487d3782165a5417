//! Which hostnames may be claimed, beyond being hostnames: not ours, somebody's to own, and such as the edges can get a
//! certificate for.

use names::{Hostname, is_public};

use super::{CoreError, CoreSettings, Kind};

/// Most labels of a name that Let's Encrypt certifies.
const MAX_LABELS: usize = 10;

/// Why a hostname may not be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameRule {
    /// It is below no top-level domain of the public DNS.
    #[error("it is outside the public DNS, where no public authority certifies")]
    NotPublic,
    /// It is a public suffix.
    #[error("it is a public suffix, which nobody can own")]
    PublicSuffix,
    /// It is one of the operator's.
    #[error("it belongs to this platform")]
    Reserved,
    /// A label with hyphens in its third and fourth place that is no A-label (R-LDH, RFC 5890 section 2.3.1). The
    /// Baseline Requirements of the CA/Browser Forum forbid it.
    #[error("a label with hyphens in its third and fourth place is reserved, and no public authority certifies it")]
    ReservedLabel,
    /// More than ten labels.
    #[error("it has more than {MAX_LABELS} labels, more than public authorities certify")]
    TooManyLabels,
}

impl NameRule {
    /// A stable word for API error codes.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotPublic => "not_public",
            Self::PublicSuffix => "public_suffix",
            Self::Reserved => "reserved",
            Self::ReservedLabel => "reserved_label",
            Self::TooManyLabels => "too_many_labels",
        }
    }
}

/// A hostname that may be claimed, and where it stands in its zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claimable {
    pub(crate) hostname: Hostname,
    pub(crate) kind: Kind,
    /// The registrable domain.
    pub(crate) apex: String,
}

/// Looks at a text that shall become a claim.
pub(crate) fn claimable(text: &str, settings: &CoreSettings) -> Result<Claimable, CoreError> {
    let hostname = Hostname::parse(text.trim()).map_err(CoreError::BadHostname)?;
    if is_reserved(&hostname, settings) {
        return Err(CoreError::NameRefused(NameRule::Reserved));
    }
    let Some(apex) = names::registrable(&hostname) else {
        return Err(CoreError::NameRefused(NameRule::PublicSuffix));
    };
    if settings.public_authority {
        check_certifiable(&hostname, settings.dev).map_err(CoreError::NameRefused)?;
    }
    let kind = if apex == hostname.as_str() { Kind::Apex } else { Kind::Subdomain };
    let apex = apex.to_owned();
    Ok(Claimable { hostname, kind, apex })
}

/// What a public authority would refuse, told before anybody publishes a record for it.
fn check_certifiable(hostname: &Hostname, dev: bool) -> Result<(), NameRule> {
    let labels = || hostname.as_str().split('.');
    if labels().any(|label| label.get(2..4) == Some("--") && !label.starts_with("xn")) {
        return Err(NameRule::ReservedLabel);
    }
    if labels().count() > MAX_LABELS {
        return Err(NameRule::TooManyLabels);
    }
    match dev || names::is_below_public_suffix(hostname) {
        true => Ok(()),
        false => Err(NameRule::NotPublic),
    }
}

fn is_reserved(hostname: &Hostname, settings: &CoreSettings) -> bool {
    let ours = std::iter::once(&settings.edge.cname).chain(&settings.reserved);
    ours.filter(|name| !name.is_empty()).any(|name| {
        let rest = hostname.as_str().strip_suffix(name.trim_end_matches('.'));
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// `http://host[:port]` or `https://host[:port]`, nothing else: paths and credentials have no place in an origin.
pub(crate) fn check_origin(text: &str, pointer: &str, dev: bool) -> Result<(), CoreError> {
    let refuse = |detail: &str| Err(CoreError::invalid(pointer, detail));
    // The parser drops them silently, wherever they stand.
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return refuse("an origin has no spaces and no control characters");
    }
    let Ok(url) = url::Url::parse(text) else { return refuse("not a URL") };
    if !matches!(url.scheme(), "http" | "https") {
        return refuse("an origin begins with http:// or https://");
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return refuse("an origin has no path and no query");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("an origin has no user and no password");
    }
    let is_public = match url.host() {
        None => return refuse("an origin has a host"),
        Some(url::Host::Domain(name)) => !matches!(name, "localhost") && !name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => is_public(ip.into()),
        Some(url::Host::Ipv6(ip)) => is_public(ip.into()),
    };
    if is_public || dev { Ok(()) } else { refuse("an origin may not be a private or loopback address") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_nobody_can_own_are_refused() {
        let mut settings = CoreSettings::default();
        settings.edge.cname = "edge.namegate.com".to_owned();
        // As a zone file has it, and as nobody has it.
        settings.reserved = vec!["corp.example.com.".to_owned(), String::new()];
        for text in ["corp.example.com", "a.corp.example.com"] {
            assert!(matches!(claimable(text, &settings), Err(CoreError::NameRefused(NameRule::Reserved))), "{text}");
        }
        for text in ["co.uk", "github.io", "edge.namegate.com", "a.edge.namegate.com", "1.2.3.4", "*.a.example"] {
            assert!(claimable(text, &settings).is_err(), "{text}");
        }
        let kind = |text| claimable(text, &settings).unwrap().kind;
        assert_eq!(kind("customer.co.uk"), Kind::Apex);
        assert_eq!(kind("app.customer.co.uk"), Kind::Subdomain);
        assert_eq!(kind("acme.github.io"), Kind::Apex);
        assert_eq!(kind("notedge.namegate.com"), Kind::Subdomain);
    }

    #[test]
    fn an_origin_is_a_scheme_and_an_authority() {
        for text in ["https://app.example", "http://app.example:8080", "https://app.example/", "http://93.184.216.34"] {
            assert!(check_origin(text, "/origin", false).is_ok(), "{text}");
        }
        for text in [
            "ftp://a.example",
            "a.example",
            "https://a.example/x",
            "https://u:p@a.example",
            "http://127.0.0.1",
            "http://10.1.2.3",
            "http://[::1]",
            "http://[::ffff:10.0.0.1]",
            "http://100.64.0.1",
            "http://localhost:3000",
        ] {
            assert!(check_origin(text, "/origin", false).is_err(), "{text}");
        }
        assert!(check_origin("http://127.0.0.1:3000", "/origin", true).is_ok());
    }
}
