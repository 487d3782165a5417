//! Signatures: HMAC-SHA256 over what is sent, with a time, so that a message cannot be sent again by somebody else.
//!
//! Every message carries the headers of Standard Webhooks; a dialect may add its own. They are made anew for every try:
//! the time in them is that of the try.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, header::InvalidHeaderValue};

use crate::core::{Moment, SigningSecrets};

/// What secrets begin with.
const PREFIX: &str = "whsec_";

/// Header names and values.
pub(crate) type Headers = Vec<(HeaderName, HeaderValue)>;

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SigningError {
    /// The secret is not `whsec_` and base64.
    #[error("the secret is not in the form that signs")]
    Secret,
    /// A value cannot be a header's.
    #[error("a value cannot be sent as a header")]
    Header(#[source] InvalidHeaderValue),
}

impl From<InvalidHeaderValue> for SigningError {
    fn from(error: InvalidHeaderValue) -> Self {
        Self::Header(error)
    }
}

/// `webhook-id`, `webhook-timestamp`, `webhook-signature` of Standard Webhooks. The secret before the current one signs
/// too while it is good: a receiver takes the message if one of the signatures is right.
pub(crate) fn headers(id: &str, at: Moment, body: &[u8], secrets: &SigningSecrets) -> Result<Headers, SigningError> {
    let time = at.as_secs().to_string();
    let mut signatures = Vec::new();
    for secret in std::iter::once(&secrets.current).chain(&secrets.former) {
        let key = secret.strip_prefix(PREFIX).and_then(|key| STANDARD.decode(key).ok()).ok_or(SigningError::Secret)?;
        let mac = mac(&key, &[id.as_bytes(), b".", time.as_bytes(), b".", body]);
        signatures.push(format!("v1,{}", STANDARD.encode(mac)));
    }
    Ok(vec![
        (HeaderName::from_static("webhook-id"), HeaderValue::from_str(id)?),
        (HeaderName::from_static("webhook-timestamp"), HeaderValue::from_str(&time)?),
        (HeaderName::from_static("webhook-signature"), HeaderValue::from_str(&signatures.join(" "))?),
    ])
}

/// HMAC-SHA256 over the parts, one after the other.
pub(crate) fn mac(key: &[u8], parts: &[&[u8]]) -> impl AsRef<[u8]> + use<> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    parts.iter().for_each(|part| context.update(part));
    context.sign()
}

/// In lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification.
    #[test]
    fn the_signature_is_that_of_the_specification() {
        let secrets = SigningSecrets { current: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(), former: None };
        let at = Moment::from_millis(1_614_265_330_000);
        let headers = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#, &secrets).unwrap();
        assert_eq!(headers[1].1, "1614265330");
        assert_eq!(headers[2].1, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn both_secrets_sign_while_the_former_is_good() {
        let secret = |letter: &str| format!("whsec_{}", letter.repeat(32));
        let sign = |current: &str, former: Option<&str>| {
            let secrets = SigningSecrets { current: secret(current), former: former.map(secret) };
            let headers = headers("id", Moment::from_millis(0), b"{}", &secrets).unwrap();
            headers[2].1.to_str().unwrap().to_owned()
        };
        assert_eq!(sign("b", Some("a")), format!("{} {}", sign("b", None), sign("a", None)));
    }

    /// RFC 4231, test case 2.
    #[test]
    fn the_mac_is_that_of_the_rfc() {
        let mac = mac(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(hex(mac.as_ref()), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
