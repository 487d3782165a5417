//! Which URLs may be told: `https` to a name outside development, anything over HTTP in it.
//!
//! This is the rule for the text alone. What the name resolves to is looked at when it is dialled, each time
//! ([`webhooks`](crate::webhooks)): a name that was public yesterday may be `127.0.0.1` today.

use super::CoreError;

/// Longest URL.
const MAX_URL: usize = 2048;

/// Looks at the URL of an endpoint.
pub(crate) fn check_target(text: &str, dev: bool) -> Result<(), CoreError> {
    match refusal(text, dev) {
        None => Ok(()),
        Some(detail) => Err(CoreError::invalid("/url", detail)),
    }
}

fn refusal(text: &str, dev: bool) -> Option<&'static str> {
    if text.len() > MAX_URL {
        return Some("a webhook URL has at most 2048 characters");
    }
    let Ok(url) = url::Url::parse(text) else { return Some("not a URL") };
    let is_spoken = url.scheme() == "https" || (dev && url.scheme() == "http");
    if !is_spoken {
        return Some("a webhook URL begins with https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("a webhook URL has no user and no password");
    }
    if url.fragment().is_some() {
        return Some("a webhook URL has no fragment");
    }
    match url.host() {
        None => Some("a webhook URL has a host"),
        Some(_) if dev => None,
        Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => Some("a webhook URL names its host; an address is refused"),
        // One label is a name of somebody's own network.
        Some(url::Host::Domain(name)) if !is_of_the_internet(name) => Some("the host is a name of a private network"),
        Some(url::Host::Domain(_)) => None,
    }
}

/// Names that can only be somebody's own: one label, or under a top-level name that is reserved for that
/// (RFC 6761, RFC 6762, RFC 8375, and ICANN's `internal`).
fn is_of_the_internet(name: &str) -> bool {
    const OWN: [&str; 6] = ["arpa", "internal", "invalid", "local", "localhost", "onion"];
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let Some((_, top)) = name.rsplit_once('.') else { return false };
    !OWN.contains(&top)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_development_only_https_to_a_name_of_the_internet_may_be_told() {
        for text in
            ["https://hooks.acme.example/in?x=1", "https://hooks.acme.example:8443/", "https://b\u{fc}cher.example"]
        {
            assert_eq!(refusal(text, false), None, "{text}");
        }
        for text in [
            "",
            "hooks.acme.example",
            "http://hooks.acme.example/in",
            "ftp://hooks.acme.example",
            "https://u:p@hooks.acme.example",
            "https://hooks.acme.example/#a",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://93.184.216.34/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[2606:4700::1111]/",
            "https://localhost/",
            "https://a.localhost./",
            "https://metadata/",
            "https://metadata.google.internal/",
            "https://printer.local/",
        ] {
            assert!(refusal(text, false).is_some(), "{text}");
        }
        assert!(refusal(&format!("https://a.example/{}", "x".repeat(MAX_URL)), false).is_some());
    }

    #[test]
    fn in_development_every_host_may_be_told_over_http() {
        for text in ["http://127.0.0.1:9000/in", "http://localhost:9000", "https://[::1]/", "http://hooks:80/"] {
            assert_eq!(refusal(text, true), None, "{text}");
        }
        assert!(refusal("ftp://localhost/", true).is_some());
    }
}
