//! The optional body of an allowing ask answer.

use names::{Hostname, Tenant};
use serde::{Deserialize, Serialize};

/// What a gate may say about a hostname that it allows, as JSON of at most 4 KiB.
///
/// Every field is optional: an empty body (any Caddy ask endpoint) means "allowed, with the edge's defaults".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AskAnswer {
    /// The name that the answer is for. An answer for another name than the one asked is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Hostname>,
    /// Where requests go: `http://host[:port]` or `https://host[:port]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Send the customer's `Host` to the origin instead of the origin's own authority.
    pub keep_host: bool,
    /// Version of this connection at the control plane; an answer never replaces one of a higher generation.
    pub generation: u64,
    /// How long the answer may be used without asking again, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    /// The control plane's id of the connection, for logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<String>,
    /// Answer every request with a 308 to this URL followed by the request's path and query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
    /// Whose the name is: an opaque id of 1 to 128 visible ASCII characters that says nothing but who is the same. When
    /// it changes, the edge removes the certificate and orders another one with a key of its own. Anything else in this
    /// place is as good as nothing.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "crate::feed::lenient")]
    pub tenant: Option<Tenant>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_missing_fields_are_fine() {
        let answer: AskAnswer = serde_json::from_str(r#"{"origin":"http://o:1","colour":"blue"}"#).unwrap();
        assert_eq!(answer, AskAnswer { origin: Some("http://o:1".to_owned()), ..AskAnswer::default() });
        assert_eq!(serde_json::from_str::<AskAnswer>("{}").unwrap(), AskAnswer::default());
    }

    #[test]
    fn a_tenant_is_an_id_and_anything_else_in_its_place_is_passed_over() {
        let read = |text: &str| serde_json::from_str::<AskAnswer>(&format!(r#"{{"tenant":{text}}}"#)).unwrap().tenant;
        assert_eq!(read(r#""app_1""#), Some("app_1".parse().unwrap()));
        for other in ["null", "7", r#"{"id":"app_1"}"#, r#"["app_1"]"#, r#""""#, r#""two words""#] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
