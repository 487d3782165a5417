//! Where a plain-text request is sent to, and where a redirecting connection sends every request.

use http::HeaderValue;
use names::Hostname;

/// The HTTPS form of a plain-text request's URL (RFC 9110 section 4.2.2).
///
/// `port` is the visitor's way to the HTTPS listener: `None` when it is 443. Path and query are passed on unchanged.
pub fn to_https(name: &Hostname, port: Option<u16>, path_and_query: &str) -> Option<HeaderValue> {
    let path = if path_and_query.starts_with('/') { path_and_query } else { "/" };
    let location = match port {
        Some(port) => format!("https://{name}:{port}{path}"),
        None => format!("https://{name}{path}"),
    };
    HeaderValue::try_from(location).ok()
}

/// The target of a redirecting connection: its URL, without a trailing slash, then the request's path and query.
pub fn to_target(target: &str, path_and_query: &str) -> Option<HeaderValue> {
    let path = if path_and_query.starts_with('/') { path_and_query } else { "/" };
    HeaderValue::try_from(format!("{}{path}", target.strip_suffix('/').unwrap_or(target))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_keeps_path_and_query() {
        let name = Hostname::parse("shop.customer.test").unwrap();
        assert_eq!(to_https(&name, None, "/a?b=c").unwrap(), "https://shop.customer.test/a?b=c");
        assert_eq!(to_https(&name, Some(8443), "*").unwrap(), "https://shop.customer.test:8443/");
        assert_eq!(to_target("https://www.customer.test/", "/a?b").unwrap(), "https://www.customer.test/a?b");
    }
}
