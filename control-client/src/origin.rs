//! [`Origin`]: where the requests of a connection go, as `http://host[:port]` or `https://host[:port]`.
//!
//! The parser is stricter than a URL parser on purpose: what it accepts has one reading only. A URL parser reads
//! `http://1.2.3` as 1.2.0.3, drops tabs, and takes `\` for `/`; here all of these are errors.

use std::{fmt, net::IpAddr, str::FromStr, sync::Arc};

use names::{MAX_HOSTNAME, MAX_LABEL};
use url::Url;

/// How an origin is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain text.
    Http,
    /// TLS, verified.
    Https,
}

impl Scheme {
    /// The port that the scheme implies.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// `http` or `https`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// The host of an origin.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address, IPv4 or IPv6.
    Ip(IpAddr),
    /// A name for the resolver; one label and underscores are fine here (`localhost`, a container's name).
    Name(String),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Where requests go. Immutable; its authority text is made once, since every request sends it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: Scheme,
    host: Host,
    port: u16,
    authority: Arc<str>,
}

/// Why a text is not an [`Origin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// Something beside scheme, host and port: a path, a query, a fragment, a user.
    #[error("an origin is scheme, host and port; no path, query or user")]
    Extra,
    /// No host, or one that is neither a name nor an address in its usual spelling.
    #[error("the host of the origin is neither a name nor an IP address")]
    Host,
    /// An empty port, 0, or more than 65535.
    #[error("the port of the origin is not between 1 and 65535")]
    Port,
    /// Neither `http://` nor `https://`.
    #[error("an origin starts with http:// or https://")]
    Scheme,
}

impl Origin {
    /// Joins checked parts.
    fn new(scheme: Scheme, host: Host, port: u16) -> Self {
        let authority = match port == scheme.default_port() {
            true => host.to_string(),
            false => format!("{host}:{port}"),
        };
        Self { scheme, host, port, authority: authority.into() }
    }

    /// How to speak to it.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Name or address.
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port, given or implied.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The text for a `Host` header: `host`, or `host:port` when the port is not the scheme's own.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let (scheme, rest) = split_scheme(text).ok_or(OriginError::Scheme)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@']) {
            return Err(OriginError::Extra);
        }
        let (host, port) = split_port(authority)?;
        let port = port.map_or_else(|| Ok(scheme.default_port()), parse_port)?;
        Ok(Self::new(scheme, parse_host(host)?, port))
    }
}

fn split_scheme(text: &str) -> Option<(Scheme, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    match scheme {
        _ if scheme.eq_ignore_ascii_case("http") => Some((Scheme::Http, rest)),
        _ if scheme.eq_ignore_ascii_case("https") => Some((Scheme::Https, rest)),
        _ => None,
    }
}

/// Splits at the colon of the port; the colons of a bracketed IPv6 address are not it.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), OriginError> {
    let after_host = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let (_, tail) = authority.split_at(after_host);
    let Some(colon) = tail.find(':') else { return Ok((authority, None)) };
    let (host, port) = authority.split_at(after_host + colon);
    Ok((host, port.strip_prefix(':')))
}

fn parse_port(text: &str) -> Result<u16, OriginError> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let port = digits.then(|| text.parse::<u16>().ok()).flatten();
    port.filter(|port| *port != 0).ok_or(OriginError::Port)
}

fn parse_host(text: &str) -> Result<Host, OriginError> {
    if let Some(inner) = text.strip_prefix('[') {
        let ip = inner.strip_suffix(']').and_then(|ip| ip.parse().ok());
        return ip.map(|ip| Host::Ip(IpAddr::V6(ip))).ok_or(OriginError::Host);
    }
    if let Ok(ip) = text.parse() {
        return Ok(Host::Ip(IpAddr::V4(ip)));
    }
    parse_name(text).map(Host::Name)
}

