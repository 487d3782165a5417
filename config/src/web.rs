//! URLs that keys take. No message repeats a URL: its user part or query may be a secret.

use url::{ParseError, Url};

use crate::mistake::Problem;

const START: &str = "start it with http:// or https://";

/// Reads an absolute `http` or `https` URL with a host, without credentials and without a fragment.
pub(crate) fn parse_url(text: &str) -> Result<Url, Problem> {
    let url = Url::parse(text).map_err(|error| match error {
        ParseError::RelativeUrlWithoutBase => Problem::new("bad_url", "has no scheme", START),
        other => {
            Problem::new("bad_url", format!("is not a URL: {other}"), "write a full URL such as \"https://host/path\"")
        }
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Problem::new("bad_url", "is not an http or https URL", START));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let hint = "remove `user:password@`; such a secret would end in logs";
        return Err(Problem::new("bad_url", "holds credentials", hint));
    }
    match url.fragment() {
        Some(_) => Err(Problem::new("bad_url", "has a fragment", "remove `#` and what follows; it is never sent")),
        None => Ok(url),
    }
}

/// Reads an `https` URL.
pub(crate) fn parse_https_url(text: &str) -> Result<Url, Problem> {
    let url = parse_url(text)?;
    match url.scheme() {
        "https" => Ok(url),
        _ => Err(Problem::new("insecure", "must be an https URL", "write https:// (RFC 8555 section 6.1)")),
    }
}

/// Reads `http(s)://host[:port]` and nothing more; answers its one spelling without a slash or a default port.
pub(crate) fn parse_origin(text: &str) -> Result<String, Problem> {
    let url = parse_url(text)?;
    if !matches!(url.path(), "" | "/") || url.query().is_some() {
        let hint = "write only http(s)://host[:port]; each request brings its own path";
        return Err(Problem::new("bad_url", "has a path or query", hint));
    }
    Ok(url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_one_spelling() {
        const CASES: &[(&str, &str)] = &[
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("http://LocalHost:80/", "http://localhost"),
            ("https://[::1]:8443", "https://[::1]:8443"),
            ("https://bücher.example:443", "https://xn--bcher-kva.example"),
        ];
        for (text, origin) in CASES {
            assert_eq!(parse_origin(text).as_deref(), Ok(*origin), "{text}");
        }
        for text in [
            "",
            "app:3000",
            "127.0.0.1",
            "http://",
            "ftp://a",
            "http://a/b",
            "http://a?b",
            "http://u:p@a",
            "http://a#b",
        ] {
            assert_eq!(parse_origin(text).unwrap_err().code, "bad_url", "{text}");
        }
    }
}
