//! Pingora's request head as a [`Head`].

use http::{HeaderMap, HeaderName, HeaderValue};
use pingora_http::RequestHeader;

use crate::http::Head;

impl Head for RequestHeader {
    fn fields(&self) -> &HeaderMap {
        &self.headers
    }

    fn set(&mut self, name: HeaderName, value: HeaderValue) {
        // Fails only for names and values that cannot be parsed; these are parsed already.
        let _ = self.insert_header(name, value);
    }

    fn drop_field(&mut self, name: &HeaderName) {
        self.remove_header(name);
    }
}

/// The authority of a request: `Host`, or `:authority` where an HTTP/2 client sent only that.
pub(crate) fn authority(head: &RequestHeader) -> Option<&str> {
    match head.headers.get(http::header::HOST) {
        Some(host) => host.to_str().ok(),
        None => head.uri.authority().map(http::uri::Authority::as_str),
    }
}

/// Path and query as they came, for redirects and the log.
pub(crate) fn path_and_query(head: &RequestHeader) -> &str {
    head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str)
}

/// Bytes of the target and of all fields, as `: ` and line ends would carry them on HTTP/1.1.
pub(crate) fn size(head: &RequestHeader) -> usize {
    let fields = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    head.raw_path().len() + fields.sum::<usize>()
}