fn parse_name(text: &str) -> Result<String, OriginError> {
    let ascii = url::Host::parse(text).map_err(|_| OriginError::Host)?;
    // Numbers in other clothes (`1.2.3`, `0x7f.1`) are an address to a URL parser; nobody writes them in good faith.
    let url::Host::Domain(name) = ascii else { return Err(OriginError::Host) };
    let label = |label: &str| {
        let edge = label.starts_with('-') || label.ends_with('-');
        let bytes = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        !label.is_empty() && label.len() <= MAX_LABEL && bytes && !edge
    };
    match name.len() <= MAX_HOSTNAME && !text.contains('%') && name.split('.').all(label) {
        true => Ok(name),
        false => Err(OriginError::Host),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads the URL that every request is redirected to: absolute, http or https, no query, fragment or user, since the
/// request's own path and query follow it. Returned without its last slash, so that appending never makes `//`.
pub(crate) fn parse_redirect(text: &str) -> Option<Arc<str>> {
    let plain = split_scheme(text).is_some() && !text.contains(['?', '#', '@', '\\']);
    let clean = plain && !text.contains(|c: char| c.is_ascii_control() || c.is_whitespace());
    let url = clean.then(|| Url::parse(text).ok()).flatten()?;
    url.host_str().filter(|host| !host.is_empty())?;
    let text = url.as_str();
    Some(text.strip_suffix('/').unwrap_or(text).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_one_reading() {
        const CASES: &[(&str, &str, u16, &str)] = &[
            ("http://127.0.0.1:3000", "127.0.0.1", 3000, "127.0.0.1:3000"),
            ("http://127.0.0.1", "127.0.0.1", 80, "127.0.0.1"),
            ("https://app.example", "app.example", 443, "app.example"),
            ("https://app.example/", "app.example", 443, "app.example"),
            ("https://app.example:443", "app.example", 443, "app.example"),
            ("https://app.example:80", "app.example", 80, "app.example:80"),
            ("http://app.example:443", "app.example", 443, "app.example:443"),
            ("HTTP://App.Example:8080", "app.example", 8080, "app.example:8080"),
            ("http://localhost:3000", "localhost", 3000, "localhost:3000"),
            ("http://my_app:3000", "my_app", 3000, "my_app:3000"),
            ("http://bücher.example", "xn--bcher-kva.example", 80, "xn--bcher-kva.example"),
            ("http://[::1]:3000", "[::1]", 3000, "[::1]:3000"),
            ("https://[2001:DB8::1]", "[2001:db8::1]", 443, "[2001:db8::1]"),
        ];
        for (text, host, port, authority) in CASES {
            let origin: Origin = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(origin.host().to_string(), *host, "{text}");
            assert_eq!((origin.port(), origin.authority()), (*port, *authority), "{text}");
            assert_eq!(origin.to_string().parse::<Origin>(), Ok(origin), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_origin_are_refused_with_the_reason() {
        const CASES: &[(&str, OriginError)] = &[
            ("", OriginError::Scheme),
            ("app.example", OriginError::Scheme),
            ("app.example:80", OriginError::Scheme),
            ("ftp://app.example", OriginError::Scheme),
            (" http://app.example", OriginError::Scheme),
            ("http:/app.example", OriginError::Scheme),
            ("http:app.example", OriginError::Scheme),
            ("http:\\\\app.example", OriginError::Scheme),
            ("http://", OriginError::Host),
            ("http:///", OriginError::Host),
            ("http://:80", OriginError::Host),
            ("http://app.example\\", OriginError::Host),
            ("http://app.example ", OriginError::Host),
            ("http://app\t.example", OriginError::Host),
            ("http://app..example", OriginError::Host),
            ("http://app.example.", OriginError::Host),
            ("http://-app.example", OriginError::Host),
            ("http://%61pp.example", OriginError::Host),
            ("http://1.2.3", OriginError::Host),
            ("http://0x7f.1", OriginError::Host),
            ("http://2130706433", OriginError::Host),
            ("http://::1", OriginError::Port),
            ("http://[::1", OriginError::Port),
            ("http://[::1]x:80", OriginError::Host),
            ("http://[fe80::1%eth0]", OriginError::Host),
            ("http://[1.2.3.4]", OriginError::Host),
            ("http://app.example:", OriginError::Port),
            ("http://app.example:0", OriginError::Port),
            ("http://app.example:65536", OriginError::Port),
            ("http://app.example:+80", OriginError::Port),
            ("http://app.example:80:80", OriginError::Port),
            ("http://app.example/path", OriginError::Extra),
            ("http://app.example//", OriginError::Extra),
            ("http://app.example?a=b", OriginError::Extra),
            ("http://app.example#a", OriginError::Extra),
            ("http://user@app.example", OriginError::Extra),
            ("http://@app.example", OriginError::Extra),
            ("http://user:secret@app.example", OriginError::Extra),
        ];
        for (text, error) in CASES {
            assert_eq!(text.parse::<Origin>().map(|o| o.to_string()), Err(*error), "{text}");
        }
    }

    #[test]
    fn a_redirect_is_an_absolute_url_that_a_path_can_follow() {
        const CASES: &[(&str, Option<&str>)] = &[
            ("https://new.example", Some("https://new.example")),
            ("https://new.example/", Some("https://new.example")),
            ("https://New.Example/base/", Some("https://new.example/base")),
            ("http://new.example:8080/base", Some("http://new.example:8080/base")),
            ("https://new.example/?a=b", None),
            ("https://new.example/#top", None),
            ("https://user@new.example/", None),
            ("https://new.example/\r\nSet-Cookie: a=b", None),
            ("//new.example", None),
            ("/path", None),
            ("javascript://new.example", None),
            ("https://", None),
        ];
        for (text, redirect) in CASES {
            assert_eq!(parse_redirect(text).as_deref(), *redirect, "{text}");
        }
    }
}
