//! The origin's half of a WebSocket's opening handshake.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};

/// RFC 6455 section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Whether a 101 proves that the origin understood the handshake: the hash is no secret, but nobody sends it by
/// accident.
pub fn is_accepted(request: &HeaderMap, response: &HeaderMap) -> bool {
    let (Some(key), Some(accept)) =
        (request.get(header::SEC_WEBSOCKET_KEY), response.get(header::SEC_WEBSOCKET_ACCEPT))
    else {
        return false;
    };
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(GUID);
    STANDARD.encode(hash.finish().as_ref()).as_bytes() == accept.as_bytes()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_example_of_rfc_6455_is_accepted_and_another_hash_is_not() {
        let fields = |name, value| HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        let request = fields(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==");
        let response = |value| fields(header::SEC_WEBSOCKET_ACCEPT, value);
        assert!(is_accepted(&request, &response("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
        assert!(!is_accepted(&request, &response("s3pPLMBiTxaQ9kYGzzhZRbK+xOo")));
        assert!(!is_accepted(&request, &HeaderMap::new()));
        assert!(!is_accepted(&HeaderMap::new(), &response("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
    }
}
